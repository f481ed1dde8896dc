"""The evaluation keys of a plan as plain data; what is read is checked, since it may come from a server."""

from __future__ import annotations

from hetorch.engine.keys import EvaluationKeySpec, KeyEnd, KeyLink, SparseSecret, all_links
from hetorch.errors import ParameterError
from hetorch.params import KeyFamily, ParameterSet
from hetorch.plan.fields import Fields

MAX_KEYS = 4096
"""Largest number of Galois keys that a plan may ask for."""


def key_spec_json(spec: EvaluationKeySpec) -> dict[str, object]:
    """Return the keys as plain data, which read_key_spec reads."""
    # Without bootstrapping the further fields are left out, so that other plans keep their bytes.
    data: dict[str, object] = {
        "relinearisation_level": spec.relinearisation_level,
        "galois": [list(pair) for pair in spec.galois],
    }
    if spec.links:
        data["links"] = [list(link.plain()) for link in spec.links]
    if spec.sparse is not None:
        data["sparse_secret"] = [spec.sparse.weight, spec.sparse.spacing]
    return data


def read_key_spec(fields: Fields, parameters: ParameterSet) -> EvaluationKeySpec:
    """Read the data of key_spec_json.

    Each Galois element must be odd and below 2N, each level a level of the chain, each family one of the parameters'.
    SecurityError passes through, because it concerns the user.
    """
    top = parameters.max_level
    relinearisation = fields.take("relinearisation_level")
    if relinearisation is not None:
        relinearisation = fields.integer("relinearisation_level", 0, top)
    pairs: list[tuple[int, int]] = []
    galois = fields.take("galois")
    if not isinstance(galois, list) or len(galois) > MAX_KEYS:
        raise fields.error(f"galois must be a list of at most {MAX_KEYS} pairs")
    for item in galois:
        if not isinstance(item, list) or len(item) != 2 or not all(type(part) is int for part in item):
            raise fields.error(f"a Galois key must be [element, level], got {repr(item)[:60]}")
        element, level = item
        if not (0 < element < 2 * parameters.ring_degree and element % 2 and 0 <= level <= top):
            raise fields.error(f"Galois element {element} at level {level} does not exist in this ring")
        pairs.append((element, level))
    links = _read_links(fields) if fields.has("links") else ()
    sparse = None
    if fields.has("sparse_secret"):
        numbers = fields.integers("sparse_secret", 1, parameters.ring_degree, 2)
        if len(numbers) != 2:
            raise fields.error("sparse_secret needs two numbers, weight and spacing")
        sparse = SparseSecret(*numbers)
    fields.done()
    try:
        spec = EvaluationKeySpec(relinearisation, tuple(pairs), links, sparse)
        all_links(parameters, spec)
        return spec
    except ParameterError as error:
        if type(error) is not ParameterError:  # a key that is not secure concerns the user
            raise
        raise fields.error(str(error)[:200]) from None


def _read_links(fields: Fields) -> tuple[KeyLink, ...]:
    items = fields.take("links")
    if not isinstance(items, list) or not 0 < len(items) <= MAX_KEYS:
        raise fields.error(f"links must be a list of 1 to {MAX_KEYS} keys")
    ends = {end.value: end for end in KeyEnd}
    links = []
    for item in items:
        if not isinstance(item, list) or len(item) != 6 or not all(type(part) is int for part in item[2:]):
            raise fields.error(
                f"a link must be [from, to, element, special_count, digit_size, level], got {repr(item)[:60]}"
            )
        if not all(isinstance(name, str) and name in ends for name in item[:2]):
            raise fields.error(f"a link connects two of {', '.join(ends)}, got {repr(item[:2])[:60]}")
        from_end, to_end, element, special_count, digit_size, level = item
        links.append(
            KeyLink(ends[from_end], ends[to_end], element, KeyFamily(special_count, digit_size), level)
        )
    return tuple(links)
