import pytest

from fdrnn.model.toolchain import theano


@pytest.fixture(autouse=True)
def allow_float64():
    """Gradients are checked in float64, which training forbids itself."""
    with theano.config.change_flags(warn_float64="ignore"):
        yield
