"""Table 1 as printed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from made_row import ROW

from fdrnn.reports.document import markdown
from fdrnn.reports.numbers.table1 import Estimate, Row
from fdrnn.reports.tables import table1

EMPTY = replace(
    ROW,
    data="bach",
    title="Bach (music21)",
    study="bach",
    plain_study=None,
    trials_finished=0,
    trials_diverged=0,
    selected_trial=None,
    best_epoch=None,
    valid_nll=None,
    test_nll_pooled=Estimate(),
    test_nll_sequence_mean=Estimate(),
    paper_fd=None,
    cited_plain=None,
    cited_rnn_nade=None,
    cited_deep_rnn=None,
    note="not the benchmark",
)


PLAIN = replace(
    ROW,
    study="jsb-plain",
    variant="plain",
    space="table2-plain",
    plain_study=None,
    selected_trial=3,
    test_nll_pooled=Estimate(value=8.9),
    test_nll_sequence_mean=Estimate(value=8.8),
)


def parsed(rows: list[Row]) -> list[list[dict[str, str]]]:
    """Parse the Markdown tables into rows by header."""
    found = []
    for block in markdown.results(table1.tables(rows)).split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        if lines:
            cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
            found.append([dict(zip(cells[0], line, strict=True)) for line in cells[2:]])
    return found


def test_fd_and_plain_stand_beside_the_paper_s_numbers() -> None:
    (result,), selected, studies = parsed([ROW, PLAIN])
    assert result == {
        "Data set": "JSB Chorales",
        "Study": "jsb",
        "Network": "FD-RNN",
        "Ours": "**8.15 / 8.10**",
        "Ours: plain": "8.90 / 8.80",
        "Paper: FD": "8.01",
        "plain*": "8.58",
        "RNN-NADE*": "5.19",
        "Deep RNN*": "7.92",
    }
    assert [row["Study"] for row in selected] == ["jsb", "jsb-plain"]
    assert selected[0]["Valid. NLL"] == "8.12"
    assert (selected[0]["Trial"], selected[0]["Epoch"]) == ("17", "93")
    assert studies[0]["Finished"] == "32 of 32"
    assert studies[0]["Diverged"] == "5"
    # What both have in common is said once, below.
    assert "Settings" not in studies[0]
    note = table1.tables([ROW, PLAIN])[2].notes[0]
    assert note == (
        "All studies: padding counted; fdrnn 0.1.0; seed 2013; batch 27; patience 30; at most 300 "
        "epochs."
    )
    (alone,) = parsed([ROW])[2]
    assert alone["Settings"].startswith("padding counted; fdrnn 0.1.0; seed 2013; batch 27")


def test_the_lowest_of_ours_on_a_data_set_is_bold() -> None:
    other = replace(ROW, study="other", plain_study=None, test_nll_pooled=Estimate(value=8.2))
    assert table1.tables([ROW, other, PLAIN])[0].best == {(0, 3)}
    assert "**8.15 / 8.10**" in markdown.table(table1.tables([ROW, PLAIN])[0])


def test_the_lowest_is_of_the_same_data_and_not_of_the_same_path() -> None:
    row = replace(ROW, data="mine.npz", plain_study=None, paper_fd=None)
    higher = Estimate(value=8.9)
    same, others = (
        replace(row, study="b", data="copy.npz", test_nll_pooled=higher),
        replace(row, study="c", fingerprint="1" * 64, test_nll_pooled=higher),
    )
    assert table1.tables([row, same, others])[0].best == {(0, 3), (2, 3)}


def test_cautions_stand_before_the_numbers() -> None:
    few = replace(ROW, caution="8 draws")
    short = replace(PLAIN, caution="8 draws; at limit")
    (result,), _, _ = parsed([few, short])
    assert list(result)[3] == "Caution"
    assert result["Caution"] == "8 draws; at limit"
    notes = table1.tables([replace(ROW, selections="padding counted selects trial 1")])[0].notes
    assert notes[-1] == "jsb: padding counted selects trial 1."


def test_the_intervals_of_both_averages_are_told() -> None:
    table = table1.tables([ROW])[1]
    assert table.data["best_epoch"].tolist() == [93]
    assert table.rows[0][5:] == ("8.15", "7.95 to 8.35", "8.10", "7.91 to 8.30")


def test_that_one_sequence_has_no_interval_is_told() -> None:
    alone = replace(EMPTY, selected_trial=1, test_nll_pooled=Estimate(value=8.0))
    notes = table1.tables([ROW, alone])[2].notes
    assert notes[-1] == "No interval for bach: it takes two test sequences."
    assert "No interval" not in "".join(table1.tables([ROW, EMPTY])[2].notes)


def test_a_plain_study_without_its_counterpart_has_a_row_of_its_own() -> None:
    (result,), _, _ = parsed([PLAIN])
    assert "Ours" not in result
    assert result["Ours: plain"] == "**8.90 / 8.80**"


def test_the_plain_study_of_a_row_is_named_and_every_other_has_its_own() -> None:
    quick = replace(PLAIN, study="a-quick", trials_planned=2, trials_finished=2)
    (first, second), _, _ = parsed([ROW, quick, PLAIN])
    assert (first["Study"], second["Study"]) == ("jsb", "a-quick")
    notes = table1.tables([ROW, quick, PLAIN])[0].notes
    assert notes[-1] == "Plain of jsb: jsb-plain (plain RNN), 32 of 32 trials."
    known = replace(ROW, minus_plain=Estimate(value=-0.753, low=-0.8, high=-0.701))
    notes = table1.tables([known, PLAIN])[0].notes
    assert notes[-1] == (
        "Plain of jsb: jsb-plain (plain RNN), 32 of 32 trials; pooled, jsb minus plain is -0.75 "
        "(95 %: -0.80 to -0.70)."
    )
    notes = table1.tables([replace(ROW, plain_study="a-quick"), quick])[0].notes
    assert notes[-1].startswith("Plain of jsb: a-quick (plain RNN), 2 of 2 trials; jsb has 32, and")


def test_missing_numbers_are_dashes_and_the_note_is_told() -> None:
    paper, own, _, _ = parsed([ROW, EMPTY])
    assert "Ours: plain" not in paper[0]
    assert own[0]["NLL"] == "-"
    assert "bach: not the benchmark." in table1.tables([ROW, EMPTY])[3].notes


def test_own_data_have_a_naive_prediction_beside_them_instead_of_the_paper() -> None:
    own = replace(EMPTY, baseline_nll=9.104, note="", test_nll_pooled=Estimate(value=8.0))
    (table, *_) = table1.tables([own])
    assert (table.name, table.title) == ("table1", "Test NLL")
    assert table.header[-2:] == ("NLL", "Naive")
    assert table.rows[0][-1] == "9.10"
    assert "paper's number" not in " ".join(table.notes)


@pytest.mark.parametrize(
    ("repeats", "cell", "n_without"),
    [
        ({"repeats": 3, "repeats_mean": 8.2, "repeats_deviation": 0.1}, "8.20, 0.10 (3)", 0),
        (
            {"repeats": 3, "repeats_mean": 8.2, "repeats_deviation": 0.1, "repeats_without_nll": 1},
            "8.20, 0.10 (2)",
            1,
        ),
        ({"repeats": 2, "repeats_mean": 8.2, "repeats_without_nll": 1}, "8.20 (1)", 1),
        ({"repeats": 2, "repeats_without_nll": 2}, "- (0)", 2),
    ],
)
def test_the_repeats_stand_beside_the_selected_run(
    repeats: dict[str, Any], cell: str, n_without: int
) -> None:
    plain = replace(ROW, study="jsb-plain", variant="plain", **repeats)
    for rows, title in (
        ([replace(ROW, **repeats)], "Repeats"),
        ([replace(ROW, plain_study="jsb-plain"), plain], "Repeats: plain"),
    ):
        table = table1.tables(rows)[0]
        assert dict(zip(table.header, table.rows[0], strict=True))[title] == cell
        told = [one for one in table.notes if "the selected configuration has no test NLL" in one]
        assert len(told) == (n_without > 0)
        assert any(one.startswith("Repeats: mean and standard deviation") for one in table.notes)
    assert "Repeats" not in " ".join(table1.tables([ROW])[0].header)


def test_the_averages_and_the_selection_are_told() -> None:
    notes = " ".join(table1.tables([ROW])[0].notes)
    assert "lowest validation NLL" in notes
    assert "Pooled" in notes
    assert "* are cited" in notes


def test_the_note_on_padding_holds_on_both_sides() -> None:
    rows = [ROW, replace(ROW, training=f"{ROW.training}; zeros appended to short chunks")]
    (note,) = (
        note for table in table1.tables(rows) for note in table.notes if "it averages over" in note
    )
    assert "over the zeros of short chunks" in note
    assert "prepended" not in note
