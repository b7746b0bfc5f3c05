"""Layers in which every sequence has its own weights.

Rows are time-major with one for each of the B sequences at every step: row t B + k is step t of
sequence k.
"""

from __future__ import annotations

from fdrnn.model.ops.native import NativeOp


class OwnWeightsLayer(NativeOp):
    """Hidden states h_t = tanh(a_t + h_{t-1} W) of sequences with a W each.

    Inputs: a (R, H), the part of the pre-synaptic activations that does not come from the hidden
    state; n_rows int64 (T,), each the number of sequences B; h0 (1, H), with which all begin;
    W (B, H, H). Output: h (R, H).
    """

    inputs = {"a": "R H", "n_rows": "int64 T", "h0": "1 H", "W": "B H H"}
    outputs = {"h": "R H"}
    checks = ("expect_packing(op, n_rows_, R)", "expect_constant_packing(op, n_rows_, B)")
    with_respect_to = ("a", "h0", "W")
    gradients_of = ("h",)
    sources = ("sequences", "own_weights")


class OwnWeightsProduct(NativeOp):
    """Rows times the matrices of their sequences.

    Inputs: x (R, n); W (B, n, m), R a multiple of B. Output: (R, m).
    """

    inputs = {"x": "R N", "W": "B N M"}
    outputs = {"y": "R M"}
    checks = ("expect_multiple(op, R, B)",)
    with_respect_to = ("x", "W")
    gradients_of = ("y",)
    unread = ("y",)
    sources = ("sequences", "own_weights_product")
