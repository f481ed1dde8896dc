"""Benchmarks: measured comparisons with other libraries. `scripts/bench` runs them and lists their names."""
