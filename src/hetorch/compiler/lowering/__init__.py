"""Lowering: from the choice of the search to the program of ciphertext operations, its keys and its report."""
