"""Layer 3: from a TensorProgram to a Plan, one pass a file; pipeline.py is the list of them."""
