"""Layer 5: the data owner's side: keys, encryption, requests, decryption. Needs neither torch nor the compiler."""

from __future__ import annotations

from hetorch.client.async_client import AsyncClient
from hetorch.client.client import Client
from hetorch.client.jobs import AsyncJob, Job
from hetorch.client.sealing import KeyWrap
from hetorch.client.timing import StepTimings
from hetorch.client.vault import StoredKeys, Vault, default_vault_path
from hetorch.client.weights import upload_weights
from hetorch.engine.sharing import Sharing
from hetorch.errors import InputRangeWarning

__all__ = [
    "AsyncClient",
    "AsyncJob",
    "Client",
    "InputRangeWarning",
    "Job",
    "KeyWrap",
    "Sharing",
    "StepTimings",
    "StoredKeys",
    "Vault",
    "default_vault_path",
    "upload_weights",
]
