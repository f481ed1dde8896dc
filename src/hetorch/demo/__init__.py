"""The demonstration: train on real digits, compile, serve, query encrypted, and tell what it cost."""
