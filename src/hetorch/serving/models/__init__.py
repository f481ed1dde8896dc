"""The models of a service."""

from __future__ import annotations

from hetorch.serving.models.registry import Registry
from hetorch.serving.models.served_model import ServedModel, load_models, model_name, serve_plan

__all__ = ["Registry", "ServedModel", "load_models", "model_name", "serve_plan"]
