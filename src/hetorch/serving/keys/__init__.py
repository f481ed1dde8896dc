"""Uploads of clients: evaluation keys, and weights encrypted under a client's key."""
