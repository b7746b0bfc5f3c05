"""Losses of a softmax of certain activations, or of Gaussian ones by sigma points and draws.

Activations, or their means and variances, have the shape (R, D); targets, the same, are one-hot.
"""

from __future__ import annotations

from fdrnn.model.ops.native import NativeOp


class Softmax(NativeOp):
    """NLL of targets under the softmax of certain activations.

    Inputs: activations, target. Output: nll (R,), in nats; 0 where a target has no class.
    """

    inputs = {"activations": "R D", "target": "R D"}
    outputs = {"nll": "R"}
    with_respect_to = ("activations",)
    gradients_of = ("nll",)
    unread = ("nll",)
    sources = ("softmax_nll",)


class UnscentedSoftmax(NativeOp):
    """NLL of targets under the average over the activations' sigma points.

    Inputs: mean, variance, target. Output: nll (R,), in nats; 0 where a target has no class. See
    `fdrnn.model.outputs.softmax_unscented` for the equations.
    """

    inputs = {"mean": "R D", "variance": "R D", "target": "R D"}
    outputs = {"nll": "R"}
    with_respect_to = ("mean", "variance")
    gradients_of = ("nll",)
    unread = ("nll",)
    sources = ("unscented_softmax", "unscented_nll")


class AveragedSoftmax(NativeOp):
    """NLL of targets under (1 / N) sum_i softmax(mean + draws_i sqrt(variance)).

    Inputs: mean, variance; draws (N, D), the same for every row; target. Output: nll (R,), in
    nats. It has no gradient: training draws once, by other operations.
    """

    inputs = {"mean": "R D", "variance": "R D", "draws": "N D", "target": "R D"}
    outputs = {"nll": "R"}
    checks = ('expect_positive(op, "the number of draws", N)',)
    sources = ("averaged_softmax",)
