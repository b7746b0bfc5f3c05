"""What the figures of a study show: the data of their artists."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from drawn_figure import drawn
from made_evidence import with_reads
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D

from fdrnn.reports.figures import cost, figure2, gap, learning, values
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.search import Store


def lines(axes: Axes, label: str) -> list[Line2D]:
    return [line for line in axes.lines if line.get_label() == label]


def diverged(evidence: Evidence) -> set[int]:
    return set(evidence.trials.loc[evidence.trials["diverged"], "config_index"])


def assert_shows(axes: Axes, evidence: Evidence, table: pd.DataFrame, column: str) -> None:
    """Every trial is there once: selected as a line, the others in two collections."""
    (selected,) = lines(axes, "selected")
    of_selected = table[table["config_index"] == evidence.selected]
    np.testing.assert_array_equal(selected.get_xdata(), of_selected["epoch"])
    np.testing.assert_array_equal(selected.get_ydata(), of_selected[column])
    collections = [one for one in axes.collections if isinstance(one, LineCollection)]
    segments = [segment for one in collections for segment in one.get_segments()]
    others = [trial for index, trial in table.groupby("config_index") if index != evidence.selected]
    by_end = lambda points: (len(points), points[-1][1])  # noqa: E731
    expected = [
        trial[["epoch", column]].to_numpy()[np.isfinite(trial[column].to_numpy())]
        for trial in others
    ]
    assert len(segments) == len(expected)
    for one, other in zip(sorted(segments, key=by_end), sorted(expected, key=by_end), strict=True):
        np.testing.assert_array_equal(one, other)
    (crosses,) = lines(axes, "diverged")
    assert len(crosses.get_xdata()) == len(diverged(evidence) - {evidence.selected})


def test_learning_curves(fd: Evidence, fd_curves: pd.DataFrame) -> None:
    figure = learning.learning_curves(fd)
    train, valid = drawn(figure.draw).axes
    assert_shows(train, fd, fd_curves, "train_nll")
    assert_shows(valid, fd, fd_curves, "valid_nll_counted")
    assert fd.best is not None
    dots = [line for line in valid.lines if line.get_marker() == "o"]
    assert dots[0].get_xdata().tolist() == [fd.best["best_epoch"]]
    assert dots[0].get_ydata().tolist() == [fd.best["valid_nll"]]
    assert train.get_ylim() != valid.get_ylim()
    lowest = fd_curves.groupby("config_index")["valid_nll_counted"].min()
    assert valid.get_ylim()[1] > lowest.quantile(0.85)
    assert valid.get_ylim()[1] < 1.5 * lowest.median()
    assert "NLL" in train.get_ylabel()
    assert "nats" in train.get_ylabel()


def test_the_way_down_of_a_single_trial_is_shown(fd: Evidence) -> None:
    one = replace(fd, trials=fd.trials[fd.trials["config_index"] == fd.selected])
    vars(one)["curves"] = fd.curves[fd.curves["config_index"] == fd.selected]
    for axes, column in zip(
        drawn(learning.learning_curves(one).draw).axes,
        ("train_nll", "valid_nll_counted"),
        strict=True,
    ):
        assert axes.get_ylim()[1] > one.curves[column].quantile(0.85)


@pytest.mark.parametrize("n_trials", [1, 2])
def test_the_way_down_of_the_first_running_trials_is_shown(fd: Evidence, n_trials: int) -> None:
    epochs = np.arange(1, 31)
    curves = pd.concat(
        pd.DataFrame(
            {"config_index": k, "epoch": epochs, "train_nll": nll, "valid_nll_counted": nll}
        )
        for k in range(n_trials)
        for nll in [8 + 40 / epochs + 0.01 * k]
    )
    trials = fd.trials.assign(state="waiting", diverged=False, valid_nll=np.nan, n_epochs=0)
    trials.loc[trials["config_index"] < n_trials, ["state", "n_epochs"]] = ["running", 30]
    figure = learning.learning_curves(with_reads(fd, trials, curves=curves))
    for axes in drawn(figure.draw).axes:
        low, high = axes.get_ylim()
        assert curves["train_nll"].between(low, high).mean() > 0.8
    assert ", or of the curve with the lowest NLL if that is higher, and a" in figure.caption
    assert "selected trial's curve" not in figure.caption


def test_a_cross_above_the_learning_curves_is_on_their_edge(
    fd: Evidence, fd_curves: pd.DataFrame
) -> None:
    """Below the edge a diverged trial's cross is where its curve ends."""
    lowest = fd_curves.groupby("config_index")["valid_nll_counted"].min()
    quantile = lowest.quantile(0.85)
    edge = quantile + 0.25 * (quantile - lowest.min())
    first, second = [k for k in fd.trials["config_index"] if k != fd.selected][:2]
    table, ends = fd_curves.copy(), {first: (quantile + edge) / 2, second: 2 * edge}
    for k, end in ends.items():
        last = table.index[table["config_index"] == k][-1]
        table.loc[last, "valid_nll_counted"] = end
    trials = fd.trials.assign(diverged=fd.trials["config_index"].isin(list(ends)))
    figure = learning.learning_curves(with_reads(fd, trials, curves=table))
    valid = drawn(figure.draw).axes[1]
    (crosses,) = lines(valid, "diverged")
    assert crosses.get_ydata().tolist() == pytest.approx([ends[first], edge])
    assert valid.get_ylim()[1] == pytest.approx(edge + 0.05 * (edge - lowest.min()))
    assert "a quarter of the way" in figure.caption


