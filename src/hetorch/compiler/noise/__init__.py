"""The noise prediction: the error that encryption adds to the outputs, computed before anything is encrypted."""
