"""The way from a name that a plan does not have to the call that the user looks for.

Users bring the names of other libraries: a plan of hetorch is data, and neither runs itself nor holds keys.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from types import MappingProxyType

from hetorch.errors import PlanAttributeError
from hetorch.params import ParameterSet
from hetorch.plan.public import PublicPlan
from hetorch.plan.report import PlanReport

RUN = (
    "a plan is data and does not run itself: hetorch.run_encrypted(plan, x) computes on ciphertexts in this process, "
    "hetorch.simulate(plan, x) imitates that quickly without keys, and hetorch.Client(url).predict(x) asks a server"
)
SIMULATE = "a plan is data and does not run itself; call hetorch.simulate(plan, x)"
ENCRYPTED = "a plan is data and does not run itself; call hetorch.run_encrypted(plan, x)"
KEYS = (
    "a plan holds no keys: hetorch.Client(url).make_keys() or `hetorch keygen` makes them in a vault, "
    "hetorch.run_encrypted(plan, x) for one call"
)
ENCRYPT = (
    "a plan holds no keys: hetorch.Client(url).predict(x) encrypts, sends and decrypts, and "
    "hetorch.run_encrypted(plan, x) does all of it in this process"
)
COMPILED = "a plan is compiled already; call hetorch.compile(model, calibration_inputs) to compile again"
SERVE = "a plan is served from its folder: call plan.save(folder), then run `hetorch serve FOLDER`"
SAVE = "call plan.save(folder), and hetorch.Plan.load(folder) to read it again"
SHOW = "call print(plan) for a table; plan.report has its figures, and plan.to_report() returns them as plain data"
MODULE = "a plan is no torch.nn.Module; train and change the model, and compile it again"

_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        RUN: ("run", "predict", "predict_proba", "decision_function", "transform", "score", "infer", "apply"),
        SIMULATE: (
            "simulate",
            "run_cleartext",
            "run_clear",
            "run_plain",
            "forward",
            "evaluate",
            "clear_forward",
        ),
        ENCRYPTED: ("run_encrypted", "encrypt_run_decrypt", "he", "run_fhe"),
        KEYS: (
            *("keygen", "keys", "make_keys", "generate_keys", "gen_keys", "secret_key", "public_key"),
            *("galois_keys", "relin_keys", "evaluation_keys", "context", "make_context", "client", "vault"),
        ),
        ENCRYPT: (
            *("encrypt", "decrypt", "encode", "decode", "encode_encrypt", "decrypt_decode"),
            *("quantize_input", "dequantize_output"),
        ),
        COMPILED: ("compile", "compiled", "optimize", "fit", "fit_compile", "trace", "calibrate"),
        SERVE: ("serve", "deploy", "server", "start"),
        SAVE: (
            *("serialize", "deserialize", "dump", "dumps", "export", "write", "to_bytes", "from_bytes"),
            *("save_to_file", "load_from_file", "to_file"),
        ),
        SHOW: ("summary", "describe", "show", "info", "stats", "to_json", "to_dict", "plot", "print"),
        MODULE: ("eval", "train", "to", "cuda", "cpu", "half", "state_dict", "modules", "named_parameters"),
    }
)
SIGNPOSTS: Mapping[str, str] = MappingProxyType(
    {name: sentence for sentence, names in _NAMES.items() for name in names}
)
"""The sentence that answers each name."""


def missing_attribute(name: str, known: Iterable[str]) -> PlanAttributeError:
    """Return the error for an attribute `name` that a plan does not have; `known` are those that it has."""
    return PlanAttributeError(f"a Plan has no {name!r}: {_way(name, known)}")


def _way(name: str, known: Iterable[str]) -> str:
    if name in SIGNPOSTS:
        return SIGNPOSTS[name]
    for owner, holder in (
        (PlanReport, "plan.report"),
        (ParameterSet, "plan.parameters"),
        (PublicPlan, "plan.public()"),
    ):
        if name in {field.name for field in fields(owner)} or isinstance(
            getattr(owner, name, None), property
        ):
            return f"it is {holder}.{name}"
    public = sorted(one for one in known if not one.startswith("_"))
    near = difflib.get_close_matches(name, [*public, *SIGNPOSTS], n=1)
    if near and near[0] in SIGNPOSTS:
        return SIGNPOSTS[near[0]]
    return f"did you mean plan.{near[0]}?" if near else f"it has {', '.join(public)}"
