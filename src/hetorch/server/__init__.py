"""Layer 5: the server's side: an ASGI service that computes on ciphertexts and never holds a secret key."""
