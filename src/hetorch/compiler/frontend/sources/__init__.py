"""Forms in which a model and its calibration inputs may come: read as a torch.nn.Module, and as tensors."""
