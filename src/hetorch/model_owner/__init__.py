"""Layer 5: the model's owner, who encrypts weights for the owner of the data."""
