"""Fitted estimators of scikit-learn as modules, read by their attributes; scikit-learn is not imported.

estimators.py     an estimator -> its module, checked against the estimator itself
predictors.py     linear models and perceptrons
transformers.py   scalers, projections, element-wise functions
wrappers.py       estimators that hold others: pipelines, searches, one against the rest, several outputs
parts.py          the modules that these are made of
"""
