"""Layer 4: what the owner of a model does who shows the weights to nobody."""
