"""A gated recurrent unit (Cho et al. 2014) as a variant of fdrnn, in pure Theano."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from fdrnn.model.settings import CommonHyperparameters
from fdrnn.model.variants.base import Variant
from fdrnn.model.variants.plain import ordinary


@dataclass(frozen=True, kw_only=True)
class Gru(Variant):
    """z, r = sigmoid(x W + h U), h' = (1 - z) h + z tanh(x W + (r h) U)."""

    n_gates: ClassVar[int] = 3
    n_products: ClassVar[int] = 1
    state: ClassVar[tuple[str, ...]] = ("mean",)

    def initial_parameters(self, hyperparameters, n_features, n_outputs, init_scale, seed):
        """Draw W_in, W_rec and W_out; the columns of the two gates come before the candidate's."""
        n_hidden = hyperparameters.n_hidden
        random = np.random.default_rng(seed)
        root = np.sqrt if init_scale == "variance" else float
        of_rec_out, of_in = root(hyperparameters.sigma2_rec_out), root(hyperparameters.sigma2_in)
        drawn = {
            "W_in": random.normal(0.0, of_in, (n_features, 3 * n_hidden)),
            "W_rec": random.normal(0.0, of_rec_out, (n_hidden, 3 * n_hidden)),
            "b_h": np.zeros(3 * n_hidden),
            "h0": np.zeros((1, n_hidden)),
            "W_out": random.normal(0.0, of_rec_out, (n_hidden, n_outputs)),
        }
        return {name: value.astype(np.float32) for name, value in drawn.items()}

    def recurrent_weights(self, parameters):
        """Return the candidate's matrix."""
        n_hidden = parameters["h0"].shape[1]
        return parameters["W_rec"][:, 2 * n_hidden :]

    def activations(self, symbols, state, noise):
        """Run the layer over dense rows (time, sequence); packed rows are gathered from them."""
        # Theano's C version of scan does not compile on Python 3.11; its Python loop does.
        sys.modules["theano.scan.scan_perform_ext"] = None
        from fdrnn.model.toolchain import theano  # noqa: PLC0415 - only training needs Theano

        T, p, n_rows = theano.tensor, symbols.parameters, symbols.n_rows
        one = T.constant(1.0, dtype="float32")
        columns = T.arange(n_rows.max()).dimshuffle("x", 0)
        counts = n_rows.dimshuffle(0, "x")
        starts = (T.cumsum(n_rows) - n_rows).dimshuffle(0, "x")
        dense = symbols.x[starts + T.minimum(columns, counts - 1)]
        n_hidden = p["h0"].shape[1]
        inputs = T.dot(dense, p["W_in"]) + p["b_h"]

        def step(into, h, gates, candidate):
            width = h.shape[1]
            opened = T.nnet.sigmoid(into[:, : 2 * width] + T.dot(h, gates))
            z, r = opened[:, :width], opened[:, width:]
            return (one - z) * h + z * T.tanh(into[:, 2 * width :] + T.dot(r * h, candidate))

        # Row i continues row min(i, last) of the state, as of each step before.
        begin = state[0][T.minimum(columns[0], state[0].shape[0] - 1)]
        # What gradients are taken of goes into the loop by name.
        weights = [p["W_rec"][:, : 2 * n_hidden], p["W_rec"][:, 2 * n_hidden :]]
        hidden, _ = theano.scan(
            step, [inputs], outputs_info=[begin], non_sequences=weights, mode="FAST_COMPILE"
        )
        packed = hidden[T.lt(columns, counts).nonzero()]
        return ordinary(symbols, packed, packed * 0), (packed,)


VARIANT = Gru(
    name="gru",
    title="GRU",
    typical=CommonHyperparameters(
        n_hidden=100, step_rate=0.001, momentum=0.9, decay=0.9, sigma2_rec_out=0.01, sigma2_in=0.01
    ),
)
