"""Layer 4: the model owner's part of outsourcing: weights encrypted under the data owner's public key.

Three parties, in one process or in several, through Python (`hetorch serve` does not take such plans yet):

    # the model's owner
    plan = hetorch.compile(model, inputs, weights="encrypted")
    # the data's owner
    secret = SecretKey.generate(plan.parameters)               # hetorch.engine.secret
    public_key, keys = secret.public_key(), secret.evaluation_keys(plan.key_spec)
    # the model's owner, with the public key
    weights = encrypt_weights(plan, public_key)
    # who computes, with neither the model nor the data in clear
    engine = NativeEngine(plan.parameters, evaluation_keys=keys)        # hetorch.engine.native
    runner = Runner(plan.without_weights(), engine, encrypted_weights=weights)      # hetorch.runtime
    results = runner.run(ciphertexts)

where the data's owner encrypts with `secret.encrypt(slots, level=plan.input_level, scale=plan.input_scale)` for each of
`plan.public().pack_batch(samples)`, and reads results with `plan.public().unpack_batch([secret.decrypt(c) for c in
results])`. `plan.run_encrypted(x)` does all of it in one process.
"""

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

    A diagonal is at the level of its map's input and at the scale with which the product, rescaled, has the planned
    one; a bias at the level and scale of what it is added to. Two calls give different ciphertexts of the same
    weights. Each takes 2 (level + 1) N words of 8 bytes. The key must be of the plan's parameters; its owner can
    decrypt the weights, so they are hidden from the server and not from the owner of the data.
    """
    program, parameters = plan.program, plan.parameters
    if not program.encrypted_weights:
        raise PlanError('this plan has its weights in clear; compile it with weights="encrypted"')
    if plan.weights_withheld:
        raise PlanError(
            f"the plan {plan.name!r} is without its weights (without_weights); encrypt those of the whole plan"
        )
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
