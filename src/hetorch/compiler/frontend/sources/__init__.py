"""Forms in which a model may come, each read as a torch.nn.Module."""
