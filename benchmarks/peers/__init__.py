"""Peers of the benchmarks: an environment for each library, and the programs that run in it."""
