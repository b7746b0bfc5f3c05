"""The recurrence by theano.scan and the symbolic moments: slow, differentiated by Theano."""

import sys

# Theano's C version of scan does not compile on Python 3.11 and does not catch that it fails;
# without it, scan uses its Python loop.
sys.modules["theano.scan.scan_perform_ext"] = None

from fdrnn.model import moments  # noqa: E402
from fdrnn.model.toolchain import theano  # noqa: E402

T = theano.tensor


def hidden_moments(x, mean0, variance0, W_in, W_rec, b_h, p_input, p_hidden):
    """x (T, B, D); the state (B, H). Returns (T, B, H) twice."""
    stacked = T.concatenate([p_hidden * W_rec, p_input * W_in])

    def step(frame, mean, variance):
        one = T.constant(1.0, dtype=x.dtype)
        a = T.dot(T.concatenate([mean, frame], axis=1), stacked) + b_h
        v = T.dot(p_hidden * (one - p_hidden) * mean**2 + p_hidden * variance, W_rec**2)
        v = v + T.dot(p_input * (one - p_input) * frame**2, W_in**2)
        return moments.tanh(a, v)

    (mean, variance), _ = theano.scan(
        step, sequences=[x], outputs_info=[mean0, variance0], mode="FAST_COMPILE"
    )
    return mean, variance


def bernoulli_nll(mean, variance, W_out, b_y, target, p_output):
    """NLL of shape (T, B)."""
    m, v = moments.affine(mean, variance, W_out, b_y, p_output)
    y, _ = moments.sigmoid(m, v)
    return T.nnet.binary_crossentropy(y, target).sum(axis=2)
