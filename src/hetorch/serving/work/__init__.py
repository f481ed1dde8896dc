"""The computations of the service: who computes, when, and for how long."""
