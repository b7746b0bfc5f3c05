"""The look of figures, and their bytes: the same figure gives the same file each time.

Colours are Okabe and Ito's, which readers with a colour-vision deficiency can distinguish; each
also differs by line style or marker. Ink and paper are single colours, so that a page can replace
them in the dark theme (`themed`).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backend_bases import FigureCanvasBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator

from fdrnn.datasets.drawing import escape_missing_glyphs
from fdrnn.reports.numbers import symbols

INK = "#1f2428"
PAPER = "#ffffff"
ON_COLOR = "#fdfdfd"
"""Arrows on a coloured field, the same in both themes."""
GREY = "#858b92"
BLUE = "#0072b2"
GREEN = "#009e73"
VERMILLION = "#d55e00"
PURPLE = "#cc79a7"
SCALE = LinearSegmentedColormap.from_list("scale", ["#d9b44a", GREEN, "#4b4fa0"])
"""Of numbers, from low to high."""

SELECTED = BLUE
FD = BLUE
PLAIN = GREEN
DIVERGED = VERMILLION

COLUMN_WIDTH_IN, TEXT_WIDTH_IN = 3.4, 7.0
"""Widths of figures that fit a column of a paper, and two."""
_LEGEND_SHARE = 0.95
PNG_DPI = 200
RASTER_DPI = 120
"""Resolution of the dense parts of an SVG or PDF that are kept as pixels."""
DENSE = 20_000
"""Points above which the lines of a figure are kept as pixels."""

_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    **dict.fromkeys(("font.size", "axes.titlesize", "axes.labelsize"), 8),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize"), 7),
    **dict.fromkeys(("legend.fontsize", "legend.title_fontsize"), 7),
    **dict.fromkeys(("legend.frameon", "axes.spines.top", "axes.spines.right"), False),
    **dict.fromkeys(("axes.linewidth", "xtick.major.width", "ytick.major.width"), 0.6),
    **dict.fromkeys(("text.color", "xtick.color", "ytick.color"), INK),
    **dict.fromkeys(("axes.edgecolor", "axes.labelcolor"), INK),
    **dict.fromkeys(("figure.facecolor", "savefig.facecolor"), PAPER),
    "axes.facecolor": "none",
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": GREY,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.4,
    "svg.hashsalt": "fdrnn",
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "path.simplify_threshold": 0.5,
}
_CANVASES: dict[str, type[FigureCanvasBase]] = {
    "svg": FigureCanvasSVG,
    "pdf": FigureCanvasPdf,
    "png": FigureCanvasAgg,
}
_NO_DATE: dict[str, dict[str, None]] = {
    "svg": {"Date": None},
    "pdf": {"CreationDate": None, "ModDate": None},
    "png": {},
}


def new_figure(
    n_columns: int = 1,
    n_rows: int = 1,
    *,
    height: float = 2.4,
    layout: Literal["constrained"] | None = "constrained",
    **options: Any,
) -> tuple[Figure, npt.NDArray[Any]]:
    """Return an empty figure and its axes, an array of shape (n_rows, n_columns).

    Parameters
    ----------
    n_columns, n_rows
        Its panels.
    height
        In inches. One panel is as wide as a column of a paper, several are as wide as two.
    layout
        "constrained" fits the panels to their labels; None leaves that to the caller.
    options
        Options of `matplotlib.figure.Figure.subplots`.
    """
    width = COLUMN_WIDTH_IN if n_columns == 1 else TEXT_WIDTH_IN
    figure = Figure(figsize=(width, height), layout=layout)
    return figure, figure.subplots(n_rows, n_columns, squeeze=False, **options)


def rendered(draw: Callable[[], Figure], formats: Sequence[str]) -> dict[str, bytes]:
    """Draw a figure and return its file in each format: ``"svg"``, ``"pdf"`` or ``"png"``."""
    with mpl.rc_context(_STYLE):
        figure = draw()
        escape_missing_glyphs(figure)
        # The layout is the same for all formats: solve for it once.
        engine = figure.get_layout_engine()
        if engine is not None:
            engine.execute(figure)
            figure.set_layout_engine("none")
        return {name: _printed(figure, name) for name in formats}


def _printed(figure: Figure, name: str) -> bytes:
    # `Figure.savefig` would first draw the figure once more, for its layout.
    canvas = _CANVASES[name](figure)
    figure.set_dpi(PNG_DPI if name == "png" else RASTER_DPI)
    buffer = io.BytesIO()
    getattr(canvas, f"print_{name}")(buffer, metadata=_NO_DATE[name])
    return buffer.getvalue()


_THEME = "<style>svg{--ink:#1f2428}@media (prefers-color-scheme:dark){svg{--ink:#e4e7ea}}</style>"


def themed(svg: bytes) -> bytes:
    """Return an SVG without paper whose ink follows the reader's light or dark theme."""
    text = svg.decode().replace(PAPER, "none").replace(INK, "var(--ink)")
    start = text.index("<defs>")
    return (text[:start] + _THEME + text[start:]).encode()


