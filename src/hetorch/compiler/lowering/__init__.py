"""From the decisions to the program of ciphertext operations, its keys and its report."""
