"""The output layer with its loss."""

from __future__ import annotations

from fdrnn.model.ops.native import NativeOp


class BernoulliOutput(NativeOp):
    """Output layer with sigmoid units and its cross entropy.

    Parameters
    ----------
    sampled
        Whether fast dropout draws the pre-synaptic activation, z_mean + noise sqrt(z_variance),
        instead of the moments of the sigmoid.

    Notes
    -----
    Inputs: mean (R, H), variance (R, H) of the hidden layer; W (H, D); b (D,); target (R, D) of
    values in [0, 1]; p_keep of the hidden state, 0-d; fast_dropout, 0-d int8: 0 makes an ordinary
    layer of it that ignores variance, p_keep and noise; and noise (R, D), if `sampled`.

    Outputs: nll (R,), in nats summed over the D columns; and the pre-synaptic moments z_mean
    (R, D) and z_variance (R, D; no rows without fast dropout).

    Raises
    ------
    TypeError, ValueError
        As for `RecurrentLayer`.
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
    parameters = {"sampled": "bool"}
    stand_ins = {"noise": "target"}
    with_respect_to = ("mean", "variance", "W", "b")
    gradients_of = ("nll",)
    unread = ("nll",)
    sources = ("affine", "output")
    gradient_sources = ("affine", "output_grad")

    def __init__(self, sampled: bool = False) -> None:
        self.sampled = self.draws = sampled
        super().__init__()
