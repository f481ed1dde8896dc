"""The frontend: a model, in whatever form it comes, as a TensorProgram.

sources/      files, scikit-learn estimators and ONNX graphs -> torch.nn.Module
graph/        torch.nn.Module -> torch.export's graph -> calls of operations
operations/   one call -> operations of a TensorProgram; a file for each kind of operation
capture.py    the three in order, and the check that program and model agree
marks.py, lookup_table.py   what a user may say about a module: elementwise, approximate, Table

Of the compiler, only this room imports torch.
"""
