"""What a model variant is: how its network begins, computes, is regularised and is tested.

A variant is one module of this package, named like the variant, with the object ``VARIANT``.
`fdrnn.model.network` and `fdrnn.model.trainer` know variants by what stands here alone. A module
imports what compiles (`fdrnn.model.ops`, Theano) inside the functions that build the graph, so
that names and hyperparameters are there for whoever does not train.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np

from fdrnn.model.settings import CommonHyperparameters, Hyperparameters

if TYPE_CHECKING:
    import numpy.typing as npt

    from fdrnn.model.activations import Activations, FinalLayer
    from fdrnn.model.initialization import Parameters
    from fdrnn.model.moments import Expression
    from fdrnn.model.packing import PackedChunks

V = TypeVar("V")
H = TypeVar("H", bound=Hyperparameters)

PARAMETER_AXES: Mapping[str, int] = {
    "W_in": 2, "W_rec": 2, "b_h": 1, "h0": 2, "W_out": 2, "b_y": 1,
}  # fmt: skip
"""Parameters of a network with one recurrent layer, and their numbers of axes."""


def typical(hyperparameters: type[H], **more: Any) -> H:
    """Return hyperparameters near the paper's choice for JSB Chorales (Table 3).

    Parameters
    ----------
    hyperparameters
        Their class.
    more
        Values of its fields beyond those of `Hyperparameters`.
    """
    return hyperparameters(
        n_hidden=400,
        step_rate=0.001,
        momentum=0.9,
        decay=0.9,
        sigma2_rec_out=0.001,
        sigma2_in=0.01,
        spectral_radius=1.2,
        max_incoming=15,
        **more,
    )


@dataclass(frozen=True, eq=False)
class Symbols:
    """The Theano expressions from which a variant builds its graph.

    Attributes
    ----------
    parameters
        By name, float32: the variant's and the output's.
    scalars
        Their numbers, 0-d, by name; see `Variant.scalars`.
    x, target
        Packed rows (see `fdrnn.model.packing`), float32, shape (R, n_features).
    n_rows
        int64, shape (T,).
    zeros
        float32, of the shape of h0: a state without variance.
    """

    parameters: Mapping[str, Expression]
    scalars: Mapping[str, Expression]
    x: Expression
    target: Expression
    n_rows: Expression
    zeros: Expression


@dataclass(frozen=True, kw_only=True)
class Variant(ABC):
    """A recurrent network that a study can name.

    Attributes
    ----------
    name
        As in a study definition; the name of its module.
    title
        As in a report.
    typical
        Hyperparameters of an ordinary run, for benchmark and tests; of the class of which all
        the variant's hyperparameters are. A search space must draw exactly its fields.
    """

    name: str
    title: str
    typical: CommonHyperparameters

    parameter_axes: ClassVar[Mapping[str, int]] = PARAMETER_AXES
    """Names of the parameters and their numbers of axes. ``h0`` must be (1, n_hidden)."""

    scalars: ClassVar[Mapping[str, str]] = {}
    """Names and dtypes (float32, int8) of the numbers that hyperparameters set: rates, flags."""

    state: ClassVar[tuple[str, ...]] = ("mean", "variance")
    """Names of the arrays (n, width) from which a sequence goes on."""

    noise: ClassVar[Mapping[str, tuple[str, int]]] = {}
    """Names of the random arrays of a training step, their dtypes and numbers of axes. With any,
    every chunk has rows of its own (no padding is shared), so that each has its own noise."""

    n_products: ClassVar[int] = 2
    """Matrix products of a layer in one direction: 2 where variances have one of their own."""

    n_gates: ClassVar[int] = 1
    """Columns of W_in and W_rec by n_hidden."""

    decomposes: ClassVar[bool] = False
    """Whether `fdrnn.model.gradients.decomposition` applies: the layer passes dropout variances."""

    @property
    def hyperparameters(self) -> type[CommonHyperparameters]:
        """The class of its hyperparameters."""
        return type(self.typical)

    def initial_parameters(
        self, hyperparameters: Any, n_features: int, init_scale: str, seed: int
    ) -> Parameters:
        """Draw the initial parameters from `seed` alone.

        Parameters
        ----------
        hyperparameters
            Of the variant's class.
        n_features
            Columns of the data.
        init_scale
            One of `fdrnn.model.settings.INIT_SCALES`.
        seed
            The trial's.
        """
        from fdrnn.model.initialization import initial_parameters

        return initial_parameters(hyperparameters, n_features, init_scale, seed)

    def recurrent_weights(self, parameters: Parameters) -> npt.NDArray[np.float32]:
        """Return the (H, H) matrix whose spectral radius is recorded."""
        return parameters["W_rec"]

    def scalar_values(self, hyperparameters: Any, n_steps: float) -> Mapping[str, float]:
        """Return the value of each of `scalars`.

        Parameters
        ----------
        hyperparameters
            Of the variant's class.
        n_steps
            Predicted steps of an epoch under the study's padding rule: by these divides what is
            a sum over the data set, such as a divergence between distributions of weights.
        """
        return {}

    def initial_state(self, parameters: Mapping[str, V], zeros: V) -> tuple[V, ...]:
        """Return the state of one row (1, width) with which sequences begin.

        Arrays or expressions, as the arguments are; `zeros` is of the shape of h0.
        """
        return (parameters["h0"], zeros)[: len(self.state)]

    def draw(
        self, rng: np.random.Generator, batch: PackedChunks, hyperparameters: Any
    ) -> Mapping[str, npt.NDArray[Any]]:
        """Draw the random arrays of one training step, by name; see `noise`.

        Parameters
        ----------
        rng
            Seeded by trial, epoch and minibatch alone.
        batch
            The rows that they are for.
        hyperparameters
            Of the variant's class.
        """
        return {}

    @abstractmethod
    def activations(
        self,
        symbols: Symbols,
        state: tuple[Expression, ...],
        noise: Mapping[str, Expression] | None,
    ) -> tuple[Activations | FinalLayer, tuple[Expression, ...]]:
        """Build the network up to the activations of its output units.

        Parameters
        ----------
        symbols
            What it is built from.
        state
            Where its sequences begin; see `state`.
        noise
            The random arrays in training, none for a variant without noise; None in validation
            and test.

        Returns
        -------
        activations
            What `fdrnn.model.outputs` makes a loss of.
        state
            After each row: arrays (R, width) as in `state`.
        """

    def penalty(self, symbols: Symbols) -> Expression | None:
        """Build what is added to the mean NLL per predicted step, 0-d, in training alone.

        None for nothing.
        """
        return None
