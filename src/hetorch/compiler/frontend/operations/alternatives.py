"""Advice for operations that cannot be computed on encrypted data."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_CLIENT = "let the client compute it and encrypt what comes out"
_FLOAT = "compile the float model, without quantisation"
_COMPARE = (
    "return the scores and let the client compare after decryption, in the middle of a network split it there; a "
    "function of one number (torch.where(x > 0, ...)) works as a module marked with hetorch.elementwise"
)

NEAREST: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            ("embedding", "embedding_bag"), f"{_CLIENT}: it is a look-up by a number that must stay secret"
        ),
        "one_hot": _CLIENT,
        "argmax": "as the last operation it is left to the client",
        "argmin": _COMPARE,
        "topk": _COMPARE,
        "sort": _COMPARE,
        "argsort": _COMPARE,
        "median": "use a mean",
        "nonzero": _COMPARE,
        **dict.fromkeys(
            ("gt", "lt", "ge", "le", "eq", "ne", "logical_and", "logical_or", "logical_not"), _COMPARE
        ),
        "masked_select": "use fixed indices",
        **dict.fromkeys(
            ("round", "floor", "ceil", "trunc", "frac", "remainder", "fmod", "floor_divide"),
            "leave the numbers as they are",
        ),
        **dict.fromkeys(
            ("quantize_per_tensor", "quantize_per_channel", "quantize_per_token", "dequantize_per_tensor"),
            _FLOAT,
        ),
        **dict.fromkeys(
            ("fake_quantize_per_tensor_affine", "fake_quantize_per_channel_affine"),
            f"{_FLOAT}; the rounding of torch.ao.quantization.FakeQuantize modules is left out",
        ),
        "heaviside": _COMPARE,
        "masked_scatter": "build a new tensor (torch.cat, torch.where with a fixed mask) instead of writing into one",
        **dict.fromkeys(
            ("cond", "while_loop"), "use torch.where with a fixed condition, or a smooth gate (sigmoid)"
        ),
        **dict.fromkeys(
            ("randn_like", "rand_like", "randint_like", "bernoulli", "normal", "uniform"),
            "leave random numbers out of the forward",
        ),
        "item": "the program must not depend on values of the input",
        "cumprod": "use products",
        "local_response_norm": "use BatchNorm2d, whose statistics are fixed",
        "_native_multi_head_attention": "export nn.MultiheadAttention with need_weights=False",
        "grid_sampler": "use a fixed interpolation",
        "fft_rfft": "use a fixed matrix (nn.Linear)",
    }
)
"""The nearest thing that works, by the name of an operation that never does."""

WORKS = (
    "what works: linear layers, convolutions, pools, normalisations, reshaping, sums, products, attention, and "
    "element-wise functions; hetorch.elementwise marks a module of your own, hetorch.Table makes one from points"
)
"""Advice for any other operation or form."""


def embedding_advice(path: str, *, takes_embeddings: bool) -> str:
    """Return the calls that leave an embedding to the client.

    Args:
        path: where the model has it.
        takes_embeddings: True for a model whose forward has `inputs_embeds`, as those of Hugging Face.
    """
    if takes_embeddings:
        first = (
            "embedding = model.get_input_embeddings(), and a module whose forward(x) returns "
            "model(inputs_embeds=x) in place of the model"
        )
    else:
        place = "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in path.split("."))
        first = f"embedding, model{place} = model{place}, torch.nn.Identity()"
    return (
        f"the client looks token ids up and encrypts the rows: {first}; then hetorch.compile(model, "
        "embedding(ids).detach()), and client.predict(embedding(ids))"
    )
