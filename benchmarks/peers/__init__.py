"""The peers of the benchmarks: an environment for each, and the programs that run in them."""
