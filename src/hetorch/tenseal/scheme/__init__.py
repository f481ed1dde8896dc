"""The ground of both schemes: enumerations, errors, forms of arguments, a context's state, arrays of ciphertexts."""
