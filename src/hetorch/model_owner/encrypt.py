"""The model owner's part of outsourced computation: weights encrypted under the data owner's key.

If one party owns the model and the data, `hetorch.Client(url, weights=plan)` does everything over the service. If two
parties own them, they do the following.

    # the model owner
    plan = hetorch.compile(model, inputs, weights="encrypted")
    plan.without_weights().save("public.hetorch")           # for the server: hetorch serve public.hetorch
    # the data owner
    public_key = hetorch.Client(url).public_key()           # bytes, for the model owner
    # the model owner
    save_encrypted_weights(plan, public_key, "weights.hetorch")
    hetorch.client.upload_weights(url, "weights.hetorch")
    # the data owner
    results = hetorch.Client(url).predict(x)

Without the service, in one process or in several:

    secret = SecretKey.generate(plan.parameters)               # hetorch.engine.secret
    public_key, keys = secret.public_key(), secret.evaluation_keys(plan.key_spec)
    # the model owner, with the public key
    weights = encrypt_weights(plan, public_key)
    # the computing party, which has neither the model nor the data in clear
    engine = NativeEngine(plan.parameters, evaluation_keys=keys)        # hetorch.engine.native
    runner = Runner(plan.without_weights(), engine, encrypted_weights=weights)      # hetorch.runtime
    results = runner.run(ciphertexts)

Here the data owner encrypts each array `slots` of `plan.public().pack_batch(samples)` with
`secret.encrypt(slots, level=plan.input_level, scale=plan.input_scale)`, and reads the results with
`plan.public().unpack_batch([secret.decrypt(c) for c in results])`. `hetorch.run_encrypted(plan, x)` does all of this in
one process.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hetorch.atomic_files import write_atomically
from hetorch.engine.native import Ciphertext, PublicKey
from hetorch.engine.secret import SecretKey, encrypt_with_public_key
from hetorch.errors import PlanUseError, StorageError, WireError
from hetorch.ir.he_operations import AddBias, LinearTransform
from hetorch.plan import Plan
from hetorch.plan.encrypted import EncryptedWeights, weight_places
from hetorch.progress import Progress, ProgressOption, counted, reporting
from hetorch.wire.public_key import load_named_public_key
from hetorch.wire.weights import WeightsFormat

ENCRYPTING = "encrypting weights"
"""The stage that Progress is told."""


def encrypt_weights(plan: Plan, public_key: PublicKey) -> EncryptedWeights[Ciphertext]:
    """Encrypt every diagonal and every bias of `plan` for the owner of `public_key`.

    The ciphertexts show only which diagonals are zero everywhere, and which layers have a bias. The owner of the key
    can decrypt them: the weights are hidden from the server, and not from the data owner. Two calls return different
    ciphertexts of the same weights.

    A diagonal is at the level of its map's input, at the scale with which its rescaled product has the planned scale. A
    bias is at the level and scale of the value that it is added to. Each takes 2 (level + 1) N words of 8 bytes.

    Args:
        plan: a plan that was compiled with weights="encrypted" and has its weights.
        public_key: a key for the plan's parameters.

    Raises:
        PlanUseError: the plan has no weights to encrypt.
    """
    places = weight_places(plan.program, plan.parameters, plan.weights)
    return EncryptedWeights.at(places, each_encrypted_weight(plan, public_key))


def each_encrypted_weight(
    plan: Plan, key: PublicKey | SecretKey, progress: Progress | None = None
) -> Iterator[Ciphertext]:
    """Return the ciphertexts of encrypt_weights one by one, in the order of `hetorch.plan.encrypted.weight_places`.

    Each is encrypted when the iterator reaches it. Ciphertexts under a secret key are half as large on the wire as
    those under a public key, and less noisy.

    Raises:
        PlanUseError: the plan has no weights to encrypt; raised at the call, not by the iterator.
    """
    _check_has_weights(plan)
    return _each(plan, key, progress)


def weights_message(
    plan: Plan, key: PublicKey | SecretKey, key_id: str, progress: Progress | None = None
) -> Iterator[bytes]:
    """Return the message with the weights for a server (`hetorch.wire.weights`), piece by piece.

    `key_id` is the SHA-256 (hex) of the evaluation keys that were made with the same secret key.

    Raises:
        PlanUseError: the plan has no weights to encrypt; raised at the call, not by the iterator.
    """
    _check_has_weights(plan)
    return WeightsFormat.of(plan).dump(key_id, _each(plan, key, progress))


def save_encrypted_weights(
    plan: Plan, public_key: bytes, path: str | os.PathLike[str], progress: ProgressOption = None
) -> int:
    """Encrypt the weights of `plan` and write them to the file `path`, which is written completely or not at all.

    Only one ciphertext at a time is in memory.

    Args:
        plan: a plan that was compiled with weights="encrypted" and has its weights.
        public_key: the data owner's key, from `Client.public_key()` or `hetorch public-key`.
        path: the file; its folder must exist.
        progress: called after each ciphertext. By default a bar on the terminal, and a line in a notebook, for what
            takes more than a second; False for none.

    Returns:
        The size of the file in bytes.

    Raises:
        WireError: the key is broken or belongs to another plan.
        PlanUseError: the plan has no weights to encrypt.
        StorageError: the file cannot be written.
    """
    _check_has_weights(plan)
    try:
        named = load_named_public_key(plan.public(), public_key)
    except WireError as error:
        raise WireError(f"the public key: {error}") from None
    try:
        with reporting(progress, ENCRYPTING, WeightsFormat.of(plan).message_bytes(seeded=False)) as report:
            return write_atomically(
                Path(path).resolve(), weights_message(plan, named.key, named.key_id, report)
            )
    except OSError as error:
        raise StorageError(
            f"cannot write the encrypted weights to {path}: {error.strerror or error}"
        ) from None


def _check_has_weights(plan: Plan) -> None:
    if not plan.program.encrypted_weights:
        raise PlanUseError('this plan has its weights in clear; compile it with weights="encrypted"')
    if plan.weights_withheld:
        raise PlanUseError(
            f"the plan {plan.name!r} is without its weights (without_weights); encrypt those of the whole plan"
        )


def _each(plan: Plan, key: PublicKey | SecretKey, progress: Progress | None) -> Iterator[Ciphertext]:
    parameters = plan.parameters
    places = weight_places(plan.program, parameters, plan.weights)
    report = counted(progress, ENCRYPTING)
    report(0, len(places))
    for done, (place, slots) in enumerate(zip(places, _slots(plan), strict=True), start=1):
        if isinstance(key, SecretKey):
            yield key.encrypt(slots, scale=place.scale, level=place.level)
        else:
            yield encrypt_with_public_key(parameters, key, slots, scale=place.scale, level=place.level)
        report(done, len(places))


def _slots(plan: Plan) -> Iterator[NDArray[np.float64]]:
    """Yield the slots of each ciphertext, arrays (slot_count,), in the order of weight_places."""
    program = plan.program
    for op in program.operations:
        if isinstance(op, LinearTransform):
            transform = op.diagonals(program, plan.weights)
            repeat = program.slot_count // transform.values.shape[1]
            for values, giant in zip(transform.values, transform.giants.tolist(), strict=True):
                yield np.roll(np.tile(values, repeat), giant)
        elif isinstance(op, AddBias):
            block = np.repeat(np.asarray(plan.weights[op.weight], dtype=np.float64), program.batch)
            yield np.tile(block, program.slot_count // len(block))
