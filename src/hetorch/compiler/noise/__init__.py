"""Noise: the error that encryption adds to the outputs, predicted before anything is encrypted."""
