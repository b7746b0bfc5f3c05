"""The recurrent layer with dropout masks on its state."""

from __future__ import annotations

from fdrnn.model.ops.native import NativeOp
from fdrnn.model.ops.recurrence import PACKED


class DropoutRecurrentLayer(NativeOp):
    """State of every packed row, h_r = tanh(x_r W_in + (mask_r * h_before) W_rec + b).

    Each row has its own mask, also where several continue one row. The output ``masked``, which
    W_rec multiplies, is for the gradient.
    """

    inputs = {
        "x": "R D", "n_rows": "int64 T", "mean0": "S H", "W_in": "D H", "W_rec": "H H", "b": "H",
        "mask": "R H",
    }  # fmt: skip
    outputs = {"mean": "R H", "masked": "R H"}
    sizes = {"H": "PyArray_DIM(W_rec_, 0)"}
    checks = PACKED
    with_respect_to = ("mean0", "W_in", "W_rec", "b")
    gradients_of = ("mean",)
    sources = ("normal", "transfer", "transfer_grad", "passes", "dropout")
