r"""The native LSTM layer over packed rows, with and without fast dropout.

Without fast dropout it is the LSTM with a forget gate and without peepholes (Hochreiter and
Schmidhuber 1997; Gers, Schmidhuber and Cummins 2000):

.. math::

    i, f, o &= \sigma(x_t W_{in} + h_{t-1} W_{rec} + b), \qquad
    g = \tanh(x_t W_{in} + h_{t-1} W_{rec} + b) \\
    c_t &= f c_{t-1} + i g, \qquad h_t = o \tanh(c_t)

each gate with its H columns of W_in (D, 4 H), W_rec (H, 4 H) and b (4 H,), side by side in
the order i, f, o, g.

With fast dropout, x_t and h_{t-1} are dropped out with separate rates at the input of the
gates; the cell, which carries the memory, is not. The means and variances of the gates'
pre-synaptic activations are those of equations 1 and 2 of Bayer et al. 2013, the gates' moments
those of the sigmoid and tanh in `fdrnn.model.moments`, and

.. math::

    E[x y] = E[x] E[y], \qquad V[x y] = V[x] V[y] + V[x] E[y]^2 + V[y] E[x]^2

for each of the three products. This treats as independent, at every unit and step: the gates, the
forget gate and the previous cell, the two summands of the cell, and the output gate and the cell.
None of it holds exactly, because all depend on the same x_t and h_{t-1}.

Errors measured against 20,000 drawn masks in a network of 40 units, rates 0.1 and 0.3, four
steps: with the moments of sigmoid and tanh integrated numerically the hidden means err
by at most 0.009 and the variances, of which the largest is 0.006, by 0.002. With the paper's
approximations they err by 0.013 and 0.07: the variances are several times too large, because
theirs is not 0 for an input without variance. For the same reason all rates 0 is not the LSTM
without fast dropout: over 50 steps the hidden states of a new network of 200 units differ by 0.02
where the initial sigma^2 of W_rec and W_in are 0.001 and 0.01, by 0.2 where both are 0.01 and by
1.8 where both are 0.1. With the transfer functions' variances held at 0 it is.

References
----------
Bayer et al. 2013, equations 1 and 2. Hochreiter and Schmidhuber 1997, *Long short-term memory*.
Gers, Schmidhuber and Cummins 2000, *Learning to forget*.
"""

from __future__ import annotations

from fdrnn.model.ops.native import NativeOp
from fdrnn.model.ops.recurrence import PACKED


class LstmLayer(NativeOp):
    """Hidden and cell moments of every packed row.

    Parameters
    ----------
    stochastic
        True: means and variances are propagated. False: means only, an ordinary LSTM, which
        ignores both rates and every variance.

    Notes
    -----
    mean and variance are those of the hidden state. The outputs behind cell_variance are for the
    gradient. Without `stochastic` the variances, a, v and c have no rows, and the initial
    variances are ignored.
    """

    __props__ = ("stochastic",)
    inputs = {
        "x": "R D", "n_rows": "int64 T", "mean0": "S H", "variance0": "S0 H", "cell_mean0": "S H",
        "cell_variance0": "S1 H", "W_in": "D 4H", "W_rec": "H 4H", "b": "4H", "p_keep_input": "",
        "p_keep_hidden": "",
    }  # fmt: skip
    outputs = {
        "mean": "R H", "variance": "V H", "cell_mean": "R H", "cell_variance": "V H",
        "gate_mean": "R 4H", "gate_variance": "V 4H", "tanh_mean": "R H", "tanh_variance": "V H",
        "a": "V 4H", "v": "V 4H", "c": "V H",
    }  # fmt: skip
    sizes = {
        "H": "PyArray_DIM(W_rec_, 0)",
        "S0": "params->stochastic ? S : PyArray_DIM(variance0_, 0)",
        "S1": "params->stochastic ? S : PyArray_DIM(cell_variance0_, 0)",
        "V": "params->stochastic ? R : 0",
    }
    checks = PACKED
    parameters = {"stochastic": "bool"}
    with_respect_to = (
        "mean0", "variance0", "cell_mean0", "cell_variance0", "W_in", "W_rec", "b"
    )  # fmt: skip
    gradients_of = ("mean", "variance")
    gradient_outputs = {"da": "R 4H", "dv": "V 4H"}
    sources = ("moments", "affine", "passes", "fast_dropout", "lstm")

    def __init__(self, stochastic: bool = True) -> None:
        self.stochastic = stochastic
        self.empty_outputs = () if stochastic else ("variance",)
        super().__init__()
