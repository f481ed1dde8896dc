"""BFV on seal-python: context, arithmetic, bytes."""
