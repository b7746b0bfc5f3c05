"""Figure 1 against closed forms and finite differences."""

from __future__ import annotations

import math

import numpy as np
import pytest
from drawn_figure import drawn
from matplotlib.quiver import Quiver

from fdrnn.reports.figures import figure1
from fdrnn.reports.figures.figure1 import Field


@pytest.fixture(scope="module")
def fields() -> dict[str, Field]:
    return {field.title: field for field in figure1.fields(101, 13)}


def loss(title: str, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """The losses of section 2.2.2 in NumPy alone."""
    if title == "squared loss":
        return (mean - 0.2) ** 2
    if title == "Gaussian":
        return (mean - 0.2) ** 2 / (2 * variance) + 0.5 * np.log(2 * math.pi * variance)
    y = 1 / (1 + np.exp(-mean / np.sqrt(1 + math.pi * variance / 8)))
    return -(0.2 * np.log(y) + 0.8 * np.log(1 - y))


TITLES = ("squared loss", "Gaussian", "Bernoulli")


@pytest.mark.parametrize("title", TITLES)
def test_the_losses(fields: dict[str, Field], title: str) -> None:
    field = fields[title]
    np.testing.assert_allclose(field.loss, loss(title, field.mean, field.variance), rtol=1e-10)


@pytest.mark.parametrize("title", TITLES)
def test_the_gradients_against_finite_differences(fields: dict[str, Field], title: str) -> None:
    field, h = fields[title], 1e-5
    mean = (
        loss(title, field.mean + h, field.variance) - loss(title, field.mean - h, field.variance)
    ) / (2 * h)
    variance = (
        loss(title, field.mean, field.variance + h) - loss(title, field.mean, field.variance - h)
    ) / (2 * h)
    np.testing.assert_allclose(field.mean_gradient, mean, atol=1e-6, rtol=1e-5)
    np.testing.assert_allclose(field.variance_gradient, variance, atol=1e-6, rtol=1e-5)


def test_the_optimum_is_where_the_paper_says(fields: dict[str, Field]) -> None:
    middle = sum(figure1.MEANS) / 2
    step = fields["Bernoulli"].mean[0, 1] - fields["Bernoulli"].mean[0, 0]
    for title in ("squared loss", "Gaussian"):
        best = fields[title].mean[0, fields[title].loss[0].argmin()]
        assert best == pytest.approx(0.2, abs=step)
        assert best == pytest.approx(middle, abs=step)
    # E[y] = 0.2 at logit(0.2) sqrt(1 + pi v / 8): a little to the left of the middle.
    bernoulli = fields["Bernoulli"]
    for row in (0, -1):
        best = bernoulli.mean[row, bernoulli.loss[row].argmin()]
        slope = math.sqrt(1 + math.pi * bernoulli.variance[row, 0] / 8)
        assert best == pytest.approx(math.log(0.25) * slope, abs=step)
        assert best < middle


def test_the_dots_are_where_the_loss_is_least() -> None:
    figure = figure1.figure()
    drawing = drawn(figure.draw)
    for axes, field in zip(drawing.axes, figure1.fields(2001, 2), strict=False):
        (dot,) = (line for line in axes.lines if line.get_marker() == "o")
        best = field.mean[0, field.loss[0].argmin()]
        assert dot.get_xdata() == pytest.approx([best], abs=0.01)
        assert f"{best:.1f}" in figure.caption
        assert dot.get_ydata() == [figure1.VARIANCES[0]]


def test_delta_a_has_the_three_signs_of_the_paper(fields: dict[str, Field]) -> None:
    assert not fields["squared loss"].variance_gradient.any()
    gaussian = fields["Gaussian"]
    excess = (gaussian.mean - 0.2) ** 2 - gaussian.variance
    clear = np.abs(excess) > 1e-9
    np.testing.assert_array_equal((gaussian.variance_gradient < 0)[clear], (excess > 0)[clear])


def test_the_arrows_are_the_negative_gradient() -> None:
    drawing = drawn(figure1.figure().draw)
    arrows = figure1.fields(16, 16)
    for axes, field in zip(drawing.axes, arrows, strict=False):
        (quiver,) = (one for one in axes.collections if isinstance(one, Quiver))
        assert quiver.angles == "xy"
        length = np.hypot(field.mean_gradient, field.variance_gradient).ravel()
        np.testing.assert_allclose(quiver.U, -field.mean_gradient.ravel() / length)
        np.testing.assert_allclose(quiver.V, -field.variance_gradient.ravel() / length)
        assert axes.images[0].norm.__class__.__name__ == "LogNorm"
        assert axes.get_title(loc="left") == field.title
