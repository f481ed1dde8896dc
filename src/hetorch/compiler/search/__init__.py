"""The choice of ring, chain, layouts and digits."""
