"""The demonstration: train on real digits, compile, serve, query with encrypted digits, and report the costs."""
