import itertools

import numpy as np
import pytest

from fdrnn.model.gradients.noise_term import noise_term

N_DRAWS = 12


@pytest.fixture
def rng():
    return np.random.default_rng(3)


def single_unit_terms(rng, shape=(7, 5), n_draws=N_DRAWS):
    """Equation 4 of a single incoming weight each: error signal times sqrt(c) s."""
    error, c = rng.normal(size=shape[1]), rng.random((shape[0], 1))
    return error * np.sqrt(c) * rng.standard_normal((n_draws, 1, shape[1]))


def test_the_papers_term_has_a_scale_that_does_not_depend_on_the_weight(rng):
    weights = rng.normal(size=(7, 5))
    assert noise_term(weights, single_unit_terms(rng)).scale_slope == pytest.approx(0, abs=1e-8)


def test_a_scale_proportional_to_the_weight_has_slope_one(rng):
    weights = rng.normal(size=(7, 5))
    term = noise_term(weights, np.abs(weights) * single_unit_terms(rng))
    assert term.scale_slope == pytest.approx(1)


def test_the_slope_is_that_of_least_squares_with_effects_of_both_units(rng):
    """With weights that are 0, whose terms are 0, and an incoming unit that never fires."""
    weights = rng.normal(size=(8, 6)) * (rng.random((8, 6)) < 0.7)
    draws = rng.normal(size=(N_DRAWS, 8, 6)) * np.abs(weights) ** 0.4
    draws[:, 2] = 0.0
    deviation = draws.std(axis=0, ddof=1)
    rows, columns = np.nonzero((weights != 0) & (deviation > 0))
    design = np.column_stack(
        [np.log(np.abs(weights[rows, columns]))]
        + [rows == unit for unit in range(8)]
        + [columns == unit for unit in range(6)]
    )
    expected, *_ = np.linalg.lstsq(design, np.log(deviation[rows, columns]), rcond=None)
    assert noise_term(weights, draws).scale_slope == pytest.approx(expected[0], abs=1e-7)


def test_mean_by_error_is_about_one_without_a_mean(rng):
    weights = rng.normal(size=(3, 4))
    squares, p_values = [], []
    for _ in range(400):
        term = noise_term(weights, single_unit_terms(rng, (3, 4)))
        squares.append(term.mean_by_error**2)
        p_values.append(term.p_value)
    assert np.mean(squares) == pytest.approx(1, abs=4 * np.std(squares) / 20)
    # Uniform under the hypothesis, although the terms of one unit are the same but for a factor.
    assert np.mean(np.array(p_values) <= 0.05) == pytest.approx(0.05, abs=0.04)


def test_mean_and_p_value_by_definition_over_all_signs(rng):
    draws = rng.normal(size=(6, 3, 4)) + 0.4
    term = noise_term(rng.normal(size=(3, 4)), draws)
    mean, error = draws.mean(axis=0), draws.std(axis=0, ddof=1) / np.sqrt(6)
    assert term.mean_by_error**2 == pytest.approx((mean**2).sum() / (error**2).sum())
    norms = [
        np.linalg.norm(np.tensordot(signs, draws, 1))
        for signs in itertools.product((-1, 1), repeat=6)
    ]
    exact = np.mean(np.array(norms) >= norms[-1] - 1e-9)
    assert term.p_value == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 999) + 0.002)


def test_without_noise_there_is_nothing_to_measure(rng):
    weights = rng.normal(size=(3, 4))
    for draws in (np.zeros((4, 3, 4)), np.full((4, 3, 4), np.nan)):
        assert np.isnan(list(vars(noise_term(weights, draws)).values())).all()
