"""What a variant may declare: no state, and scalars with the names of the optimizer's."""

import dataclasses
from typing import ClassVar

import numpy as np

from fdrnn.datasets import chunk
from fdrnn.model import OUTPUTS, VARIANTS, TrainingSettings
from fdrnn.model.evaluation import sequence_nll
from fdrnn.model.network import Network
from fdrnn.model.packing import pack_chunks
from fdrnn.model.toolchain import theano
from fdrnn.model.variants.plain import PLAIN, Plain, WeightDecay, ordinary
from oracles.random_sequences import random_sequences

BERNOULLI, WIDTH = OUTPUTS["bernoulli"], 9
SEQUENCES = random_sequences([70, 3], WIDTH)


class Stateless(Plain):
    """A network without memory, h_t = x_t W_in."""

    state = ()
    untrained = frozenset({"W_rec", "b_h", "h0"})

    def activations(self, symbols, state, noise):
        hidden = theano.tensor.dot(symbols.x, symbols.parameters["W_in"])
        return ordinary(symbols, hidden, hidden), ()


class Renamed(WeightDecay):
    """Weight decay whose coefficient is the scalar ``decay``."""

    scalars: ClassVar = {"decay": "float32"}

    def scalar_values(self, hyperparameters, n_steps):
        return {"decay": hyperparameters.weight_decay}

    def penalty(self, symbols):
        scalars = {"weight_decay": symbols.scalars["decay"]}
        return super().penalty(dataclasses.replace(symbols, scalars=scalars))


def begun(variant):
    """The variant's network with its initial parameters."""
    network = Network(variant, BERNOULLI)
    hyperparameters = dataclasses.replace(variant.typical, n_hidden=7, sigma2_in=0.1)
    settings = TrainingSettings()
    drawn = network.initial_parameters(hyperparameters, BERNOULLI.typical, WIDTH, settings, 3)
    network.set_parameters(drawn)
    velocity, mean_square = (
        {name: np.full_like(value, first) for name, value in drawn.items()} for first in (0, 1)
    )
    network.set_optimizer(velocity, mean_square)
    network.configure(hyperparameters, 0.01, settings.clip_norm)
    return network


def test_a_variant_may_have_no_state():
    network = begun(Stateless(name="stateless", title="", typical=PLAIN.typical))
    p = network.parameters()
    sums, _ = sequence_nll(network, SEQUENCES)
    for nll, sequence in zip(sums, SEQUENCES, strict=True):
        z = sequence[:-1] @ p["W_in"] @ p["W_out"] + p["b_y"]
        expected = (np.logaddexp(0, z) - sequence[1:] * z).sum()
        np.testing.assert_allclose(nll, expected, rtol=1e-5)


def test_a_variant_s_scalar_may_have_the_name_of_one_of_the_optimizer_s():
    known = VARIANTS["weight_decay"]
    updated = []
    for variant in (known, Renamed(name="renamed", title="", typical=known.typical)):
        network = begun(variant)
        network.train(pack_chunks(chunk(SEQUENCES, 10), np.arange(3)), "counted")
        updated.append(network.parameters())
    for name, value in updated[0].items():
        np.testing.assert_array_equal(updated[1][name], value)
