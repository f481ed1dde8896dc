"""Layer 5: the model owner, who encrypts weights for the data owner."""
