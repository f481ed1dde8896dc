"""SEAL itself as a backend, through seal-python: a reference, and a fallback. It needs `hetorch[seal]`."""
