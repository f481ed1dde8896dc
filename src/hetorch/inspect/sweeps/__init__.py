"""`hetorch.inspect.sweep`: one model compiled with many configurations of options, and the figures of each."""
