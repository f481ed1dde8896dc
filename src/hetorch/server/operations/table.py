"""The table of all operations, in the order of the OpenAPI document."""

from __future__ import annotations

from hetorch.server.operations.keys import KEYS
from hetorch.server.operations.models import MODELS
from hetorch.server.operations.open_inference import OPEN_INFERENCE
from hetorch.server.operations.predictions import PREDICTIONS
from hetorch.server.operations.service import SERVICE
from hetorch.server.operations.uploads import UPLOADS
from hetorch.server.operations.weights import WEIGHTS

OPERATIONS = (*SERVICE, *MODELS, *KEYS, *UPLOADS, *WEIGHTS, *PREDICTIONS, *OPEN_INFERENCE)
"""All operations. A new route needs its entry in one of these."""