def test_spectral_radius(fd: Evidence, fd_curves: pd.DataFrame) -> None:
    figure = learning.radius_curves(fd)
    (axes,) = drawn(figure.draw).axes
    assert axes.get_yscale() == "log"
    assert_shows(axes, fd, fd_curves, "spectral_radius")
    low, high = axes.get_ylim()
    assert low < fd_curves["spectral_radius"].min()
    assert high > fd_curves["spectral_radius"].max()


def test_many_points_are_kept_as_pixels(fd: Evidence, fd_curves: pd.DataFrame) -> None:
    def is_dense(table: pd.DataFrame) -> bool:
        axes = drawn(learning.radius_curves(with_reads(fd, curves=table)).draw).axes[0]
        return any(bool(one.get_rasterized()) for one in axes.collections)

    epochs = np.arange(1, 30_001)
    other = next(k for k in fd.trials["config_index"] if k != fd.selected)
    long = pd.DataFrame(
        {"config_index": other, "epoch": epochs, "spectral_radius": 1.0, "train_nll": 8.0}
    )
    assert not is_dense(fd_curves)
    assert is_dense(long)


def test_the_label_of_the_nll_is_whole_beside_long_numbers(fd: Evidence) -> None:
    quarters = np.linspace(6.25, 7.0, len(fd.trials))
    figure = values.figure(with_reads(fd, fd.trials.assign(valid_nll=quarters)))
    assert figure is not None
    drawing = drawn(figure.draw)
    drawing.canvas.draw()
    labels = [axes.yaxis.label for axes in drawing.axes if axes.get_ylabel()]
    assert labels
    assert min(label.get_window_extent().x0 for label in labels) >= 0


def test_every_trial_has_a_dot_against_each_value(fd: Evidence) -> None:
    figure = values.figure(fd)
    assert figure is not None
    drawing = drawn(figure.draw)
    space = fd.space
    visible = [axes for axes in drawing.axes if axes.get_visible()]
    assert len(visible) == len(space.parameters)
    top = np.quantile(fd.ranked["valid_nll"], 0.85)
    for axes, parameter in zip(visible, space.parameters, strict=True):
        finished = fd.finished
        if parameter.when is not None:
            finished = finished[finished[parameter.when.parameter] == parameter.when.value]
        shown = [line for line in axes.lines if line.get_marker() == "o"]
        points = np.concatenate([line.get_xydata() for line in shown])
        expected = finished[finished["valid_nll"] <= top]
        assert sorted(points[:, 1]) == sorted(expected["valid_nll"])
        for row in expected.to_dict("records"):
            x = points[points[:, 1] == row["valid_nll"], 0]
            value = row[parameter.name]
            # Numbers in order, no limit last.
            numbers = [one for one in parameter.distribution.extremes if one is not None]
            missing = isinstance(value, float) and math.isnan(value)
            choice = len(numbers) if missing else sorted(numbers).index(value)
            assert np.abs(x - choice).min() < 0.3
        (rug,) = (line for line in axes.lines if line.get_marker() == "x")
        assert len(rug.get_xdata()) == finished["diverged"].sum()
        assert [tick.get_text() for tick in axes.get_xticklabels()]


def test_a_pruned_trial_below_the_selected_one_has_its_dot(fd: Evidence) -> None:
    other = next(k for k in fd.trials["config_index"] if k != fd.selected)
    trials = fd.trials.copy()
    trials.loc[trials["config_index"] == other, ["state", "valid_nll"]] = ["pruned", 1.0]
    figure = values.figure(with_reads(fd, trials))
    assert figure is not None
    assert drawn(figure.draw).axes[0].get_ylim()[0] < 1.0
    assert fd.best is not None
    assert f"The selected trial {fd.selected} has {fd.best['valid_nll']:.2f}." in figure.alt


