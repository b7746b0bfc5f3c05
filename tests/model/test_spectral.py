import numpy as np
import pytest

from fdrnn.model.spectral import spectral_radius


def test_known_matrices():
    rotation = np.array([[0.0, 3.0], [-3.0, 0.0]])
    assert spectral_radius(rotation) == pytest.approx(3.0)
    assert spectral_radius(np.diag([1.0, -5.0, 2.0])) == pytest.approx(5.0)
    nilpotent = np.array([[1.0, -1.0], [1.0, -1.0]])
    assert spectral_radius(nilpotent) == pytest.approx(0.0, abs=1e-7)
    assert spectral_radius(nilpotent**2) == pytest.approx(2.0)


def test_not_finite():
    assert np.isnan(spectral_radius(np.array([[np.inf, 0.0], [0.0, 1.0]])))
