"""The interface of outputs: the data they fit, loss, parameters and predictions.

An output is one module of this package, named like the output, with the object ``OUTPUT``. It
reads the pre-synaptic activations that a variant returns (`fdrnn.model.activations`), one for each
column of the data unless it asks for others, and does not depend on the variant. A module imports
Theano inside the functions that build the graph, as variants do.

The loss is an expression; what a trained network predicts is computed in NumPy, in double
precision, from the activations' moments.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from fdrnn.datasets import KINDS

if TYPE_CHECKING:
    from fdrnn.model.activations import Activations, FinalLayer, Moments
    from fdrnn.model.initialization import Parameters
    from fdrnn.model.moments import Expression
    from fdrnn.model.packing import PackedChunks
    from fdrnn.model.settings import TrainingSettings
    from fdrnn.model.variants.base import Symbols

Array = npt.NDArray[np.float64]

Arrays: TypeAlias = "Mapping[str, Expression]"
"""Random or fixed arrays of a graph, by name."""

ArrayMoments: TypeAlias = "tuple[Array, Array | None]"
"""E[a] and V[a] of a trained network's activations, (n, A); None for no variance."""

Built: TypeAlias = "Activations | FinalLayer"
"""The activations that a variant builds."""


@dataclass(frozen=True, kw_only=True)
class OutputHyperparameters:
    """The hyperparameters of an output: none, unless a subclass has fields."""


_DIVERGENCE_FACTOR = 2.0
_DIVERGENCE_FLOOR = 1.0
"""Nats a frame; a lower best NLL counts as this one, since a good one may be close to 0."""


@dataclass(frozen=True, kw_only=True)
class Output(ABC):
    """A predictive distribution of frames that a study can name.

    Attributes
    ----------
    name
        As in a study definition; the name of its module.
    title
        As in a report.
    typical
        Hyperparameters of an ordinary run. All hyperparameters of the output have its class; a
        search space must draw exactly its fields beside the variant's.
    """

    name: str
    title: str
    typical: OutputHyperparameters = OutputHyperparameters()

    kind: ClassVar[str]
    """The kind of data it fits, one of `fdrnn.datasets.KINDS`."""

    counts_padding: ClassVar[bool] = True
    """Whether the output can predict a prepended frame."""

    parameter_axes: ClassVar[Mapping[str, int]] = {}
    """Names of its parameters and their numbers of axes."""

    untrained: ClassVar[frozenset[str]] = frozenset()
    """Parameters that training leaves as they are drawn."""

    scalars: ClassVar[Mapping[str, str]] = {}
    """Names and dtypes of scalars that follow from the data."""

    noise: ClassVar[Mapping[str, tuple[str, int]]] = {}
    """Random arrays of a training step; as `fdrnn.model.variants.Variant.noise`."""

    fixed: ClassVar[Mapping[str, tuple[str, int]]] = {}
    """Arrays of validation and test, the same for every network; declared as `noise`."""

    def __post_init__(self) -> None:
        kind = getattr(self, "kind", None)
        if kind not in KINDS:
            raise ValueError(f"kind of output {self.name!r} must be one of {KINDS}, got {kind!r}")

    @property
    def hyperparameters(self) -> type[OutputHyperparameters]:
        """The class of the hyperparameters."""
        return type(self.typical)

    def n_outputs(self, hyperparameters: Any, n_features: int) -> int:
        """Return the number of activations a frame: columns of W_out and b_y."""
        return n_features

    def initial_parameters(
        self, hyperparameters: Any, n_features: int, settings: TrainingSettings, seed: int
    ) -> Parameters:
        """Draw initial parameters that extend or replace the variant's, from `seed` alone.

        By default the bias b_y of the activations is `output_bias`.

        Parameters
        ----------
        hyperparameters
            Of the output's class.
        n_features
            Columns of the data.
        settings
            Of them `output_bias` and `init_scale`.
        seed
            Seed of the trial.
        """
        n_outputs = self.n_outputs(hyperparameters, n_features)
        return {"b_y": np.full(n_outputs, settings.output_bias, np.float32)}

    def scalar_values(self, log_scale: float) -> Mapping[str, float]:
        """Return the values of `scalars` by name.

        Parameters
        ----------
        log_scale
            Sum over columns of the logarithm of the unit in which the network sees the data.
        """
        return {}

    def draw(
        self, rng: np.random.Generator, batch: PackedChunks
    ) -> Mapping[str, npt.NDArray[np.float32]]:
        """Draw the random arrays of one training step, after the variant's."""
        return {}

    def fixed_arrays(self, n_features: int) -> Mapping[str, npt.NDArray[np.float32]]:
        """Return the arrays of `fixed` by name."""
        return {}

    @abstractmethod
    def nll_of(self, moments: Moments, symbols: Symbols, noise: Arrays) -> Expression:
        """Build the loss from the moments of the activations, shape (R, A).

        Parameters
        ----------
        moments
            E[a] and V[a]; None for no variance.
        symbols
            Target, parameters and scalars.
        noise
            The random arrays of training; in validation and test those of `fixed`.

        Returns
        -------
        nll
            Shape (R,): nats per row, summed over columns.
        """

    def nll(self, activations: Built, symbols: Symbols, noise: Arrays) -> Expression:
        """Build the loss from activations, as `nll_of` from their moments."""
        return self.nll_of(activations.moments(), symbols, noise)

    def presynaptic(self, activations: Built, symbols: Symbols) -> list[Expression]:
        """Build E[a] and, if there is one, V[a], for `expectation` and `realize`."""
        return [moment for moment in activations.moments() if moment is not None]

    def has_diverged(self, valid_nll: float, best: float, n_features: int) -> bool:
        """Return whether a validation NLL is so far above the best that training has diverged.

        An NLL of probabilities is not negative; by default it may not pass both twice its best and
        2 nats.
        """
        return valid_nll > _DIVERGENCE_FACTOR * max(best, _DIVERGENCE_FLOOR)

    @abstractmethod
    def expectation(self, moments: ArrayMoments, parameters: Parameters, target: Array) -> Array:
        """Return the expected frames, (n, D).

        Where columns depend on each other, the expectation of a column is that given the columns
        before it in `target`, the frames themselves.
        """

    def deviation(self, moments: ArrayMoments, parameters: Parameters) -> Array | None:
        """Return the predictions' standard deviations, (n, D); None where the mean implies them."""
        return None

    def variates(self, rng: np.random.Generator, n_steps: int, n_features: int) -> Array:
        """Draw the random numbers of `realize`, one row a step."""
        return rng.random((n_steps, n_features))

    @abstractmethod
    def realize(
        self, moments: ArrayMoments, parameters: Parameters, variates: Array
    ) -> npt.NDArray[Any]:
        """Return a frame (D,) drawn from the prediction of moments (A,) by one row of variates."""
