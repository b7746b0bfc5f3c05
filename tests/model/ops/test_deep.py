import numpy as np
import pytest

from oracles.variant_graph import TrainingCase


def case_of(name, **changes):
    return TrainingCase(name, [2, 3, 3], n_features=5, n_hidden=6, n_layers=3, **changes)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("stacked", {"W_in": np.zeros((4, 6))}, r"W_in must have shape \(5, 6\), got \(4, 6\)"),
        ("stacked", {"W_rec": np.zeros((17, 6))}, r"mean0 must have shape \(1, 17\), got \(1, 18"),
        (
            "deep_transition",
            {"W_rec": np.zeros((17, 6))},
            "rows and elements for each of at most 8",
        ),
        ("deep_transition", {"W_rec": np.zeros((24, 6))}, r"at most 8 layers, got 24 and 18"),
        ("deep_transition", {"W_rec": np.zeros((0, 6))}, r"at most 8 layers, got 0 and 18"),
        ("deep_output", {"b_h": np.zeros(60)}, r"W_between must have shape \(54, 6\), got \(12, 6"),
        ("stacked", {"W_between": np.zeros((6, 6))}, r"W_between must have shape \(12, 6\), got"),
        ("stacked", {"h0": np.zeros((1, 6))}, r"mean0 must have shape \(1, 18\), got \(1, 6\)"),
    ],
)
def test_shapes_that_do_not_fit(name, change, message):
    with pytest.raises(ValueError, match=message):
        case_of(name).run(**change)


def test_more_layers_than_there_is_room_for():
    more = {
        "b_h": np.zeros(54), "W_between": np.zeros((48, 6)), "W_rec": np.zeros((54, 6))
    }  # fmt: skip
    with pytest.raises(ValueError, match="at most 8 layers, got 54 and 54"):
        case_of("deep_transition").run(**more)


def test_no_units():
    none = {
        "W_in": np.zeros((5, 0)), "W_rec": np.zeros((0, 0)), "W_between": np.zeros((18, 0)),
        "h0": np.zeros((1, 0)), "W_out": np.zeros((0, 5)),
    }  # fmt: skip
    with pytest.raises(ValueError, match="the number of units must be at least 1, got 0"):
        case_of("stacked").run(**none)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["W_rec", "W_between"])
def test_values_that_are_not_finite_show_in_the_loss(name, bad):
    case = case_of("stacked_fast_dropout")
    case.parameters[name][-1, 0] = bad
    assert not np.isfinite(case.run("float32")[0])


def test_extreme_activations_stay_finite():
    case = case_of("deep_output_fast_dropout")
    for name in ("W_rec", "W_between", "W_out"):
        case.parameters[name] *= 1e4
    loss, _, gradients = case.run("float32")
    assert np.isfinite(loss)
    assert all(np.isfinite(value).all() for value in gradients.values())
