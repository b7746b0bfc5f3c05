r"""rmsprop with Nesterov momentum and gradient clipping.

With parameters theta, velocity u (0 at first) and mean square r (1 at first), one update is

.. math::

    \theta' &= \theta - \beta u \\
    g &= \nabla L(\theta') \cdot \min(1, c / \lVert \nabla L(\theta') \rVert) \\
    r &\leftarrow \gamma r + (1 - \gamma) g^2 \\
    w &= \alpha g / \sqrt{r + \epsilon} \\
    \theta &\leftarrow \theta' - w, \qquad u \leftarrow \beta u + w

with step rate alpha, momentum beta, decay gamma, clipping norm c over all parameters together,
and epsilon = 1e-8.

References
----------
Tieleman and Hinton 2012, lecture 6.5. Sutskever 2013, thesis, section 7.2. Pascanu et al. 2012
for the clipping. The paper names the combination and leaves its form open; this is the one of
the authors' published code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fdrnn.model.moments import Expression
from fdrnn.model.ops import Norm
from fdrnn.model.toolchain import theano

T = theano.tensor

EPSILON = 1e-8


@dataclass(frozen=True)
class OptimizerState:
    """The optimizer's shared variables by parameter name.

    Attributes
    ----------
    velocity
        u, 0 at first.
    mean_square
        r, 1 at first.
    """

    velocity: Mapping[str, Any]
    mean_square: Mapping[str, Any]


def look_ahead(
    parameters: Mapping[str, Any], state: OptimizerState, momentum: Expression
) -> dict[str, Expression]:
    """Return theta', the parameters at which the gradient of an update is taken.

    Parameters
    ----------
    parameters
        Shared variables by name.
    state
        Shared variables of the same shapes.
    momentum
        beta, 0-d, of the parameters' dtype.
    """
    return {name: value - momentum * state.velocity[name] for name, value in parameters.items()}


def rmsprop_nesterov(
    loss: Expression,
    ahead: Mapping[str, Expression],
    parameters: Mapping[str, Any],
    state: OptimizerState,
    step_rate: Expression,
    momentum: Expression,
    decay: Expression,
    clip_norm: Expression,
) -> tuple[Expression, list[tuple[Any, Expression]]]:
    """Build the gradient norm and the updates of one step.

    Parameters
    ----------
    loss
        0-d, a function of `ahead`.
    ahead
        theta' by name, from `look_ahead`.
    parameters
        Shared variables by name.
    state
        Shared variables of the same shapes.
    step_rate, momentum, decay, clip_norm
        alpha, beta, gamma, c: 0-d, of the parameters' dtype.

    Returns
    -------
    gradient_norm
        Euclidean norm of the gradient over all parameters, before clipping. Squares are added in
        double precision, so that it is finite wherever float32 can hold it.
    updates
        For ``theano.function``.
    """
    names = list(parameters)
    gradients = dict(zip(names, theano.grad(loss, [ahead[name] for name in names]), strict=True))
    norm = Norm()(*gradients.values())
    one = T.constant(1.0, dtype=norm.dtype)
    epsilon = T.constant(EPSILON, dtype=norm.dtype)
    shrink = clip_norm / T.maximum(norm, clip_norm)
    updates = []
    for name in names:
        gradient = shrink * gradients[name]
        mean_square = decay * state.mean_square[name] + (one - decay) * gradient**2
        step = step_rate * gradient / T.sqrt(mean_square + epsilon)
        updates += [
            (state.mean_square[name], mean_square),
            (parameters[name], ahead[name] - step),
            (state.velocity[name], momentum * state.velocity[name] + step),
        ]
    return norm, updates
