from __future__ import annotations

import gc
import weakref

from hetorch.engine.backend import NATIVE
from hetorch.engine.native import EvaluationKeys
from hetorch.interop.seal.backend import SEAL
from hetorch.params.insecure import insecure_small
from hetorch.serving.models.engine_cache import CLIENTS, EngineCache

PARAMETERS = insecure_small(1 << 11, 2)


def no_keys() -> EvaluationKeys:
    return EvaluationKeys(None, [])


def test_converted_keys_of_the_last_clients_are_kept() -> None:
    cache = EngineCache(SEAL, PARAMETERS)
    keys = [no_keys() for _ in range(CLIENTS + 1)]
    engines = [cache.engine(k) for k in keys[:CLIENTS]]
    assert len({id(engine) for engine in engines}) == CLIENTS
    assert cache.engine(keys[0]) is engines[0]
    cache.engine(keys[CLIENTS])  # drives out the client that was away longest, which is now the second
    assert cache.engine(keys[0]) is engines[0]
    assert cache.engine(keys[1]) is not engines[1]


def test_of_native_keys_nothing_is_kept() -> None:
    cache = EngineCache(NATIVE, PARAMETERS)
    keys = no_keys()
    engine = cache.engine(keys)
    assert cache.engine(keys) is not engine
    seen = weakref.ref(engine)
    del engine
    gc.collect()
    assert seen() is None
