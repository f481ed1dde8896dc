"""Layer 3: a torch module as a TensorProgram. The only place that imports torch."""
