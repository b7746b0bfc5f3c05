"""Losses of a softmax: of certain activations, and of Gaussian ones by sigma points and draws.

Activations, or their means and variances, have the shape (R, D); targets, the same, are one-hot.
"""

from __future__ import annotations

from fdrnn.model.ops.native import Apply, NativeOp, Variable, disconnected, real_inputs
from fdrnn.model.toolchain import theano

T = theano.tensor


class Softmax(NativeOp):
    """NLL of targets under the softmax of certain activations.

    Inputs: activations, target. Output: nll (R,), in nats; 0 where a target has no class.

    Raises
    ------
    TypeError
        When the graph is built with other dtypes or numbers of axes.
    ValueError
        When it is run with shapes that do not fit.
    """

    _sources = ("softmax_nll",)
    _function = "forward"

    def make_node(self, activations: object, target: object) -> Apply:
        arguments = [("activations", activations, 2), ("target", target, 2)]
        real = real_inputs(type(self).__name__, arguments)
        return theano.graph.basic.Apply(self, real, [T.TensorType(real[0].dtype, (False,))()])

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Gradients flow to the activations."""
        return [[True], [False]]

    def L_op(
        self, inputs: list[Variable], outputs: list[Variable], gradients: list[Variable]
    ) -> list[Variable]:
        return [SoftmaxGradient()(*inputs, *gradients), *disconnected(1)]


class SoftmaxGradient(NativeOp):
    """Gradient of `Softmax` with respect to the activations."""

    _sources = ("softmax_nll_grad",)
    _function = "backward"

    def make_node(self, *arguments: Variable) -> Apply:
        matrix = T.TensorType(arguments[0].dtype, (False, False))
        return theano.graph.basic.Apply(self, list(arguments), [matrix()])


class UnscentedSoftmax(NativeOp):
    """NLL of targets under the average over the activations' sigma points.

    Inputs: mean, variance, target. Output: nll (R,), in nats; 0 where a target has no class. The
    equations stand in `fdrnn.model.outputs.softmax_unscented`.

    Raises
    ------
    TypeError, ValueError
        As for `Softmax`.
    """

    _sources = ("unscented_softmax", "unscented_nll")
    _function = "forward"

    def make_node(self, mean: object, variance: object, target: object) -> Apply:
        arguments = [("mean", mean, 2), ("variance", variance, 2), ("target", target, 2)]
        real = real_inputs(type(self).__name__, arguments)
        return theano.graph.basic.Apply(self, real, [T.TensorType(real[0].dtype, (False,))()])

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Gradients flow to the activations."""
        return [[True], [True], [False]]

    def L_op(
        self, inputs: list[Variable], outputs: list[Variable], gradients: list[Variable]
    ) -> list[Variable]:
        return [*UnscentedSoftmaxGradient()(*inputs, *gradients), *disconnected(1)]


class UnscentedSoftmaxGradient(NativeOp):
    """Gradient of `UnscentedSoftmax` with respect to mean and variance."""

    _sources = ("unscented_softmax", "unscented_nll_grad")
    _function = "backward"

    def make_node(self, *arguments: Variable) -> Apply:
        matrix = T.TensorType(arguments[0].dtype, (False, False))
        return theano.graph.basic.Apply(self, list(arguments), [matrix(), matrix()])


class AveragedSoftmax(NativeOp):
    """NLL of targets under (1 / N) sum_i softmax(mean + draws_i sqrt(variance)).

    Inputs: mean, variance; draws (N, D), the same for every row; target. Output: nll (R,), in
    nats. It has no gradient: training draws once, by other operations.

    Raises
    ------
    TypeError, ValueError
        As for `Softmax`.
    """

    _sources = ("averaged_softmax",)
    _function = "forward"

    def make_node(self, mean: object, variance: object, draws: object, target: object) -> Apply:
        arguments = [
            ("mean", mean, 2), ("variance", variance, 2), ("draws", draws, 2), ("target", target, 2)
        ]  # fmt: skip
        real = real_inputs(type(self).__name__, arguments)
        return theano.graph.basic.Apply(self, real, [T.TensorType(real[0].dtype, (False,))()])