def test_the_medians_count_trials_without_a_finite_nll() -> None:
    points = pd.DataFrame(
        {"position": [0, 0, 0, 1, 1], "valid_nll": [8.0, 9.0, np.inf, np.inf, np.inf]}
    )
    assert values.medians(points).to_dict() == {0: 9.0, 1: np.inf}


def test_cost(fd: Evidence) -> None:
    figure = cost.figure(fd)
    assert figure is not None
    (axes,) = drawn(figure.draw).axes
    sizes = sorted(fd.trials["n_hidden"].unique())
    points = np.concatenate(
        [line.get_xydata() for size in sizes for line in lines(axes, f"{size}")]
    )
    seconds = fd.trials["seconds"] >= 60
    factor = 1 / 60 if seconds.any() else 1.0
    expected = np.column_stack([fd.trials["n_epochs"], factor * fd.trials["seconds"]])
    np.testing.assert_allclose(
        points[np.lexsort(points.T)], expected[np.lexsort(expected.T)].astype(float)
    )
    assert "8 trials" in figure.alt


def test_seconds_are_not_rounded_to_no_minutes(fd: Evidence) -> None:
    figure = cost.figure(replace(fd, trials=fd.trials.assign(seconds=0.5)))
    assert figure is not None
    assert "8 trials took 4.0 s in all, a trial 0.5 s" in figure.caption


def test_more_sizes_than_markers_have_a_scale_of_colours(fd: Evidence) -> None:
    sizes = [64, 72, 96, 160, 200, 320, 400, 512]
    figure = cost.figure(replace(fd, trials=fd.trials.assign(n_hidden=sizes)))
    assert figure is not None
    assert "Colours by hidden units" in figure.caption
    axes, scale = drawn(figure.draw).axes
    coloured = axes.collections[0].get_array()
    assert coloured is not None
    np.testing.assert_array_equal(coloured, sizes)
    assert scale.get_ylabel() == "hidden units"
    assert axes.get_legend().get_title().get_text() == "trials"
    assert not any(text.get_text().isdigit() for text in axes.get_legend().get_texts())


def test_the_generalisation_gap(fd: Evidence, fd_curves: pd.DataFrame) -> None:
    table = fd.best_epochs
    finite = fd.finished[np.isfinite(fd.finished["valid_nll"])]
    assert set(table["config_index"]) == set(finite["config_index"])
    assert table["config_index"][0] == fd.selected
    assert table["valid"].is_monotonic_increasing
    for row in table.to_dict("records"):
        trial = finite[finite["config_index"] == row["config_index"]].iloc[0]
        epoch = fd_curves[
            (fd_curves["config_index"] == row["config_index"])
            & (fd_curves["epoch"] == trial["best_epoch"])
        ].iloc[0]
        assert row["train"] == epoch["train_nll"]
        assert row["valid"] == trial["valid_nll"] == epoch["valid_nll_counted"]
        assert row["valid_masked"] == trial["valid_nll_masked"]
        assert row["test"] == trial["test_nll_pooled"]
    figure = gap.figure(fd)
    assert figure is not None
    left, right = drawn(figure.draw).axes
    np.testing.assert_array_equal(lines(left, "training")[0].get_ydata(), table["train"])
    np.testing.assert_array_equal(lines(right, "test")[0].get_ydata(), table["test"])


@pytest.mark.parametrize("n_trials", [1, 2, 3])
def test_the_selected_trial_is_inside_the_gap_s_panels(fd: Evidence, n_trials: int) -> None:
    """The 85 % quantile of a few values is below the highest, which may be the selected trial's."""
    kept = [fd.selected, *fd.best_epochs["config_index"][1:n_trials]]
    few = replace(fd, trials=fd.trials[fd.trials["config_index"].isin(kept)])
    best = few.best_epochs.iloc[0]
    figure = gap.figure(few)
    assert figure is not None
    for axes, columns in zip(
        drawn(figure.draw).axes, (["train", "valid"], ["valid_masked", "test"]), strict=True
    ):
        low, high = axes.get_ylim()
        assert low < best[columns].min()
        assert best[columns].max() < high
    noun = "trial" if n_trials == 1 else "trials"
    assert f" {n_trials} {noun} in the order" in figure.caption
    assert figure.alt.split(". ")[0].endswith(f"of {n_trials} {noun}")
    if n_trials == 1:
        assert "or, where that is higher, at the selected trial's NLL" in figure.caption


def test_the_gap_s_panels_of_many_trials_end_at_the_quantile(fd: Evidence) -> None:
    figure = gap.figure(fd)
    assert figure is not None
    assert "A panel ends at the 85% quantile; what lies above" in figure.caption


