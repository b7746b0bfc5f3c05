r"""The native LSTM layer over packed rows, with and without fast dropout.

Without fast dropout it is the LSTM with a forget gate and without peepholes (Hochreiter and
Schmidhuber 1997; Gers, Schmidhuber and Cummins 2000):

.. math::

    i, f, o &= \sigma(x_t W_{in} + h_{t-1} W_{rec} + b), \qquad
    g = \tanh(x_t W_{in} + h_{t-1} W_{rec} + b) \\
    c_t &= f c_{t-1} + i g, \qquad h_t = o \tanh(c_t)

each gate with its own H columns of W_in (D, 4 H), W_rec (H, 4 H) and b (4 H,), side by side in
the order i, f, o, g.

With fast dropout, x_t and h_{t-1} are dropped out with rates of their own on their way into the
gates; the cell, which carries the memory, is not. The means and variances of the gates'
pre-synaptic activations are those of equations 1 and 2 of Bayer et al. 2013, the gates' moments
those of the sigmoid and tanh in `fdrnn.model.moments`, and

.. math::

    E[x y] = E[x] E[y], \qquad V[x y] = V[x] V[y] + V[x] E[y]^2 + V[y] E[x]^2

for each of the three products. That takes for independent, at every unit and step: the gates of
one another, the forget gate of the cell before, the two summands of the cell of each other, and
the output gate of the cell. None of it holds exactly, because all depend on the same x_t and
h_{t-1}.

How far that leads, measured against 20,000 drawn masks in a network of 40 units, rates 0.1 and
0.3, four steps: with the moments of sigmoid and tanh integrated numerically the hidden means err
by at most 0.005 and the variances, of which the largest is 0.006, by 0.002. With the paper's
approximations they err by 0.011 and 0.056: the variances are several times too large, because
theirs is not 0 for an input without variance. For the same reason all rates 0 is not the LSTM
without fast dropout: over 50 steps the hidden states differ by at most 0.03 (40 units) or 0.05
(200 units). With the transfer functions' variances held at 0 it is.

References
----------
Bayer et al. 2013, equations 1 and 2. Hochreiter and Schmidhuber 1997, *Long short-term memory*.
Gers, Schmidhuber and Cummins 2000, *Learning to forget*.
"""

from __future__ import annotations

from fdrnn.model.ops.native import (
    Apply,
    DisconnectedType,
    NativeOp,
    Variable,
    disconnected,
    integer_input,
    or_itself,
    or_zeros,
    real_inputs,
)
from fdrnn.model.toolchain import theano

T = theano.tensor
ParamsType = theano.graph.params_type.ParamsType


class _LstmBase(NativeOp):
    """What the layer and its gradient share.

    Parameters
    ----------
    stochastic
        True: means and variances are propagated. False: means only, an ordinary LSTM, which
        ignores both rates and every variance.
    """

    __props__ = ("stochastic",)
    params_type = ParamsType(stochastic=theano.scalar.bool)

    def __init__(self, stochastic: bool = True) -> None:
        self.stochastic = stochastic
        super().__init__()


class LstmLayer(_LstmBase):
    """Hidden and cell moments of every packed row.

    Inputs: x (R, D); n_rows int64 (T,); initial mean, variance, cell mean and cell variance
    (S, H); W_in (D, 4 H); W_rec (H, 4 H); b (4 H,); and two 0-d rates: p_keep of the input and
    p_keep of the hidden state.

    Outputs: mean and variance (R, H) of the hidden state; cell mean and cell variance (R, H),
    for a state to go on from; and for the gradient alone gate mean and variance (R, 4 H), tanh
    mean and variance (R, H) of the cell, a and v (R, 4 H; pre-synaptic moments) and c (R, H).
    Without `stochastic` the variances, a, v and c have no rows, and the initial variances are
    not looked at.

    Raises
    ------
    TypeError
        When the graph is built with other dtypes or numbers of axes.
    ValueError
        When it is run with shapes that do not fit.
    """

    _sources = ("moments", "lstm")
    _function = "forward"

    def make_node(
        self,
        x: object,
        n_rows: object,
        mean0: object,
        variance0: object,
        cell_mean0: object,
        cell_variance0: object,
        W_in: object,
        W_rec: object,
        b: object,
        p_keep_input: object,
        p_keep_hidden: object,
    ) -> Apply:
        name = type(self).__name__
        real = real_inputs(
            name,
            [
                ("x", x, 2),
                ("initial mean", mean0, 2),
                ("initial variance", variance0, 2),
                ("initial cell mean", cell_mean0, 2),
                ("initial cell variance", cell_variance0, 2),
                ("W_in", W_in, 2),
                ("W_rec", W_rec, 2),
                ("b", b, 1),
                ("p_keep_input", p_keep_input, 0),
                ("p_keep_hidden", p_keep_hidden, 0),
            ],
        )
        rows = integer_input(name, "n_rows", n_rows, "int64", 1)
        matrix = T.TensorType(real[0].dtype, (False, False))
        return theano.graph.basic.Apply(
            self, [real[0], rows, *real[1:]], [matrix() for _ in range(11)]
        )

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Gradients flow to the initial state, the weights and the bias only."""
        return [[2 <= i <= 8] * 11 for i in range(len(node.inputs))]

    def L_op(
        self, inputs: list[Variable], outputs: list[Variable], gradients: list[Variable]
    ) -> list[Variable]:
        if any(not isinstance(g.type, DisconnectedType) for g in gradients[2:]):
            raise TypeError(
                "LstmLayer: only mean and variance have gradients, not the outputs behind them"
            )
        state_and_weights = LstmLayerGradient(self.stochastic)(
            *inputs,
            *outputs,
            or_zeros(gradients[0], outputs[0]),
            (or_zeros if self.stochastic else or_itself)(gradients[1], outputs[1]),
        )[:7]
        return [*disconnected(2), *state_and_weights, *disconnected(2)]


class LstmLayerGradient(_LstmBase):
    """Gradient of `LstmLayer`.

    Inputs: those of the layer, its outputs, and the gradients of its mean and variance. Outputs:
    the gradients of the initial mean, variance, cell mean and cell variance, W_in, W_rec and b;
    and da, dv, those of the pre-synaptic moments of every row.
    """

    _sources = ("moments", "lstm_grad")
    _function = "backward"

    def make_node(self, *arguments: Variable) -> Apply:
        dtype = arguments[0].dtype
        axes = (2, 2, 2, 2, 2, 2, 1, 2, 2)
        outputs = [T.TensorType(dtype, (False,) * n)() for n in axes]
        return theano.graph.basic.Apply(self, list(arguments), outputs)
