"""The figure of a model of real values, and what a report says of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from fdrnn.datasets import CATEGORICAL, REAL, DataDescription
from fdrnn.reports.figures import piano_rolls, series
from fdrnn.reports.figures.samples import artefacts
from fdrnn.reports.figures.series import MOST_COLUMNS
from fdrnn.search import SampleOrigin, Samples

ORIGIN = SampleOrigin(
    sequence=5, sequence_length=60, n_given=4, seed=1, step_quarters=None, code_version="0.1.0"
)


def made(width: int) -> tuple[Samples, DataDescription]:
    rng = np.random.default_rng(0)
    excerpt, sample = (rng.normal(size=(n, width)) for n in (12, 20))
    samples = Samples(
        config_index=3,
        excerpt=excerpt,
        predictions=excerpt[1:] + 0.5,
        sample=sample,
        origin=ORIGIN,
    )
    data = DataDescription(
        title="Waves",
        note="",
        n_features=width,
        lowest_midi_note=None,
        fingerprint="0" * 64,
        kind=REAL,
    )
    return samples, data


@pytest.mark.parametrize("width", [1, 2, MOST_COLUMNS + 3])
def test_lines_hold_excerpt_predictions_and_sample(width: int) -> None:
    samples, data = made(width)
    figure = series.draw(samples, data)
    FigureCanvasAgg(figure).draw()
    assert len(figure.axes) == 2 * min(width, MOST_COLUMNS)
    for column in range(min(width, MOST_COLUMNS)):
        left, right = figure.axes[2 * column : 2 * column + 2]
        drawn = [left.lines[0], left.lines[1], right.lines[0]]
        expected = [(samples.excerpt, 1), (samples.predictions, 2), (samples.sample, 1)]
        for line, (values, first) in zip(drawn, expected, strict=True):
            np.testing.assert_array_equal(line.get_ydata(), values[:, column])
            np.testing.assert_array_equal(line.get_xdata(), first + np.arange(len(values)))
        assert right.lines[1].get_xdata()[0] == 4.5


@pytest.mark.parametrize("width", [MOST_COLUMNS, MOST_COLUMNS + 3])
def test_the_caption_says_which_columns_are_drawn(width: int) -> None:
    figure = next(artefacts("s", *made(width), "gaussian"))
    said = f"The first {MOST_COLUMNS} of {width} columns are drawn." in figure.caption
    assert said == (width > MOST_COLUMNS)


def test_the_band_is_two_standard_deviations_of_the_prediction() -> None:
    samples, data = made(2)
    assert not series.draw(samples, data).axes[0].collections
    deviations = np.random.default_rng(1).uniform(0.1, 1.0, samples.predictions.shape)
    samples = dataclasses.replace(samples, deviations=deviations)
    figure = series.draw(samples, data)
    for column in range(2):
        (band,) = figure.axes[2 * column].collections
        drawn = {tuple(point) for point in band.get_paths()[0].vertices}
        for sign in (-2, 2):
            edge = samples.predictions[:, column] + sign * deviations[:, column]
            assert set(zip(2.0 + np.arange(len(edge)), edge, strict=True)) <= drawn
    # Every prediction is 0.5 off.
    inside = (deviations >= 0.25).mean()
    assert f"{inside:.0%} of the values within 2 standard deviations" in series.alt(samples, data)


@pytest.mark.parametrize("width", [1, MOST_COLUMNS])
def test_the_legend_covers_neither_data_nor_titles(width: int) -> None:
    samples, data = made(width)
    samples = dataclasses.replace(samples, deviations=np.ones(samples.predictions.shape))
    figure = series.draw(samples, data)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    assert not any(axes.get_legend() for axes in figure.axes)
    (legend,) = figure.legends
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["test sequence 5", "predicted", "± 2 standard deviations"]
    extent = legend.get_window_extent(canvas.get_renderer())
    assert extent.x0 >= 0
    assert extent.x1 <= figure.bbox.x1
    for axes in figure.axes:
        covered = axes.get_tightbbox(canvas.get_renderer())
        assert covered is not None
        assert not extent.overlaps(covered)


def test_in_words() -> None:
    samples, data = made(2)
    text = series.alt(samples, data)
    assert "deviation" not in text
    assert "12 steps of test sequence 5 of Waves" in text
    assert "root mean squared error 0.5, 0.5 by column" in text
    assert "4 steps of the sequence, then 16 drawn" in text
    assert "note" not in text


def test_symbols_are_not_called_notes() -> None:
    samples, data = made(3)
    rows = [np.eye(3, dtype=np.uint8)[np.arange(n) % 3] for n in (12, 20)]
    samples = dataclasses.replace(samples, excerpt=rows[0], sample=rows[1])
    text = piano_rolls.alt(samples, dataclasses.replace(data, kind=CATEGORICAL))
    assert "Three images of symbols." in text
    assert "1.0 symbols a step" in text
    assert "note" not in text


def test_one_predicted_step_and_one_drawn_are_dots() -> None:
    samples, data = made(1)
    short = dataclasses.replace(
        samples,
        excerpt=samples.excerpt[:2],
        predictions=samples.predictions[:1],
        deviations=np.ones((1, 1)),
        sample=samples.sample[:1],
        origin=dataclasses.replace(ORIGIN, n_given=1),
    )
    left, right = series.draw(short, data).axes
    assert [line.get_marker() for line in (*left.lines, right.lines[0])] == ["None", "o", "o"]
    assert left.collections[0].get_linewidth() > 0
    assert "a sample: 1 step of the sequence" in series.alt(short, data)