@pytest.mark.parametrize(("side", "zeros"), [("front", "prepended"), ("back", "appended")])
def test_the_gap_says_where_zeros_are(fd: Evidence, side: str, zeros: str) -> None:
    training = replace(fd.definition.training, padding_side=side)
    study = replace(fd.study, definition=replace(fd.definition, training=training))
    figure = gap.figure(replace(fd, study=study))
    assert figure is not None
    assert f"validation without {zeros} zeros, and pooled test NLL" in figure.caption


def test_a_single_trial_is_one_trial(fd: Evidence) -> None:
    one = replace(fd, trials=fd.trials[fd.trials["config_index"] == fd.selected])
    for figure in (cost.figure(one), learning.learning_curves(one), learning.radius_curves(one)):
        assert figure is not None
        assert "1 trials" not in figure.caption + figure.alt


def test_curves_of_one_epoch_are_dots(fd: Evidence, fd_curves: pd.DataFrame) -> None:
    begun = with_reads(
        fd,
        fd.trials.assign(state="running", diverged=False, valid_nll=np.nan, n_epochs=1),
        curves=fd_curves[fd_curves["epoch"] == 1],
    )
    for figure in (learning.learning_curves(begun), learning.radius_curves(begun)):
        for axes in drawn(figure.draw).axes:
            (dots,) = axes.lines
            assert (dots.get_marker(), len(dots.get_xdata())) == ("o", len(fd.trials))


def test_figure_2(golden: Store, fd: Evidence, plain: Evidence) -> None:
    figure = figure2.figure("figure2", "JSB Chorales", [fd, plain])
    assert figure is not None
    radius, test = drawn(figure.draw).axes
    for evidence, label in ((fd, "FD-RNN"), (plain, "plain RNN")):
        table = golden.study(evidence.name).curves()
        table = table[table["config_index"] == evidence.selected]
        for axes, column in ((radius, "spectral_radius"), (test, "test_nll_pooled")):
            (line,) = lines(axes, label)
            np.testing.assert_array_equal(line.get_xdata(), table["epoch"])
            np.testing.assert_array_equal(line.get_ydata(), table[column])
    # The test NLL at the best epoch is the one that the trial is reported with.
    curve = figure2.course(fd)
    assert curve is not None
    assert fd.best is not None
    at_best = curve.loc[curve["epoch"] == fd.best["best_epoch"], "test_nll_pooled"].iloc[0]
    assert at_best == pytest.approx(fd.best["test_nll_pooled"], rel=1e-5)


def test_figure_2_says_what_it_lacks(fd: Evidence, fd_curves: pd.DataFrame) -> None:
    figure = figure2.figure("f", "JSB Chorales", [fd])
    assert figure is not None
    assert "No plain study" in figure.caption
    without = with_reads(fd, curves=fd_curves.drop(columns="test_nll_pooled"))
    assert figure2.figure("f", "JSB Chorales", [without]) is None


@pytest.mark.parametrize("unknown", [np.nan, np.inf])
def test_figure_2_without_a_finite_test_nll(
    fd: Evidence, fd_curves: pd.DataFrame, unknown: float
) -> None:
    curves = fd_curves.assign(test_nll_pooled=unknown)
    figure = figure2.figure("f", "JSB Chorales", [with_reads(fd, curves=curves)])
    assert figure is not None
    radius, _ = drawn(figure.draw).axes
    (line,) = lines(radius, "FD-RNN")
    assert np.isfinite(line.get_ydata()).all()


def test_figure_2_without_a_spectral_radius(fd: Evidence, fd_curves: pd.DataFrame) -> None:
    curves = fd_curves.assign(spectral_radius=np.nan)
    figure = figure2.figure("f", "JSB Chorales", [with_reads(fd, curves=curves)])
    assert figure is not None
    assert "no spectral radius, test NLL" in figure.caption
    _, test = drawn(figure.draw).axes
    (line,) = lines(test, "FD-RNN")
    assert np.isfinite(line.get_ydata()).all()


def test_a_study_whose_trials_all_diverged_at_once(fd: Evidence, fd_curves: pd.DataFrame) -> None:
    trials = fd.trials.assign(diverged=True, valid_nll=np.inf, test_nll_pooled=np.nan, best_epoch=0)
    hopeless = with_reads(fd, trials, sequences=fd.sequences.head(0), curves=fd_curves)
    unknown = with_reads(
        hopeless, trials, curves=fd_curves.assign(train_nll=np.nan, valid_nll_counted=np.nan)
    )
    assert hopeless.selected is None
    assert values.figure(hopeless) is None
    assert gap.figure(unknown) is None
    for figure in (
        learning.learning_curves(unknown),
        learning.radius_curves(hopeless),
        cost.figure(hopeless),
    ):
        assert figure is not None
        drawn(figure.draw)
