"""The figure of a model's music: what its artists hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fdrnn.datasets import BINARY, CATEGORICAL, DataDescription
from fdrnn.reports.artefacts import Figure as Shown
from fdrnn.reports.figures import piano_rolls
from fdrnn.reports.figures import samples as kept
from fdrnn.reports.figures.piano_rolls import note_name
from fdrnn.search import SampleOrigin, Samples

PIANO = DataDescription(
    title="JSB Chorales", note="", n_features=88, lowest_midi_note=21, fingerprint="0" * 64
)


def made(n_excerpt: int = 12, n_sample: int = 20, n_features: int = 88) -> Samples:
    random = np.random.default_rng(0)
    excerpt = np.zeros((n_excerpt, n_features), np.uint8)
    excerpt[:, [1, 3]] = 1
    sample = np.zeros((n_sample, n_features), np.uint8)
    sample[:, 2] = 1
    return Samples(
        config_index=3,
        excerpt=excerpt,
        predictions=random.random((n_excerpt - 1, n_features)) * 0.4,
        sample=sample,
        origin=SampleOrigin(
            sequence=5,
            sequence_length=60,
            n_given=4,
            seed=1,
            step_quarters=1.0,
            code_version="0.1.0",
        ),
    )


def drawn(figure: Figure) -> Figure:
    FigureCanvasAgg(figure).draw()
    return figure


def test_the_panels_hold_excerpt_predictions_and_sample() -> None:
    samples = made()
    figure = drawn(piano_rolls.draw(samples, PIANO))
    panels = figure.axes[:3]
    for axes, values, first_step in zip(
        panels, (samples.excerpt, samples.predictions, samples.sample), (1, 2, 1), strict=True
    ):
        (image,) = axes.images
        np.testing.assert_array_equal(image.get_array(), values.T)
        assert image.get_clim() == (0.0, 1.0)
        left, right, bottom, top = image.get_extent()
        assert (left, right) == (first_step - 0.5, first_step + len(values) - 0.5)
        assert (bottom, top) == (20.5, 108.5)
    assert [axes.get_title(loc="left") for axes in panels] == [
        "JSB Chorales, test sequence 5, 12 of 60 steps",
        "Predictions of it by trial 3, each from what comes before it",
        "Sample of the trial after 4 steps of the sequence",
    ]
    (mark,) = panels[2].lines
    assert list(mark.get_xdata()) == [4.5, 4.5]
    assert panels[2].get_xlim() == (0.5, 20.5)


def test_the_caption_says_what_the_probabilities_of_a_nade_are_given() -> None:
    captions = []
    for output in ("bernoulli", "nade"):
        figure = next(kept.artefacts("s", made(), PIANO, output))
        assert isinstance(figure, Shown)
        captions.append(figure.caption)
    assert "for each of its steps from those before, and a sample" in captions[0]
    assert (
        "those before, of each column given the step's columns before it too, and a" in captions[1]
    )


def test_pitches_have_names_around_the_notes_that_sound() -> None:
    figure = drawn(piano_rolls.draw(made(), PIANO))
    low, high = figure.axes[0].get_ylim()
    assert (low, high) == (22 - 2.5, 24 + 2.5)
    labels = {
        round(tick.get_position()[1]): tick.get_text() for tick in figure.axes[0].get_yticklabels()
    }
    assert labels == {24: "C1"}
    assert [note_name(pitch) for pitch in (21, 60, 69, 108)] == ["A0", "C4", "A4", "C8"]


@pytest.mark.parametrize(("kind", "name"), [(BINARY, "column"), (CATEGORICAL, "symbol")])
def test_columns_that_are_no_notes_have_the_name_of_their_kind(kind: str, name: str) -> None:
    data = replace(PIANO, n_features=4, lowest_midi_note=None, kind=kind)
    figure = drawn(piano_rolls.draw(made(n_features=4), data))
    axes = figure.axes[0]
    assert axes.get_ylabel() == name
    assert axes.get_ylim() == (-0.5, 3.5)


def test_ones_that_are_no_notes_are_not_called_so() -> None:
    data = replace(PIANO, n_features=4, lowest_midi_note=None, kind=BINARY)
    samples = made(n_excerpt=1, n_features=4)
    samples = replace(samples, origin=replace(samples.origin, n_given=1))
    text = piano_rolls.alt(samples, data)
    assert "note" not in text
    assert "the first 1 step of test sequence 5" in text
    assert "2.0 ones a step" in text
    assert "a sample: 1 step of the sequence" in text


@pytest.mark.parametrize("n_excerpt", [1, 2])
def test_an_excerpt_that_predicts_nothing_or_one_step(n_excerpt: int) -> None:
    samples = made(n_excerpt=n_excerpt)
    drawn(piano_rolls.draw(samples, PIANO))
    assert "test sequence 5" in piano_rolls.alt(samples, PIANO)


def test_silence_and_nothing_but_given_frames() -> None:
    samples = made(n_sample=4)
    silent = replace(samples, excerpt=samples.excerpt * 0, sample=samples.sample * 0)
    figure = drawn(piano_rolls.draw(silent, PIANO))
    assert figure.axes[0].get_ylim() == (21 - 2.5, 108 + 2.5)
    assert "drawn" not in piano_rolls.alt(silent, PIANO)


def test_the_alternative_text_has_the_numbers() -> None:
    samples = made()
    text = piano_rolls.alt(samples, PIANO)
    sounding = samples.predictions[:, [1, 3]].mean()
    others = np.delete(samples.predictions, [1, 3], axis=1).mean()
    assert f"{sounding:.2f} for the notes that sound and {others:.3f} for the others" in text
    assert "first 12 steps of test sequence 5 of JSB Chorales, 2.0 notes a step" in text
    assert "then 16 drawn from the model, 1.0 notes a step" in text
