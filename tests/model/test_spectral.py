import time

import numpy as np
import pytest

from fdrnn.model.spectral import spectral_radius


def dense(matrix):
    return np.abs(np.linalg.eigvals(matrix)).max()


def test_known_matrices():
    rotation = np.array([[0.0, 3.0], [-3.0, 0.0]])
    assert spectral_radius(rotation) == pytest.approx(3.0)
    assert spectral_radius(np.diag([1.0, -5.0, 2.0])) == pytest.approx(5.0)
    nilpotent = np.array([[1.0, -1.0], [1.0, -1.0]])
    assert spectral_radius(nilpotent) == pytest.approx(0.0, abs=1e-7)
    assert spectral_radius(nilpotent**2) == pytest.approx(2.0)


@pytest.mark.parametrize("incoming", [15, 50, None])
@pytest.mark.parametrize("order", [129, 200, 401])
def test_large_matrices_against_a_dense_solve(order, incoming):
    """Initial matrices (sparse, eigenvalues all over a disc), grown ones, and their squares."""
    rng = np.random.default_rng(order)
    for _ in range(3):
        initial = rng.normal(0, 1.2 / np.sqrt(order), (order, order))
        if incoming:
            initial *= rng.random((order, order)).argsort(axis=0).argsort(axis=0) < incoming
        grown = initial + 8 / order * np.outer(*rng.normal(size=(2, order)))
        for matrix in (initial, grown, initial**2, grown**2):
            assert spectral_radius(matrix) == pytest.approx(dense(matrix), rel=1e-4)


def test_large_complex_pair():
    order = 300
    rng = np.random.default_rng(0)
    matrix = rng.normal(0, 0.5 / np.sqrt(order), (order, order))
    basis, _ = np.linalg.qr(rng.normal(size=(order, 2)))
    matrix += basis @ np.array([[0.0, 4.0], [-4.0, 0.0]]) @ basis.T
    values = np.linalg.eigvals(matrix)
    assert abs(values[np.abs(values).argmax()].imag) > 1
    assert spectral_radius(matrix) == pytest.approx(dense(matrix), rel=1e-4)


@pytest.mark.parametrize("order", [100, 300])
def test_units_in_a_row_have_the_eigenvalues_of_their_diagonal(order):
    """The dense solve and the iteration find 0.87 and more for a nilpotent matrix of 300."""
    shuffled = np.random.default_rng(0).permutation(order)
    for diagonal in (0.0, 0.5):
        matrix = np.diag(np.ones(order - 1), 1) + diagonal * np.eye(order)
        assert spectral_radius(matrix) == diagonal
        assert spectral_radius(matrix[np.ix_(shuffled, shuffled)]) == diagonal


@pytest.mark.parametrize("scale", [1e-15, 1e-30])
def test_small_matrices_against_a_dense_solve(scale):
    rng = np.random.default_rng(1)
    matrix = np.zeros((600, 600))
    for unit in range(600):
        matrix[rng.choice(600, 15, replace=False), unit] = rng.standard_normal(15)
    assert spectral_radius(scale * matrix) / scale == pytest.approx(dense(matrix), rel=1e-4)


@pytest.mark.parametrize("distance", [0.0, 0.003, 0.03])
def test_nearly_orthogonal_matrices_take_seconds_at_most(distance):
    """Their eigenvalues have nearly the same modulus, so that the iteration may not end."""
    order = 300
    rng = np.random.default_rng(2)
    orthogonal, _ = np.linalg.qr(rng.standard_normal((order, order)))
    matrix = orthogonal + distance / np.sqrt(order) * rng.standard_normal((order, order))
    begin = time.process_time()
    assert spectral_radius(matrix) == pytest.approx(dense(matrix), rel=3e-3)
    assert time.process_time() - begin < 5


def test_reducible_matrix_has_the_radius_of_a_block():
    order = 200
    rng = np.random.default_rng(0)
    matrix = np.triu(rng.normal(size=(order, order)), 1) + np.diag(rng.uniform(-1, 1, order))
    matrix[50:190, 50:190] = rng.normal(0, 3 / np.sqrt(140), (140, 140))
    assert spectral_radius(matrix) == pytest.approx(dense(matrix[50:190, 50:190]), rel=1e-4)


def test_equal_matrices_have_equal_radii():
    matrix = np.random.default_rng(0).normal(size=(250, 250))
    assert spectral_radius(matrix) == spectral_radius(matrix.copy())


def test_a_nonnegative_matrix_of_units_of_very_different_scale():
    rng = np.random.default_rng(2)
    matrix = rng.random((200, 200)) * 10.0 ** rng.uniform(-30, 0, 200)[:, None]
    assert spectral_radius(matrix) == pytest.approx(dense(matrix), rel=1e-4)


def test_zero_matrix():
    assert spectral_radius(np.zeros((300, 300))) == pytest.approx(0.0, abs=1e-12)


def test_not_finite():
    assert np.isnan(spectral_radius(np.array([[np.inf, 0.0], [0.0, 1.0]])))
