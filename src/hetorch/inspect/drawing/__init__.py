"""A plan's program as a drawing: a box for each layer, as text, as SVG and as a graph for Netron."""
