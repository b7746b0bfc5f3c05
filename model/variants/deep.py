r"""Several hidden layers: stack, deep transition, deep output, with fast dropout and without.

All layers have `n_hidden` tanh units. With L layers, of which the first N are recurrent,

.. math::

    z^1_t &= \tanh(x_t W_{in} + s^1_{t-1} W^1_{rec} + b^1) \\
    z^l_t &= \tanh(z^{l-1}_t W^l_{between} + s^l_{t-1} W^l_{rec} + b^l), \qquad l = 2, \dots, N \\
    z^l_t &= \tanh(z^{l-1}_t W^l_{between} + b^l), \qquad l = N + 1, \dots, L

and the output layer reads :math:`z^L_t`. One layer is the ordinary network, to the last bit.

``stacked`` (sRNN)
    N = L, and every layer has a state of its own, :math:`s^l = z^l`.
``deep_transition`` (DT(S)-RNN)
    N = L, and the network has one state, :math:`s^l = z^N`: L layers lead from it to the next one,
    with shortcuts to each of them.
``deep_output`` (DOT(S)-RNN)
    A deep transition of N = L - 1 layers, and one more between the state and the output layer.
    With L = 1 there is none, and with L = 2 the transition is an ordinary one.

Pascanu's "400, 400" of a DT(S)-RNN and "2 layers of 400" of an sRNN are L = 2, "400, 400, 400" of a
DOT(S)-RNN is L = 3.

With fast dropout every layer passes mean and variance on by equations 1 and 2. Each kind of
connection has a rate: input, hidden to hidden (all W_rec, shortcuts among them), between layers
(all W_between) and hidden to output. The variance of an activation is the sum of those of its two
products, which are taken for independent, as in the paper's c_t = [h_{t-1}, x_t].

Every matrix between hidden units is drawn like W_rec of an ordinary network, sparse and of the set
spectral radius; `Deep.initial_parameters` says what differs in a transition. Epochs record the
spectral radius of a transition's linear map from state to state, its derivative where all units are
0, or of the first W_rec of a stack.

References
----------
Schmidhuber 1992, *Learning complex, extended sequences using the principle of history compression*.
El Hihi and Bengio 1996, *Hierarchical recurrent neural networks for long-term dependencies*.
Pascanu, Gulcehre, Cho and Bengio 2013, *How to construct deep recurrent neural networks*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fdrnn.model.settings import (
    FastDropoutHyperparameters,
    Hyperparameters,
    require_count,
    require_dropout_rate,
)
from fdrnn.model.variants.base import (
    PARAMETER_AXES,
    Built,
    Noise,
    State,
    Symbols,
    Variant,
    by_name,
    typical,
)
from fdrnn.model.variants.fast_dropout import KEEP_RATES, final_layer, keep_rates
from fdrnn.model.variants.plain import ordinary

if TYPE_CHECKING:
    import numpy.typing as npt

    from fdrnn.model.initialization import Parameters
    from fdrnn.model.moments import Expression

MOST_LAYERS = 8
"""The largest number of layers."""

_STREAM = 8
"""Spawn key of the matrices that an ordinary network lacks."""


@dataclass(frozen=True, kw_only=True)
class DeepHyperparameters(Hyperparameters):
    """`Hyperparameters` and the number of layers.

    Attributes
    ----------
    n_layers
        Hidden layers of `n_hidden` units each, 1 to 8; 1 is an ordinary network.
    """

    n_layers: int

    def __post_init__(self) -> None:
        super().__post_init__()
        require_count("n_layers", self.n_layers, 1, MOST_LAYERS)


@dataclass(frozen=True, kw_only=True)
class DeepFastDropoutHyperparameters(FastDropoutHyperparameters, DeepHyperparameters):
    """`FastDropoutHyperparameters`, the number of layers and a rate between them.

    Attributes
    ----------
    dropout_between_layers
        Dropout rate (1 - p_keep) of what a layer reads of the layer below it, in [0, 1). One
        layer ignores it.
    """

    dropout_between_layers: float

    def __post_init__(self) -> None:
        super().__post_init__()
        require_dropout_rate("dropout_between_layers", self.dropout_between_layers)


@dataclass(frozen=True, kw_only=True)
class Deep(Variant):
    """Several hidden layers without dropout and variances.

    Attributes
    ----------
    transition
        Whether the network has one state, that of the last recurrent layer, which all of them
        read; otherwise each has its own.
    deep_output
        Whether the last of two or more layers is not recurrent.
    """

    transition: bool = False
    deep_output: bool = False

    parameter_axes: ClassVar[Mapping[str, int]] = {**PARAMETER_AXES, "W_between": 2}
    state: ClassVar[tuple[str, ...]] = ("mean",)
    n_products: ClassVar[int] = 1

    def n_recurrent(self, n_layers: int) -> int:
        """Return the number of recurrent layers among all."""
        return max(n_layers - self.deep_output, 1)

    def n_matrices(self, hyperparameters: Any) -> int:
        """Count the matrices between hidden units."""
        n_layers: int = hyperparameters.n_layers
        return self.n_recurrent(n_layers) + n_layers - 1

    def initial_parameters(
        self, hyperparameters: Any, n_features: int, n_outputs: int, init_scale: str, seed: int
    ) -> Parameters:
        """Draw the parameters of an ordinary network, and then those of further layers.

        In a transition every further layer's two matrices are scaled together, so that the linear
        map from the state to the layer has the set spectral radius, as W_rec of one layer has. With
        matrices of radius 1.2 gradients of three layers would grow 2.5 times a step.
        """
        from fdrnn.model.initialization import recurrent_matrices, rounded_radius

        drawn = super().initial_parameters(hyperparameters, n_features, n_outputs, init_scale, seed)
        n_hidden, n_layers = hyperparameters.n_hidden, hyperparameters.n_layers
        n_recurrent = self.n_recurrent(n_layers)

        of_layers, of_pairs = np.random.SeedSequence(seed, spawn_key=(_STREAM,)).spawn(2)
        recurrent = recurrent_matrices(hyperparameters, init_scale, of_layers, n_recurrent - 1)
        between = recurrent_matrices(hyperparameters, init_scale, of_pairs, n_layers - 1)
        if self.transition:
            linear = drawn["W_rec"].astype(np.float64)
            for layer in range(n_recurrent - 1):
                linear = linear @ between[layer] + recurrent[layer]
                factor = hyperparameters.spectral_radius / rounded_radius(linear)
                linear *= factor
                between[layer] *= factor
                recurrent[layer] *= factor
        n_states = 1 if self.transition else n_recurrent
        further = {
            "W_rec": np.concatenate([drawn["W_rec"], *recurrent]),
            "b_h": np.zeros(n_layers * n_hidden),
            "h0": np.zeros((1, n_states * n_hidden)),
            "W_between": np.concatenate([np.zeros((0, n_hidden)), *between]),
        }
        return drawn | {name: value.astype(np.float32) for name, value in further.items()}

    def recurrent_weights(self, parameters: Parameters) -> npt.NDArray[np.float32]:
        """Return the linear map from state to state, or W_rec of the first layer of a stack."""
        n_hidden = parameters["W_rec"].shape[1]
        recurrent = parameters["W_rec"].reshape(-1, n_hidden, n_hidden)
        between = parameters["W_between"].reshape(-1, n_hidden, n_hidden)
        linear: npt.NDArray[np.float32] = recurrent[0]
        # Parameters that are not finite are an ordinary outcome, without a warning.
        with np.errstate(over="ignore", invalid="ignore"):
            for layer in range(1, len(recurrent) if self.transition else 1):
                linear = linear @ between[layer - 1] + recurrent[layer]
        return linear

    def activations(self, symbols: Symbols, state: State, noise: Noise) -> Built:
        """Run the layers without rates."""
        mean, no_variance, after = self.without_rates(symbols, state)
        return ordinary(symbols, mean, no_variance), after

    def without_rates(self, symbols: Symbols, state: State) -> tuple[Expression, Expression, State]:
        """Build the hidden layers without rates: the last mean, no variance, the state."""
        from fdrnn.model.toolchain import theano

        one = theano.tensor.constant(1, dtype=symbols.x.dtype)
        begin = (*state, symbols.zeros)
        mean, no_variance, (after, _) = self.layers(symbols, begin, False, [one, one, one])
        return mean, no_variance, (after,)

    def layers(
        self, symbols: Symbols, state: State, stochastic: bool, p_keep: Sequence[Expression]
    ) -> tuple[Expression, Expression, State]:
        """Build the hidden layers.

        Parameters
        ----------
        symbols
            The symbols of the graph.
        state
            Means and variances with which sequences begin.
        stochastic
            Whether variances are propagated.
        p_keep
            Of input, hidden to hidden and between layers.

        Returns
        -------
        mean, variance
            Of the last layer, shape (R, H).
        state
            Means and variances of the state after each row.
        """
        from fdrnn.model.ops import DeepLayers

        p = symbols.parameters
        mean, variance, lower_mean, lower_variance, *_ = DeepLayers(stochastic, self.transition)(
            symbols.x, symbols.n_rows, *state,
            p["W_in"], p["W_rec"], p["b_h"], p["W_between"], *p_keep,
        )  # fmt: skip
        after = self._state(lower_mean, mean), self._state(lower_variance, variance)
        return mean, variance, after

    def _state(self, lower: Expression, last: Expression) -> Expression:
        """Build the state after each row from the layers below the last, and the last."""
        from fdrnn.model.toolchain import theano

        T = theano.tensor
        if self.transition and not self.deep_output:
            return last
        shape = (-1, last.shape[0], last.shape[1])
        if self.deep_output:
            # The layer below the last one, or the last one where there is none below it.
            return T.concatenate([last, lower]).reshape(shape, ndim=3)[-1]
        layers = T.concatenate([lower, last]).reshape(shape, ndim=3)
        return layers.dimshuffle(1, 0, 2).reshape((last.shape[0], -1))


@dataclass(frozen=True, kw_only=True)
class FastDropoutDeep(Deep):
    """Means and variances of all layers, in training and test alike.

    As with ``fast_dropout``, all rates 0 do not make an ordinary network of it: see
    `fdrnn.model.variants.fast_dropout.FastDropout`.
    """

    state: ClassVar[tuple[str, ...]] = ("mean", "variance")
    n_products: ClassVar[int] = 2
    scalars: ClassVar[Mapping[str, str]] = {**KEEP_RATES, "p_keep_between": "float32"}

    def scalar_values(
        self, hyperparameters: DeepFastDropoutHyperparameters, n_steps: float
    ) -> Mapping[str, float]:
        """Return keep rates, 1 - dropout rate, and the switch of the final layer."""
        between = 1.0 - hyperparameters.dropout_between_layers
        return {**keep_rates(hyperparameters), "p_keep_between": between}

    def activations(self, symbols: Symbols, state: State, noise: Noise) -> Built:
        """Propagate mean and variance through all layers."""
        rates = [symbols.scalars[f"p_keep_{kind}"] for kind in ("input", "hidden", "between")]
        mean, variance, after = self.layers(symbols, state, True, rates)
        return final_layer(symbols, mean, variance), after


def _both(name: str, title: str, n_layers: int, **form: bool) -> tuple[Variant, Variant]:
    """Return a form without dropout and with fast dropout."""
    return (
        Deep(
            name=name,
            title=title,
            typical=typical(DeepHyperparameters, n_layers=n_layers),
            plain=name,
            **form,
        ),
        FastDropoutDeep(
            name=f"{name}_fast_dropout",
            title=f"FD-{title}",
            typical=typical(
                DeepFastDropoutHyperparameters,
                n_layers=n_layers,
                dropout_input=0.1,
                dropout_hidden_to_hidden=0.5,
                dropout_between_layers=0.2,
                fast_dropout_final_layer=True,
                dropout_hidden_to_output=0.2,
            ),
            plain=name,
            **form,
        ),
    )


VARIANTS = by_name(
    *_both("stacked", "sRNN", 2),
    *_both("deep_transition", "DT(S)-RNN", 2, transition=True),
    *_both("deep_output", "DOT(S)-RNN", 3, transition=True, deep_output=True),
)
