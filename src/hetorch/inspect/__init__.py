"""Layer 6: running a plan in one process, to look inside before it is served."""
