"""The interface of model variants: initial parameters, graph, noise and penalty.

A module of this package has the variants of one family, by name, as ``VARIANTS``.
`fdrnn.model.network` and `fdrnn.model.trainer` use this interface alone. A module imports Theano
and `fdrnn.model.ops` inside the functions that build the graph, so that names and hyperparameters
can be imported without them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, TypeVar

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

State: TypeAlias = "tuple[Expression, ...]"
"""The arrays from which sequences begin or resume; see `Variant.state`."""

Noise: TypeAlias = "Mapping[str, Expression] | None"
"""The random arrays of a training step; None in validation and test."""

Built: TypeAlias = "tuple[Activations | FinalLayer, State]"
"""The activations of the output units, and the state after each row."""

PARAMETER_AXES: Mapping[str, int] = {
    "W_in": 2, "W_rec": 2, "b_h": 1, "h0": 2, "W_out": 2, "b_y": 1,
}  # fmt: skip
"""Numbers of axes of the parameters of a network with one recurrent layer, by name."""


TYPICAL: Mapping[str, float] = {
    "step_rate": 0.001, "momentum": 0.9, "decay": 0.9, "sigma2_rec_out": 0.001, "sigma2_in": 0.01,
}  # fmt: skip
"""Values of an ordinary run, whatever the size and the initial recurrence of the network."""


def typical(hyperparameters: type[H], **more: Any) -> H:
    """Return hyperparameters near the paper's choice for JSB Chorales (Table 3).

    Parameters
    ----------
    hyperparameters
        Their class.
    more
        Values of the fields that `Hyperparameters` does not have.
    """
    return hyperparameters(n_hidden=400, **TYPICAL, spectral_radius=1.2, max_incoming=15, **more)


def by_name(*variants: Variant) -> dict[str, Variant]:
    """Return the variants of a module by their names."""
    return {variant.name: variant for variant in variants}


@dataclass(frozen=True, eq=False)
class Symbols:
    """The Theano expressions from which a variant builds its graph.

    Attributes
    ----------
    parameters
        By name, float32: the variant's and the output's.
    scalars
        Rates and flags, 0-d, by name; see `Variant.scalars`.
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
        As in a study definition.
    title
        As in a report.
    typical
        Hyperparameters of an ordinary run, for benchmark and tests. All hyperparameters of the
        variant have its class; a search space must draw exactly its fields.
    plain
        Name of the variant that is this one without its regulariser; its own name if it has
        none. A report prints a study of that variant beside one of this.
    """

    name: str
    title: str
    typical: CommonHyperparameters
    plain: str = "plain"

    parameter_axes: ClassVar[Mapping[str, int]] = PARAMETER_AXES
    """Names of the parameters and their numbers of axes. ``h0`` must be among them, (1, width of a
    state), and ``b_y``, which has an entry for each activation."""

    untrained: ClassVar[frozenset[str]] = frozenset()
    """Parameters that training leaves as they are drawn."""

    scalars: ClassVar[Mapping[str, str]] = {}
    """Names and dtypes (float32, int8) of the scalars that hyperparameters set: rates, flags."""

    state: ClassVar[tuple[str, ...]] = ("mean", "variance")
    """Names of the arrays (n, width) from which a sequence resumes."""

    noise: ClassVar[Mapping[str, tuple[str, int]]] = {}
    """Names of the random arrays of a training step, their dtypes and numbers of axes. With any,
    chunks share no padding, so that each has its own noise."""

    n_products: ClassVar[int] = 2
    """Matrix products of a layer in one direction: 2 where variances need another."""

    n_gates: ClassVar[int] = 1
    """Columns of W_in and W_rec divided by n_hidden."""

    decomposes: ClassVar[bool] = False
    """Whether `fdrnn.model.gradients.decompose` applies: one layer, with dropout variances."""

    @property
    def hyperparameters(self) -> type[CommonHyperparameters]:
        """The class of the hyperparameters."""
        return type(self.typical)

    def initial_parameters(
        self, hyperparameters: Any, n_features: int, n_outputs: int, init_scale: str, seed: int
    ) -> Parameters:
        """Draw the initial parameters from `seed` alone; b_y may be missing, the output sets it.

        Parameters
        ----------
        hyperparameters
            Of the variant's class.
        n_features
            Columns of the data.
        n_outputs
            Columns of W_out; see `fdrnn.model.outputs.base.Output.n_outputs`.
        init_scale
            One of `fdrnn.model.settings.INIT_SCALES`.
        seed
            Seed of the trial.
        """
        from fdrnn.model.initialization import initial_parameters

        return initial_parameters(hyperparameters, n_features, n_outputs, init_scale, seed)

    def n_matrices(self, hyperparameters: Any) -> int:
        """Count the matrices between hidden units, each of `n_gates` times n_hidden columns."""
        return 1

    def recurrent_weights(self, parameters: Parameters) -> npt.NDArray[np.float32]:
        """Return the matrix (H, H) whose spectral radius is recorded."""
        return parameters["W_rec"]

    def scalar_values(self, hyperparameters: Any, n_steps: float) -> Mapping[str, float]:
        """Return the values of `scalars` by name.

        Parameters
        ----------
        hyperparameters
            Of the variant's class.
        n_steps
            Predicted steps of an epoch under the study's padding rule, the divisor of terms that
            belong to the whole data set, such as a divergence between distributions of weights.
        """
        return {}

    def initial_state(self, parameters: Mapping[str, V], zeros: V) -> tuple[V, ...]:
        """Return the state of one row (1, width) with which sequences begin.

        Arrays or expressions, as the arguments are; `zeros` is of the shape of h0.
        """
        return (parameters["h0"], zeros)[: len(self.state)]

    def draw(
        self, rng: np.random.Generator, batch: PackedChunks, n_outputs: int, hyperparameters: Any
    ) -> Mapping[str, npt.NDArray[Any]]:
        """Draw the random arrays of one training step, by name; see `noise`.

        Parameters
        ----------
        rng
            Generator seeded by trial, epoch and minibatch alone.
        batch
            The rows of the step.
        n_outputs
            Columns of W_out.
        hyperparameters
            Of the variant's class.
        """
        return {}

    @abstractmethod
    def activations(self, symbols: Symbols, state: State, noise: Noise) -> Built:
        """Build the network up to the activations of its output units.

        Parameters
        ----------
        symbols
            The symbols of the graph.
        state
            The state from which sequences begin; see `state`.
        noise
            The random arrays in training, empty for a variant without noise; None in validation
            and test.

        Returns
        -------
        activations
            The input of `fdrnn.model.outputs`.
        state
            After each row: arrays (R, width) as in `state`.
        """

    def penalty(self, symbols: Symbols) -> Expression | None:
        """Build the term added to the training loss, 0-d, in nats per predicted step.

        None for no penalty.
        """
        return None