def trial_lines(
    axes: Axes, lines: Sequence[npt.NDArray[np.float64]], *, color: str, label: str | None = None
) -> None:
    """Draw a thin line per trial, as one artist; `lines` are points of shape (n, 2).

    A line with one point that is finite is a dot.
    """
    dense = sum(map(len, lines)) > DENSE
    alpha = 0.55 if len(lines) <= 100 else 0.2
    collection = LineCollection(
        lines, colors=color, linewidths=0.6, alpha=alpha, label=label, rasterized=dense
    )
    axes.add_collection(collection)
    alone = [line for line in lines if np.isfinite(line[:, 1]).sum() == 1]
    if alone:
        axes.plot(
            *np.concatenate(alone).T, "o", color=color, markersize=3, markeredgewidth=0, alpha=alpha
        )


def dots(
    axes: Axes,
    x: npt.NDArray[np.float64],
    y: npt.NDArray[np.float64],
    color: str,
    *,
    label: str | None = None,
) -> None:
    """Draw small dots, the more transparent the more there are; kept as pixels above 500."""
    axes.plot(
        x,
        y,
        "o",
        color=color,
        markersize=3 if len(x) <= 200 else 2,
        markeredgewidth=0,
        alpha=0.7 if len(x) <= 200 else 0.35,
        label=label,
        rasterized=len(x) > 500,
    )


def finite_range(values: Any) -> tuple[float, float]:
    """Return the lowest and the highest finite value; (inf, -inf) if there is none."""
    numbers = np.asarray(values, float)
    finite = np.isfinite(numbers)
    return (
        float(np.min(numbers, where=finite, initial=np.inf)),
        float(np.max(numbers, where=finite, initial=-np.inf)),
    )


NLL_QUANTILE = 0.85
"""Quantile of the shown NLL at which their axis ends: the worst would squeeze the others."""

NLL_TOP_WORDS = f"the {NLL_QUANTILE:.0%} quantile"


def nll_top(values: Any) -> float:
    """Return where an axis of NLL ends: at `NLL_QUANTILE` of the finite values; NaN of none."""
    numbers = np.asarray(values, float)
    finite = numbers[np.isfinite(numbers)]
    return float(np.quantile(finite, NLL_QUANTILE)) if len(finite) else float("nan")


def limit_nll(axes: Axes, values: Any, top: float) -> None:
    """Let an axis of NLL run from the lowest value to `top`, with a margin."""
    lowest, _ = finite_range(values)
    margin = 0.05 * (top - lowest) or 0.1
    axes.set_ylim(lowest - margin, top + margin)


def typeset(text: str) -> str:
    """Return a text for Matplotlib, with the paper's symbols set as such."""
    return symbols.tex(text, lambda rest: rest.replace("$", r"\$"))


def count_axis(axis: Axis) -> None:
    """Put ticks of an axis of counts at whole numbers."""
    # By default a locator that finds a single whole number puts ticks between them.
    axis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def log_ticks(axis: Axis) -> None:
    """Write numbers, not powers, at 1, 2 and 5 times each power of ten of a logarithmic axis."""
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
    axis.set_minor_formatter("{x:g}")


def legend_above(axes: Axes, title: str, n_columns: int = 4) -> None:
    """Put the legend, under a title, above the right end of the axes, where it hides nothing.

    It has `n_columns`, or as many fewer as the figure has room for.
    """
    handles, labels = axes.get_legend_handles_labels()
    for columns in range(n_columns, 0, -1) if handles else ():
        legend = axes.legend(
            handles,
            labels,
            loc="lower right",
            bbox_to_anchor=(1.02, 0.98),
            ncols=columns,
            columnspacing=1.0,
            handlelength=1.4,
            handletextpad=0.5,
            borderaxespad=0.2,
            title=title,
        )
        if legend.get_window_extent().width <= _LEGEND_SHARE * axes.figure.bbox.width:
            break
