"""Handlers of torch's operations: each turns one call into operations of a TensorProgram."""
