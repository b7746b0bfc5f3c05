"""The native operations: recurrent and output layers over packed rows.

Their C is in ``native/``. Each has an analytic gradient, except `AveragedSoftmax` and `Norm`, which
no loss contains. Layers take rows as `fdrnn.model.packing` lays them
out: (n_rows_in_all, features), time-major. All real arguments share one dtype, float32 or float64.
Rates are 0-d inputs, so that a new value compiles nothing. Building a graph with other dtypes or
numbers of axes raises TypeError, running it with shapes that do not fit ValueError.
"""

from fdrnn.model.ops.deep import DeepLayers
from fdrnn.model.ops.dropout import DropoutRecurrentLayer
from fdrnn.model.ops.elementwise import exponential, logarithm, softplus
from fdrnn.model.ops.gaussian_weights import GaussianWeightsLayer, GaussianWeightsProduct
from fdrnn.model.ops.lp import LpUnits
from fdrnn.model.ops.lstm import LstmLayer
from fdrnn.model.ops.nade import Nade
from fdrnn.model.ops.norm import Norm
from fdrnn.model.ops.output import AffineMoments, AffineMomentsOfEveryRow, BernoulliOutput
from fdrnn.model.ops.own_weights import OwnWeightsLayer, OwnWeightsProduct
from fdrnn.model.ops.recurrence import RecurrentLayer
from fdrnn.model.ops.softmax import AveragedSoftmax, Softmax, UnscentedSoftmax

__all__ = [
    "AffineMoments",
    "AffineMomentsOfEveryRow",
    "AveragedSoftmax",
    "BernoulliOutput",
    "DeepLayers",
    "DropoutRecurrentLayer",
    "GaussianWeightsLayer",
    "GaussianWeightsProduct",
    "LpUnits",
    "LstmLayer",
    "Nade",
    "Norm",
    "OwnWeightsLayer",
    "OwnWeightsProduct",
    "RecurrentLayer",
    "Softmax",
    "UnscentedSoftmax",
    "exponential",
    "logarithm",
    "softplus",
]
