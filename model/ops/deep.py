"""Several hidden layers over packed rows."""

from __future__ import annotations

from fdrnn.model.ops.native import NativeOp
from fdrnn.model.ops.recurrence import PACKED


class DeepLayers(NativeOp):
    """Moments of the last of several layers of tanh units, for every packed row.

    Layer 1 reads the input, every other one the layer below it at the same step. The first N of
    the L layers also read a state of the step before. Each kind of connection has a p_keep.

    Parameters
    ----------
    stochastic
        True: means and variances are propagated. False: means only; no variance has rows.
    transition
        Whether there is one state, that of layer N, which the layers 1 to N read; otherwise each
        of them has its own.

    Notes
    -----
    W_rec (N H, H) has one layer's matrix below the other's, as has W_between ((L - 1) H, H) those
    by which layers 2, 3, ... read the layer below; b (L H,) has their biases. The J columns of an
    initial state are those of one layer's state beside the other's. lower_mean and lower_variance,
    (L - 1) R rows, are the moments of one layer below the last after the other. a, v and c are for
    the gradient.

    With one layer it is `RecurrentLayer` of the cells ``"moments"`` and ``"plain"``, to the last
    bit.
    """

    __props__ = ("stochastic", "transition")
    inputs = {
        "x": "R D", "n_rows": "int64 T", "mean0": "S J", "variance0": "S0 J", "W_in": "D H",
        "W_rec": "K H", "b": "B", "W_between": "M H", "p_keep_input": "", "p_keep_hidden": "",
        "p_keep_between": "",
    }  # fmt: skip
    outputs = {
        "mean": "R H", "variance": "V H", "lower_mean": "Q H", "lower_variance": "QV H",
        "a": "A H", "v": "AV H", "c": "AV H",
    }  # fmt: skip
    sizes = {
        "H": "PyArray_DIM(W_rec_, 1)",
        "J": "PyArray_DIM(W_rec_, params->transition ? 1 : 0)",
        "S0": "params->stochastic ? S : PyArray_DIM(variance0_, 0)",
        "M": "B - H",
        "V": "params->stochastic ? R : 0",
        "Q": "H > 0 ? R * (B / H - 1) : 0",
        "QV": "params->stochastic ? Q : 0",
        "A": "H > 0 ? R * (B / H) : 0",
        "AV": "params->stochastic ? A : 0",
    }
    checks = (*PACKED, "expect_layers(op, H, K, B)")
    parameters = {"stochastic": "bool", "transition": "bool"}
    with_respect_to = ("mean0", "variance0", "W_in", "W_rec", "b", "W_between")
    gradients_of = ("mean", "variance")
    gradient_outputs = {"da": "A H", "dv": "AV H"}
    sources = (
        "affine", "normal", "transfer", "transfer_grad", "passes", "fast_dropout", "layers", "deep"
    )  # fmt: skip

    def __init__(self, stochastic: bool, transition: bool) -> None:
        self.stochastic, self.transition = stochastic, transition
        self.empty_outputs = () if stochastic else ("variance",)
        super().__init__()
