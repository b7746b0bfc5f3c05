r"""Figure 1: how the loss of one unit depends on the moments of its input.

The fields over E[a] and V[a] of the loss and of its derivatives, of which
:math:`\delta^a = \partial J / \partial V[a]` is the error signal of the variance (section 2.2.2).
The moments are the model's own expressions (`fdrnn.model.moments`), and Theano differentiates
them: this is the one place where a report calls the model.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.colors import ListedColormap, LogNorm
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import LogLocator, NullLocator

from fdrnn.model import ToolchainError
from fdrnn.reports.artefacts import Figure
from fdrnn.reports.figures import style

TARGET = 0.2
"""The value that the unit should have, as in the paper."""

MEANS = (TARGET - 5.0, TARGET + 5.0)
VARIANCES = (0.2, 5.0)
"""Ranges of E[a] and V[a]. The mean is centred on the target; at lower variances the Gaussian
loss is negative and has no logarithm."""

OPTIMA = {
    "squared loss": TARGET,
    "Gaussian": TARGET,
    "Bernoulli": math.log(TARGET / (1 - TARGET)) * math.sqrt(1 + math.pi * VARIANCES[0] / 8),
}
"""Means of least loss at the smallest variance; for the last E[y], the logistic sigmoid of
E[a] / sqrt(1 + pi V[a] / 8) (section 2.2), is the target."""

_N_COLORS = 161
# Even: in the middle the squared loss has no gradient to draw.
_N_ARROWS = 16
_LEAST_LOSS = 1e-2
# White arrows are hard to see on viridis' yellow.
_COLORS = ListedColormap(mpl.colormaps["viridis"](np.linspace(0.0, 0.85, 256)))
_SUBS = {"squared loss": (1.0,), "Gaussian": (1.0, 3.0), "Bernoulli": (0.5, 1.0, 2.0, 4.0)}


Grid = npt.NDArray[np.float64]
_Evaluate = Callable[[Grid, Grid], list[Grid]]


@dataclass(frozen=True, eq=False)
class Field:
    """The loss and its derivatives on a grid; arrays of shape (variances, means).

    Attributes
    ----------
    title
        Title of the loss.
    mean, variance
        E[a] and V[a] of the points.
    loss
        In nats for the log-likelihoods.
    mean_gradient, variance_gradient
        Derivatives of the loss with respect to E[a] and V[a]; the latter is delta^a.
    """

    title: str
    mean: Grid
    variance: Grid
    loss: Grid
    mean_gradient: Grid
    variance_gradient: Grid


def fields(n_means: int, n_variances: int) -> list[Field]:
    """Return the three fields of Figure 1, with points evenly over `MEANS` and `VARIANCES`.

    Returns
    -------
    list of Field
        Squared loss (E[y] - t)^2 and Gaussian negative log-likelihood
        (E[y] - t)^2 / (2 V[y]) + log sqrt(2 pi V[y]) of y = a; Bernoulli negative log-likelihood
        -t log E[y] - (1 - t) log(1 - E[y]) of the logistic sigmoid of a.

    Raises
    ------
    ToolchainError
        If Theano cannot be used here.
    """
    mean, variance = np.meshgrid(np.linspace(*MEANS, n_means), np.linspace(*VARIANCES, n_variances))
    return [
        Field(title, mean, variance, *evaluate(mean, variance))
        for title, evaluate in _losses().items()
    ]


def hindrance() -> str:
    """Return why Figure 1 cannot be drawn here, without a full stop; empty if it can."""
    try:
        _losses()
    except ToolchainError as error:
        return str(error)
    return ""


@cache
def _losses() -> dict[str, _Evaluate]:
    from fdrnn.model.toolchain import theano  # noqa: PLC0415 - imports Theano

    # A training step must not slip into float64; here it is wanted, also for constants.
    with theano.config.change_flags(warn_float64="ignore", floatX="float64"):
        return _compiled(theano)


def _compiled(theano: Any) -> dict[str, _Evaluate]:
    from fdrnn.model import moments  # noqa: PLC0415

    T = theano.tensor
    mean, variance = T.dmatrix("mean"), T.dmatrix("variance")
    probability, _ = moments.sigmoid(mean, variance)
    error = (mean - TARGET) ** 2
    # To compile these few operations would take longer than the report, and need a compiler.
    interpreted = theano.compile.mode.Mode(linker="py", optimizer=None)

    def evaluator(loss: Any) -> _Evaluate:
        gradients = theano.grad(loss.sum(), [mean, variance], disconnected_inputs="ignore")
        function: _Evaluate = theano.function(
            [mean, variance], [loss, *gradients], mode=interpreted, on_unused_input="ignore"
        )
        return function

    return {
        "squared loss": evaluator(error),
        "Gaussian": evaluator(error / (2 * variance) + T.log(T.sqrt(2 * math.pi * variance))),
        "Bernoulli": evaluator(
            -TARGET * T.log(probability) - (1 - TARGET) * T.log(1 - probability)
        ),
    }


def figure() -> Figure:
    """Return Figure 1; drawing it raises `ToolchainError` where Theano cannot be used."""
    best = OPTIMA["Bernoulli"]
    return Figure(
        name="figure1",
        title="Figure 1: the error signal of the variance",
        caption=(
            f"Loss of one unit with target {TARGET} over the mean E[a] and the variance V[a] of "
            "its input: squared loss and Gaussian negative log-likelihood of y = a, Bernoulli "
            "negative log-likelihood of the logistic sigmoid of a. Colour: the loss on a "
            "logarithmic scale. Arrows: the negative gradient, the direction of a training step, "
            "in the scales of the axes, all of one length. Dashed: where delta^a, the derivative "
            "with respect to the variance, changes its sign; between the lines a step shrinks the "
            "variance, outside it grows; the squared loss does not depend on it. Dot: the mean of "
            f"least loss at the smallest variance shown, {VARIANCES[0]}: {TARGET} for the first "
            f"two, {best:.2f} for the last, a little to the left as the paper says. Bernoulli's "
            "optimum is no point but the valley E[y] = t, which leads from the dot further to the "
            "left as the variance grows. At smaller variances the Gaussian loss turns negative. "
            f"The colour of the squared loss ends at {_LEAST_LOSS:g}, below which it goes to zero. "
            "Computed by the model's own moments; no study has a part in it."
        ),
        alt=(
            "Three vector fields over pre-synaptic mean and variance. Squared loss: arrows point "
            f"straight to the mean {TARGET}. Gaussian: far from {TARGET} arrows point to larger "
            "variance, near it down to smaller variance. Bernoulli: the optimum is a valley "
            f"that begins at {best:.2f}; "
            "on the far side of zero arrows point to larger variance."
        ),
        draw=lambda: _draw(fields(_N_COLORS, _N_COLORS), fields(_N_ARROWS, _N_ARROWS)),
    )


def _draw(colors: list[Field], arrows: list[Field]) -> Drawing:
    figure, (row,) = style.new_figure(3, height=2.5, sharex=True, sharey=True)
    for axes, color, arrow in zip(row, colors, arrows, strict=True):
        loss = np.maximum(color.loss, _LEAST_LOSS)
        image = axes.imshow(
            loss,
            norm=LogNorm(loss.min(), loss.max()),
            cmap=_COLORS,
            extent=(*MEANS, *VARIANCES),
            origin="lower",
            aspect="auto",
            interpolation="bilinear",
        )
        length = np.hypot(arrow.mean_gradient, arrow.variance_gradient)
        axes.quiver(
            arrow.mean,
            arrow.variance,
            -arrow.mean_gradient / length,
            -arrow.variance_gradient / length,
            color=style.ON_COLOR,
            angles="xy",
            scale=22,
            width=0.006,
            pivot="mid",
        )
        if np.ptp(np.sign(color.variance_gradient)) > 0:
            axes.contour(
                color.mean,
                color.variance,
                color.variance_gradient,
                levels=[0.0],
                colors=style.VERMILLION,
                linestyles="--",
                linewidths=1.0,
            )
        axes.plot(
            OPTIMA[color.title],
            VARIANCES[0],
            "o",
            color=style.VERMILLION,
            markersize=5,
            clip_on=False,
            zorder=5,
        )
        axes.set_title(color.title)
        axes.grid(visible=False)
        axes.set_xlabel("mean E[a]")
        bar = figure.colorbar(image, ax=axes, orientation="horizontal", aspect=30, pad=0.02)
        bar.ax.spines["outline"].set_visible(False)
        bar.ax.xaxis.set_major_locator(LogLocator(subs=_SUBS[color.title]))
        bar.ax.xaxis.set_major_formatter("{x:g}")
        bar.ax.xaxis.set_minor_locator(NullLocator())
        bar.ax.tick_params(labelsize=6)
        unit = "" if color.title == "squared loss" else " (nats)"
        bar.set_label(f"loss{unit}", size=7)
    row[0].set_ylabel("variance V[a]")
    return figure
