"""What clients upload: evaluation keys, and weights encrypted under a client's key."""
