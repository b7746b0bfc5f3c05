"""The output layer, by itself and with its loss."""

from __future__ import annotations

from fdrnn.model.ops.native import NativeOp

SOME_ROWS = ('expect_positive(op, "the number of rows", R)',)
"""Checks of a layer whose gradient adds up blocks of rows, of which the first overwrites."""


class AffineMoments(NativeOp):
    """Pre-synaptic moments of an affine layer with fast dropout (equations 1 and 2).

    fast_dropout 0 makes an ordinary layer, which ignores variance and p_keep, and whose z_variance
    has no rows.
    """

    inputs = {
        "mean": "R H", "variance": "V H", "W": "H D", "b": "D", "p_keep": "", "fast_dropout": "int8"
    }  # fmt: skip
    outputs = {"z_mean": "R D", "z_variance": "Z D"}
    sizes = {
        "H": "PyArray_DIM(mean_, 1)",
        "D": "PyArray_DIM(b_, 0)",
        "V": "scalar<npy_int8>(fast_dropout_) ? R : PyArray_DIM(variance_, 0)",
        "Z": "scalar<npy_int8>(fast_dropout_) ? R : 0",
    }
    checks = SOME_ROWS
    with_respect_to = ("mean", "variance", "W", "b")
    gradients_of = ("z_mean", "z_variance")
    unread = ("z_mean", "z_variance")
    sources = ("affine", "affine_layer", "affine_moments")


class AffineMomentsOfEveryRow(AffineMoments):
    """The same, but z_variance has every row, and is 0 for an ordinary layer."""

    sizes = {**AffineMoments.sizes, "Z": "R"}


class BernoulliOutput(NativeOp):
    """Output layer with sigmoid units and its cross entropy.

    Parameters
    ----------
    sampled
        Whether fast dropout draws the pre-synaptic activation, z_mean + noise sqrt(z_variance),
        instead of the moments of the sigmoid.

    Notes
    -----
    Targets are in [0, 1]. fast_dropout 0 makes an ordinary layer, which ignores variance, p_keep
    and noise, and whose z_variance has no rows. nll is in nats, summed over the D columns; z_mean
    and z_variance are the pre-synaptic moments.
    """

    __props__ = ("sampled",)
    inputs = {
        "mean": "R H", "variance": "V H", "W": "H D", "b": "D", "target": "R D", "p_keep": "",
        "fast_dropout": "int8", "noise": "R D",
    }  # fmt: skip
    outputs = {"nll": "R", "z_mean": "R D", "z_variance": "Z D"}
    sizes = {
        "H": "PyArray_DIM(mean_, 1)",
        "D": "PyArray_DIM(target_, 1)",
        "V": "scalar<npy_int8>(fast_dropout_) ? R : PyArray_DIM(variance_, 0)",
        "Z": "scalar<npy_int8>(fast_dropout_) ? R : 0",
    }
    checks = SOME_ROWS
    parameters = {"sampled": "bool"}
    stand_ins = {"noise": "target"}
    with_respect_to = ("mean", "variance", "W", "b")
    gradients_of = ("nll",)
    unread = ("nll",)
    sources = ("affine", "affine_layer", "output")

    def __init__(self, sampled: bool = False) -> None:
        self.sampled = self.draws = sampled
        super().__init__()
