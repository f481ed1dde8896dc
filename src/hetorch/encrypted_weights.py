"""Layer 4: the model owner's part of outsourcing: weights encrypted under the data owner's public key."""

from __future__ import annotations

import numpy as np

from hetorch.engine.native import Ciphertext, PublicKey
from hetorch.engine.secret import encrypt_with_public_key
from hetorch.errors import PlanError
from hetorch.ir.he_program import AddBias, LinearTransform
from hetorch.plan import Plan
from hetorch.runtime.encrypted import EncryptedWeights


def encrypt_weights(plan: Plan, public_key: PublicKey) -> EncryptedWeights[Ciphertext]:
    """Every diagonal and every bias of `plan` as a ciphertext for the owner of `public_key`.

    The plan must be compiled with weights="encrypted" and have its weights (PlanError if not). Of these only which
    diagonals are zero everywhere can be seen, and which layers have a bias.
    """
    program, parameters = plan.program, plan.parameters
    if not program.encrypted_weights:
        raise PlanError('this plan has its weights in clear; compile it with weights="encrypted"')
    diagonals: dict[str, tuple[Ciphertext, ...]] = {}
    biases: dict[str, Ciphertext] = {}
    for op in program.operations:
        if isinstance(op, LinearTransform):
            source, made = program.values[op.inputs[0]], program.values[op.results[0]]
            scale = made.scale * parameters.modulus_chain[source.level] / source.scale
            transform = plan.transform(op.weight, len(op.inputs), len(op.results))
            repeat = program.slot_count // transform.values.shape[1]
            diagonals[op.weight] = tuple(
                encrypt_with_public_key(
                    parameters,
                    public_key,
                    np.roll(np.tile(values, repeat), giant),
                    scale=scale,
                    level=source.level,
                )
                for values, giant in zip(transform.values, transform.giants.tolist(), strict=True)
            )
        elif isinstance(op, AddBias):
            value = program.values[op.input]
            block = np.repeat(np.asarray(plan.weights[op.weight], dtype=np.float64), program.batch)
            slots = np.tile(block, program.slot_count // len(block))
            biases[op.weight] = encrypt_with_public_key(
                parameters, public_key, slots, scale=value.scale, level=value.level
            )
    return EncryptedWeights(diagonals, biases)
