import numpy as np
import pytest

from fdrnn.model.optimizer import OptimizerState, look_ahead, rmsprop_nesterov
from fdrnn.model.toolchain import theano

T = theano.tensor


def compiled(start, step_rate, momentum, decay, clip_norm):
    """A quartic in two parameters, one update a call: (loss, norm), values()."""
    parameters = {name: theano.shared(value.copy()) for name, value in start.items()}
    state = OptimizerState(
        {name: theano.shared(np.zeros_like(value)) for name, value in start.items()},
        {name: theano.shared(np.ones_like(value)) for name, value in start.items()},
    )

    scalars = [T.constant(v, dtype="float64") for v in (step_rate, momentum, decay, clip_norm)]
    p = look_ahead(parameters, state, scalars[1])
    loss = (p["a"] ** 4).sum() + ((p["b"] - 2.0) ** 2).sum() * 3.0
    norm, updates = rmsprop_nesterov(loss, p, parameters, state, *scalars)
    step = theano.function([], [loss, norm], updates=updates, mode="FAST_COMPILE")
    return step, lambda: {name: p.get_value() for name, p in parameters.items()}


def by_hand(start, step_rate, momentum, decay, clip_norm, n_steps):
    """The update of the authors' code, on one flat vector, with the gradient written out."""
    theta = np.concatenate([start["a"], start["b"]])
    n = len(start["a"])
    step, r = np.zeros_like(theta), np.ones_like(theta)
    trace = []
    for _ in range(n_steps):
        step1 = momentum * step
        theta = theta - step1
        g = np.concatenate([4 * theta[:n] ** 3, 6 * (theta[n:] - 2)])
        loss = np.sum(theta[:n] ** 4) + 3 * np.sum((theta[n:] - 2) ** 2)
        norm = np.linalg.norm(g)
        if norm > clip_norm:
            g = g * clip_norm / norm
        r = decay * r + (1 - decay) * g**2
        step2 = step_rate * g / np.sqrt(r + 1e-8)
        theta = theta - step2
        step = step1 + step2
        trace.append((loss, norm, theta.copy()))
    return trace


@pytest.mark.parametrize("momentum", [0.0, 0.95])
@pytest.mark.parametrize("clip_norm", [225.0, 1.5])
def test_against_a_sequence_by_hand(momentum, clip_norm):
    start = {"a": np.array([1.5, -2.0, 0.3]), "b": np.array([10.0, -40.0])}
    step, values = compiled(start, 0.05, momentum, 0.8, clip_norm)
    for loss, norm, theta in by_hand(start, 0.05, momentum, 0.8, clip_norm, 12):
        got_loss, got_norm = step()
        assert float(got_loss) == pytest.approx(loss, rel=1e-10)
        assert float(got_norm) == pytest.approx(norm, rel=1e-10)
        np.testing.assert_allclose(np.concatenate(list(values().values())), theta, rtol=1e-9)


def test_the_clipped_case_clips():
    """In the sequence above the norm passes both bounds of clipping, so that both are tried."""
    start = {"a": np.array([1.5, -2.0, 0.3]), "b": np.array([10.0, -40.0])}
    norms = [norm for _, norm, _ in by_hand(start, 0.05, 0.95, 0.8, 225.0, 12)]
    assert max(norms) > 225.0


def test_zero_gradient_leaves_the_parameters():
    start = {"a": np.zeros(2), "b": np.full(3, 2.0)}
    step, values = compiled(start, 0.1, 0.9, 0.9, 225.0)
    loss, norm = step()
    assert (float(loss), float(norm)) == (0.0, 0.0)
    np.testing.assert_array_equal(values()["b"], start["b"])


def test_a_norm_beyond_the_root_of_the_largest_float32():
    large = T.fvector()
    parameters = {"a": theano.shared(np.zeros(3, np.float32))}
    state = OptimizerState(
        {"a": theano.shared(np.zeros(3, np.float32))}, {"a": theano.shared(np.ones(3, np.float32))}
    )
    scalars = [T.constant(v, dtype="float32") for v in (0.5, 0.0, 0.9, 2.0)]
    p = look_ahead(parameters, state, scalars[1])
    norm, updates = rmsprop_nesterov((p["a"] * large).sum(), p, parameters, state, *scalars)
    gradient = np.array([3e24, -4e24, 0], np.float32)
    assert theano.function([large], norm, updates=updates)(gradient) == pytest.approx(5e24)
    clipped = 2.0 / 5e24 * gradient.astype(np.float64)
    step = 0.5 * clipped / np.sqrt(0.9 + 0.1 * clipped**2 + 1e-8)
    np.testing.assert_allclose(parameters["a"].get_value(), -step, rtol=1e-6)
