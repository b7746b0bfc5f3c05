"""Bytes and theme of figures."""

from __future__ import annotations

import numpy as np
import pytest
from contrast import contrast

from fdrnn.reports.figures import learning, style
from fdrnn.reports.numbers.evidence import Evidence


def test_a_legend_has_as_many_columns_as_there_is_room_for() -> None:
    heights = []
    for labels in (["a", "b", "c"], ["a long label of one network"] * 3):
        figure, ((axes,),) = style.new_figure()
        for label in labels:
            axes.plot([0, 1], label=label)
        style.legend_above(axes, "network")
        figure.canvas.draw()
        extent = axes.get_legend().get_window_extent()
        assert 0 <= extent.x0 <= extent.x1 <= figure.bbox.width
        heights.append(extent.height)
    assert heights[1] > 1.5 * heights[0]


def test_the_same_figure_gives_the_same_bytes(fd: Evidence) -> None:
    draw = learning.learning_curves(fd).draw
    formats = ("svg", "pdf", "png")
    one, other = style.rendered(draw, formats), style.rendered(draw, formats)
    assert one == other
    assert one["svg"].startswith(b"<?xml")
    assert one["pdf"].startswith(b"%PDF")
    assert one["png"].startswith(b"\x89PNG")
    assert b"Date" not in one["svg"] + one["pdf"]


def test_ink_and_paper_follow_the_theme(fd: Evidence) -> None:
    svg = style.rendered(learning.radius_curves(fd).draw, ("svg",))["svg"]
    assert style.INK.encode() in svg
    assert style.PAPER.encode() in svg
    themed = style.themed(svg)
    assert b"prefers-color-scheme:dark" in themed
    assert themed.count(style.INK.encode()) == 1  # where the style names it
    assert style.PAPER.encode() not in themed
    assert style.BLUE.encode() in themed


def test_an_axis_of_nll_ends_at_a_quantile_of_what_is_known() -> None:
    values = [*range(1, 10), 1000.0]
    assert style.nll_top([*values, np.nan, np.inf]) == np.quantile(values, 0.85) < 10
    assert np.isnan(style.nll_top([np.inf]))


def test_symbols_are_typeset() -> None:
    text = style.typeset("sigma^2 of W_rec, $5 (nu)")
    assert text == r"$\sigma^2$ of $W_\mathrm{rec}$, \$5 ($\nu$)"


def test_lines_stand_out_from_both_papers() -> None:
    # Ink and paper change with the theme, and arrows lie on a coloured field.
    changing = {style.INK, style.PAPER, style.ON_COLOR}
    constants = [value for name, value in vars(style).items() if name.isupper()]
    colors = {one for one in constants if isinstance(one, str) and one.startswith("#")} - changing
    assert len(colors) >= 5
    for color in colors:
        for paper in ("#ffffff", "#14181c"):
            assert contrast(color, paper) >= 3, (color, paper)


@pytest.mark.parametrize(("ends", "ticks"), [((0.9, 1.1), [1]), ((0.9, 2.1), [1, 2])])
def test_an_axis_of_counts_has_whole_ticks_alone(
    ends: tuple[float, float], ticks: list[int]
) -> None:
    _, ((axes,),) = style.new_figure()
    style.count_axis(axes.xaxis)
    axes.set_xlim(*ends)
    assert [tick for tick in axes.get_xticks() if ends[0] <= tick <= ends[1]] == ticks
