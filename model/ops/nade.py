"""The loss of a NADE whose biases are given for every frame."""

from __future__ import annotations

from fdrnn.model.ops.native import NativeOp


class Nade(NativeOp):
    """NLL of binary frames under a NADE; `fdrnn.model.outputs.nade` has the equations.

    Parameters
    ----------
    stochastic
        Whether the biases have variances. If not, none is given; if so, they may have no rows, and
        are then 0.

    Notes
    -----
    Inputs: mean and variance (R, D + N) of b_v and b_h; V and W (D, N); order (D,), the index
    of each column once; target, 0 and 1. Outputs: nll (R,), in nats; the moments of the logits,
    which are for the gradient. The hidden units of a row change only behind a column that is 1, so
    that a row takes as many evaluations of the sigmoid as it has ones, and one more.
    """

    __props__ = ("stochastic",)
    inputs = {
        "mean": "R A", "variance": "Q B", "V": "D N", "W": "D N", "order": "D", "target": "R D",
    }  # fmt: skip
    outputs = {"nll": "R", "z_mean": "R D", "z_variance": "Z D"}
    sizes = {
        "A": "PyArray_DIM(V_, 0) + PyArray_DIM(V_, 1)",
        "B": "params->stochastic ? A : PyArray_DIM(variance_, 1)",
        "Z": "params->stochastic ? PyArray_DIM(variance_, 0) : 0",
    }
    checks = (
        'Q && Q != R && expect(op, "variance", variance_, {R, B})',
        'expect_permutation<real>(op, "order", order_, D)',
    )
    parameters = {"stochastic": "bool"}
    stand_ins = {"variance": "target"}
    with_respect_to = ("mean", "variance", "V", "W")
    gradients_of = ("nll",)
    unread = ("nll",)
    sources = ("nade", "nade_nll")

    def __init__(self, stochastic: bool) -> None:
        self.stochastic = self.draws = stochastic
        super().__init__()
