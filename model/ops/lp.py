"""Units that pool several activations."""

from __future__ import annotations

from fdrnn.model.ops.native import NativeOp


class LpUnits(NativeOp):
    """u = (1/P sum_k |a_k|^p)^(1/p) of P activations each (Gulcehre et al. 2013).

    Inputs: a (R, P H), in which the first activations of all units come before their second ones;
    p (H,), at least 1. Output: u (R, H), not negative. Where an activation is 0 its derivative is
    taken as 0.
    """

    inputs = {"a": "R G", "p": "H"}
    outputs = {"u": "R H"}
    checks = ("expect_pooled(op, G, H)",)
    with_respect_to = ("a", "p")
    gradients_of = ("u",)
    sources = ("pooling", "lp")
