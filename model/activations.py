"""The pre-synaptic activations of the output units: what a variant returns to an output.

They are Gaussian variables, one for each packed row and activation of the output, treated as
independent; those of a network without variances are certain. Shapes: R rows, H hidden units, A
activations of a row, for most outputs one for each column. Theano is imported where a graph is
built.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from fdrnn.model.moments import Expression

SMALLEST_VARIANCE = 1e-30
"""An activation of a smaller variance is certain: a deviation has no derivative at 0."""


Moments: TypeAlias = "tuple[Expression, Expression | None]"
"""E[a] and V[a]; None for no variance."""


@dataclass(frozen=True, eq=False)
class Activations:
    """Activations of given moments.

    Attributes
    ----------
    mean
        E[a], shape (R, A).
    variance
        V[a], the same shape; None where there is none.
    """

    mean: Expression
    variance: Expression | None = None

    def moments(self) -> Moments:
        """Return E[a] and V[a]."""
        return self.mean, self.variance


@dataclass(frozen=True, eq=False)
class FinalLayer:
    """The activations a = (d * h) W + b of an affine layer on the hidden state h.

    Attributes
    ----------
    mean, variance
        Moments of h, shape (R, H); an ordinary layer ignores the variance.
    W, b
        Shapes (H, A) and (A,).
    p_keep
        Of the hidden state, 0-d; None for an ordinary layer.
    fast_dropout
        0-d int8: 0 makes an ordinary layer of it; None for an ordinary layer.
    noise
        Shape (R, A): the layer returns the draw E[a] + noise sqrt(V[a]), which has no variance.
        None for no draw.
    """

    mean: Expression
    variance: Expression
    W: Expression
    b: Expression
    p_keep: Expression | None = None
    fast_dropout: Expression | None = None
    noise: Expression | None = None

    def affine(self) -> Moments:
        """Build E[a] and V[a] (equations 1 and 2), V[a] = 0 where fast dropout is switched off.

        V[a] is None for a layer that is an ordinary one in every network of the variant.
        """
        from fdrnn.model.ops import AffineMomentsOfEveryRow, OwnWeightsProduct

        if self.p_keep is None:
            return OwnWeightsProduct()(self.mean, self.W.dimshuffle("x", 0, 1)) + self.b, None
        layer = self.mean, self.variance, self.W, self.b
        moments: Moments = AffineMomentsOfEveryRow()(*layer, *self.rates())
        return moments

    def rates(self) -> tuple[Expression, Expression]:
        """Return p_keep and whether the layer uses it: 1 and 0 for an ordinary layer."""
        from fdrnn.model.toolchain import theano

        T = theano.tensor
        if self.p_keep is None:
            return T.constant(1, dtype=self.W.dtype), T.constant(0, dtype="int8")
        return self.p_keep, self.fast_dropout

    def native(self) -> list[Expression]:
        """Build E[a] and V[a] by one operation; V[a] has no rows for an ordinary layer."""
        from fdrnn.model.ops import AffineMoments

        layer = self.mean, self.variance, self.W, self.b
        moments: list[Expression] = AffineMoments()(*layer, *self.rates())
        return moments

    def moments(self) -> Moments:
        """Build the moments of the activations, or of their draw."""
        return self.drawn(self.affine())

    def drawn(self, moments: Moments) -> Moments:
        """Build the draw of activations of these moments, or return them where there is none."""
        mean, variance = moments
        if self.noise is None or variance is None:
            return mean, variance
        return mean + self.noise * deviation(variance), None


def deviation(variance: Expression) -> Expression:
    """Build the standard deviation, whose derivative is 0 where there is no variance."""
    from fdrnn.model.toolchain import theano

    T = theano.tensor
    return T.sqrt(T.maximum(variance, T.constant(SMALLEST_VARIANCE, dtype=variance.dtype)))
