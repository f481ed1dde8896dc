"""The demonstration of training together: four hospitals and an aggregator, each in a process of its own."""
