"""Layer 4: from a PyTorch module to a plan. ARCHITECTURE.md names the rooms in their order."""
