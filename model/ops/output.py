"""The output layer with its loss, and its gradient."""

from __future__ import annotations

from fdrnn.model.ops.native import (
    Apply,
    DisconnectedType,
    NativeOp,
    Variable,
    disconnected,
    integer_input,
    real_inputs,
)
from fdrnn.model.toolchain import theano

T = theano.tensor
ParamsType = theano.graph.params_type.ParamsType


class _OutputBase(NativeOp):
    """What the layer and its gradient share: whether activations are drawn."""

    __props__ = ("sampled",)
    params_type = ParamsType(sampled=theano.scalar.bool)

    def __init__(self, sampled: bool = False) -> None:
        self.sampled = sampled
        super().__init__()


class BernoulliOutput(_OutputBase):
    """Output layer with sigmoid units and its cross entropy.

    Parameters
    ----------
    sampled
        Whether fast dropout draws the pre-synaptic activation, z_mean + noise sqrt(z_variance),
        in the place of the moments of the sigmoid.

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

    _sources = ("output",)
    _function = "forward"

    def make_node(
        self,
        mean: object,
        variance: object,
        W: object,
        b: object,
        target: object,
        p_keep: object,
        fast_dropout: object,
        noise: object = None,
    ) -> Apply:
        name = type(self).__name__
        if noise is None:
            if self.sampled:
                raise TypeError(f"{name}: a sampled layer needs noise")
            noise = target  # not looked at
        real = real_inputs(
            name,
            [
                ("mean", mean, 2),
                ("variance", variance, 2),
                ("W", W, 2),
                ("b", b, 1),
                ("target", target, 2),
                ("p_keep", p_keep, 0),
                ("noise", noise, 2),
            ],
        )
        flag = integer_input(name, "fast_dropout", fast_dropout, "int8", 0)
        matrix, vector = (T.TensorType(real[0].dtype, (False,) * n) for n in (2, 1))
        return theano.graph.basic.Apply(self, [*real, flag], [vector(), matrix(), matrix()])

    def connection_pattern(self, node: Apply) -> list[list[bool]]:
        """Gradients flow to the hidden moments, the weights and the bias only."""
        return [[i < 4] * 3 for i in range(len(node.inputs))]

    def L_op(
        self, inputs: list[Variable], outputs: list[Variable], gradients: list[Variable]
    ) -> list[Variable]:
        if any(not isinstance(g.type, DisconnectedType) for g in gradients[1:]):
            raise TypeError("BernoulliOutput: only nll has a gradient, not z_mean or z_variance")
        mean, variance, W, _, target, p_keep, noise, flag = inputs
        _, z_mean, z_variance = outputs
        dmean, dvariance, dW, db = BernoulliOutputGradient(self.sampled)(
            mean, variance, W, target, p_keep, noise, flag, z_mean, z_variance, gradients[0]
        )
        return [dmean, dvariance, dW, db, *disconnected(4)]


class BernoulliOutputGradient(_OutputBase):
    """Gradient of `BernoulliOutput` with respect to hidden moments, W and b."""

    _sources = ("output_grad",)
    _function = "backward"

    def make_node(self, *arguments: Variable) -> Apply:
        dtype = arguments[0].dtype
        matrix, vector = (T.TensorType(dtype, (False,) * n) for n in (2, 1))
        return theano.graph.basic.Apply(
            self, list(arguments), [matrix(), matrix(), matrix(), vector()]
        )
