"""The configuration of a server: its fields with their units, and the file, environment and flags that fill them."""
