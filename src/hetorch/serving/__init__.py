"""Layer 4: the service as a library: models, keys, work and predictions, without HTTP.

Errors are those of `hetorch.serving.errors`, each with a stable code. `hetorch.server` puts HTTP around it.
"""
