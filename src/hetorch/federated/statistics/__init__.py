"""Statistics together: figures of the records of several data owners, by the protocol of training together.

A `Query` says what all parties are asked; its hash is in the roster of the round. Each party sends sums of its records,
encrypted, and all learn the sums over all parties, hence the figures. Nothing here knows a secret.
"""

from hetorch.federated.statistics.correlation import Correlation, CorrelationAnswer
from hetorch.federated.statistics.histogram import Histogram, HistogramAnswer
from hetorch.federated.statistics.moments import Moments, MomentsAnswer
from hetorch.federated.statistics.query import Query
from hetorch.federated.statistics.survival import Survival, SurvivalAnswer

__all__ = [
    "Correlation",
    "CorrelationAnswer",
    "Histogram",
    "HistogramAnswer",
    "Moments",
    "MomentsAnswer",
    "Query",
    "Survival",
    "SurvivalAnswer",
]
