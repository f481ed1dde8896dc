"""ONNX graphs as torch modules: each operator is computed with torch's functions, which torch.export then traces."""
