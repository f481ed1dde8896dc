"""The error that encryption adds, predicted before anything is encrypted."""
