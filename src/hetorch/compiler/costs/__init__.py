"""The time that operations take on a machine: a model, its constants, and their measurement."""
