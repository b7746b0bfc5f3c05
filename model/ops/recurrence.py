"""The recurrent layer over packed rows."""

from __future__ import annotations

from fdrnn.model.ops.native import NativeOp

CELLS = ("plain", "moments", "dropout_variance", "rectifier", "sampled")
"""What a unit computes, in the order of ``native/transfer.c``; see `RecurrentLayer`."""

PACKED = (
    "expect_packing(op, n_rows_, R)",
    'expect_positive(op, "the initial rows", S)',
    'expect_positive(op, "the number of units", H)',
)
"""Checks of a layer of H units over packed rows that begins at an initial state of S rows."""


class RecurrentLayer(NativeOp):
    """Hidden moments of every packed row.

    Parameters
    ----------
    cell
        ``"moments"``: means and variances of tanh units. ``"rectifier"``: of rectified linear
        units. ``"dropout_variance"``: means of tanh units, and of variances only those that
        dropout makes at the unit itself, V[a] = p_keep (1 - p_keep) mean^2 W^2. ``"sampled"``:
        tanh of a draw E[a] + noise sqrt(V[a]), with that V[a], since what was drawn has no
        variance. ``"plain"``: means of tanh units without any variance.
    input_scale
        s of the transfer function 2 sig(s a) - 1: 2 is tanh. The rectifier has none.

    Notes
    -----
    mean_factor, which scales the recurrent mean, is p_keep_hidden except in the authors' cell;
    noise is for the cell ``"sampled"``. The pre-synaptic moments a, v and c are for the gradient.
    Cells that pass no variance on (all but ``"moments"`` and ``"rectifier"``) ignore variance0,
    and their variance is 0; variance, v and c of ``"plain"`` have no rows.
    """

    __props__ = ("cell", "input_scale")
    inputs = {
        "x": "R D", "n_rows": "int64 T", "mean0": "S H", "variance0": "S0 H", "W_in": "D H",
        "W_rec": "H H", "b": "H", "p_keep_input": "", "p_keep_hidden": "", "mean_factor": "",
        "noise": "N H",
    }  # fmt: skip
    outputs = {"mean": "R H", "variance": "V H", "a": "R H", "v": "V H", "c": "V H"}
    sizes = {
        "H": "PyArray_DIM(W_rec_, 0)",
        "S0": "passes_variance(params->cell_index) ? S : PyArray_DIM(variance0_, 0)",
        "N": "params->cell_index == SAMPLED ? R : PyArray_DIM(noise_, 0)",
        "V": "has_variance_products(params->cell_index) ? R : 0",
    }
    checks = PACKED
    parameters = {"cell_index": "int32", "input_scale": "float64"}
    stand_ins = {"noise": "mean0"}
    with_respect_to = ("mean0", "variance0", "W_in", "W_rec", "b")
    gradients_of = ("mean", "variance")
    gradient_outputs = {"da": "R H", "dv": "V H"}
    sources = (
        "affine", "normal", "transfer", "transfer_grad", "passes", "fast_dropout", "recurrence"
    )  # fmt: skip

    def __init__(self, cell: str = "moments", input_scale: float = 2.0) -> None:
        self.cell = cell
        self.cell_index = CELLS.index(cell)
        self.input_scale = input_scale
        self.draws = cell == "sampled"
        self.empty_outputs = ("variance",) if cell == "plain" else ()
        super().__init__()
