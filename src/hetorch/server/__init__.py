"""The untrusted side: holds plans and evaluation keys, computes on ciphertexts, and never sees a secret key."""
