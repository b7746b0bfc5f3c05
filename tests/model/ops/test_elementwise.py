import numpy as np

from fdrnn.model.ops import exponential
from fdrnn.model.toolchain import theano

T = theano.tensor


def test_an_elementary_function_alone_in_a_graph():
    """Theano lets it overwrite an input that nothing else needs."""
    x = T.dmatrix()
    compiled = theano.function([x], exponential(T.transpose(x) + x))
    value = np.arange(9.0).reshape(3, 3) / 9
    np.testing.assert_allclose(compiled(value), np.exp(value + value.T), rtol=1e-12)
    alone = theano.function([x], exponential(T.cumsum(x, axis=0)))
    np.testing.assert_allclose(alone(value), np.exp(np.cumsum(value, axis=0)), rtol=1e-12)
