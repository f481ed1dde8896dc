"""CKKS on hetorch's core: parameters, context, arithmetic with TenSEAL's rules, products across slots, bytes."""
