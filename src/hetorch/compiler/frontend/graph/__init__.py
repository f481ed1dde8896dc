"""torch.export's graph of a module, and the walk along it that makes a TensorProgram."""
