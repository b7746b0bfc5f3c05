r"""The native layers with Gaussian weights: fast adaptive weight noise.

Equations 5 and 6 of Bayer et al. 2013, at every step, with W ~ N(M, S) elementwise and without
dropout:

.. math::

    E[a_t] &= x_t M_{in} + E[h_{t-1}] M_{rec} + b \\
    V[a_t] &= x_t^2 S_{in} + V[h_{t-1}] (M_{rec}^2 + S_{rec}) + E[h_{t-1}]^2 S_{rec}

with all squares elementwise, then the moments of tanh in `fdrnn.model.moments`; and the same
without the input for an output layer. The paper leaves
open how this goes on over time. Here, as its equations read, h_{t-1} is taken for independent of
W, and the components of h_{t-1} for independent of one another; in a network whose one draw of
W lasts for a whole sequence both are not. Biases and the initial state have no variance.

Without any variance of the weights this is not quite the ordinary layer, because the variance of
tanh by the paper's approximation is not 0 for an input without variance: over 50 steps the hidden
means differ by up to 0.1.
"""

from __future__ import annotations

from fdrnn.model.ops.native import (
    Apply,
    DisconnectedType,
    NativeOp,
    Variable,
    disconnected,
    integer_input,
    or_zeros,
    real_inputs,
)
from fdrnn.model.toolchain import theano

T = theano.tensor


class GaussianWeightsLayer(NativeOp):
    """Hidden moments of every packed row.

    Inputs: x (R, D); n_rows int64 (T,); initial mean and variance (S, H); means and variances
    (not negative) of W_in (D, H) and of W_rec (H, H); b (H,).

    Outputs: mean and variance (R, H); and for the gradient alone a, v (R, H; pre-synaptic
    moments) and u (R, 2 H; variance, then squared mean).

    Raises
    ------
    TypeError
        When the graph is built with other dtypes or numbers of axes.
    ValueError
        When it is run with shapes that do not fit.
    """

    _sources = ("moments", "gaussian", "gaussian_weights")
    _function = "forward"

    def make_node(
        self,
        x: object,
        n_rows: object,
        mean0: object,
        variance0: object,
        W_in_mean: object,
        W_in_variance: object,
        W_rec_mean: object,
        W_rec_variance: object,
        b: object,
    ) -> Apply:
        name = type(self).__name__
        real = real_inputs(
            name,
            [
                ("x", x, 2),
                ("initial mean", mean0, 2),
                ("initial variance", variance0, 2),
                ("mean of W_in", W_in_mean, 2),
                ("variance of W_in", W_in_variance, 2),
                ("mean of W_rec", W_rec_mean, 2),
                ("variance of W_rec", W_rec_variance, 2),
                ("b", b, 1),
            ],
        )
        rows = integer_input(name, "n_rows", n_rows, "int64", 1)
        matrix = T.TensorType(real[0].dtype, (False, False))
        return theano.graph.basic.Apply(
            self, [real[0], rows, *real[1:]], [matrix() for _ in range(5)]
        )

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Gradients flow to the initial state, the weights and the bias only."""
        return [[i >= 2] * 5 for i in range(len(node.inputs))]

    def L_op(
        self, inputs: list[Variable], outputs: list[Variable], gradients: list[Variable]
    ) -> list[Variable]:
        if any(not isinstance(g.type, DisconnectedType) for g in gradients[2:]):
            raise TypeError(
                "GaussianWeightsLayer: a, v and u serve its gradient alone; they have none "
                "themselves"
            )
        state_and_weights = GaussianWeightsLayerGradient()(
            *inputs,
            *outputs,
            or_zeros(gradients[0], outputs[0]),
            or_zeros(gradients[1], outputs[1]),
        )[:7]
        return [*disconnected(2), *state_and_weights]


class GaussianWeightsLayerGradient(NativeOp):
    """Gradient of `GaussianWeightsLayer`.

    Inputs: those of the layer, its outputs, and the gradients of its mean and variance. Outputs:
    the gradients of its inputs from the initial mean on; and da, dv, those of the pre-synaptic
    moments of every row.
    """

    _sources = ("moments", "gaussian", "gaussian_weights_grad")
    _function = "backward"

    def make_node(self, *arguments: Variable) -> Apply:
        dtype = arguments[0].dtype
        axes = (2, 2, 2, 2, 2, 2, 1, 2, 2)
        outputs = [T.TensorType(dtype, (False,) * n)() for n in axes]
        return theano.graph.basic.Apply(self, list(arguments), outputs)


class GaussianWeightsProduct(NativeOp):
    """Pre-synaptic moments of a layer with Gaussian weights.

    Inputs: mean and variance (R, H); means and variances of W (H, D); b (D,). Outputs: mean and
    variance (R, D) by equations 5 and 6.

    Raises
    ------
    TypeError, ValueError
        As for `GaussianWeightsLayer`.
    """

    _sources = ("gaussian", "gaussian_product")
    _function = "forward"

    def make_node(
        self, mean: object, variance: object, W_mean: object, W_variance: object, b: object
    ) -> Apply:
        real = real_inputs(
            type(self).__name__,
            [
                ("mean", mean, 2),
                ("variance", variance, 2),
                ("mean of W", W_mean, 2),
                ("variance of W", W_variance, 2),
                ("b", b, 1),
            ],
        )
        matrix = T.TensorType(real[0].dtype, (False, False))
        return theano.graph.basic.Apply(self, real, [matrix(), matrix()])

    def L_op(
        self, inputs: list[Variable], outputs: list[Variable], gradients: list[Variable]
    ) -> list[Variable]:
        like = [or_zeros(g, output) for g, output in zip(gradients, outputs, strict=True)]
        products: list[Variable] = GaussianWeightsProductGradient()(*inputs[:4], *like)
        return products


class GaussianWeightsProductGradient(NativeOp):
    """Gradient of `GaussianWeightsProduct` with respect to its inputs.

    Inputs: those of the product but b, and the gradients of its outputs.
    """

    _sources = ("gaussian", "gaussian_product_grad")
    _function = "backward"

    def make_node(self, *arguments: Variable) -> Apply:
        dtype = arguments[0].dtype
        outputs = [T.TensorType(dtype, (False,) * n)() for n in (2, 2, 2, 2, 1)]
        return theano.graph.basic.Apply(self, list(arguments), outputs)
