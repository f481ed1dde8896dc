"""Layer 5: a plan in one process, for a look inside."""
