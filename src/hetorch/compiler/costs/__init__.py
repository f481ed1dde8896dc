"""What operations cost on a machine."""
