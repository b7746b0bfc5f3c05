"""Table 1's columns as printed."""

from __future__ import annotations

from dataclasses import replace

from made_row import ROW

from fdrnn.reports.numbers.table1 import Estimate, Row
from fdrnn.reports.tables import columns


def _row(study: str, variant: str, output: str, masked: float | None, pooled: float) -> Row:
    return replace(
        ROW,
        study=study,
        variant=variant,
        output=output,
        valid_nll_masked=masked,
        test_nll_pooled=Estimate(value=pooled),
    )


FD = _row("jsb", "fast_dropout", "bernoulli", 8.2, 8.147)
PLAIN_NADE = _row("jsb-nade-plain", "plain", "nade", 5.6, 5.66)
# The first has the lower test NLL, the second the lower validation NLL.
NADE = [
    _row("jsb-nade", "fast_dropout", "nade", 5.30, 5.20),
    _row("jsb-nade-wide", "fast_dropout", "nade", 5.25, 5.31),
]


def test_a_column_has_the_study_with_the_lowest_masked_validation_nll() -> None:
    table = columns.table([FD, PLAIN_NADE, *NADE])
    assert table is not None
    assert dict(zip(table.header, table.rows[0], strict=True)) == {
        "Data set": "JSB Chorales",
        "FD-RNN": "8.15 (32)",
        "RNN-NADE": "5.66 (32)",
        "FD-RNN-NADE": "5.31 (32)",
        "Paper: FD": "8.01",
        "plain*": "8.58",
        "RNN-NADE*": "5.19",
        "Deep RNN*": "7.92",
    }
    assert "FD-RNN-NADE: jsb-nade-wide." in table.notes
    assert "provisional" not in " ".join(table.notes)
    chosen = table.data.set_index("column").loc["FD-RNN-NADE"]
    assert (chosen["study"], chosen["test_nll_pooled"]) == ("jsb-nade-wide", 5.31)


def test_of_two_studies_with_the_same_best_draw_the_larger_one_counts() -> None:
    few = replace(NADE[0], study="a-few", trials_planned=8, trials_finished=8)
    table = columns.table([few, NADE[0]])
    assert table is not None
    assert table.rows[0][1] == "5.20 (32)"


def test_the_draws_of_a_study_that_is_not_complete_are_those_trained_so_far() -> None:
    begun = replace(NADE[0], trials_planned=8, trials_finished=1, trials_pruned=2)
    table = columns.table([begun])
    assert table is not None
    assert table.rows[0][1] == "5.20 (3 of 8)"
    assert "provisional" in table.notes[1]


def test_a_single_configuration_counts_only_where_nothing_was_searched() -> None:
    given = replace(NADE[1], study="table3", trials_planned=1, trials_finished=1)
    for rows, expected in (([NADE[0], given], "5.20 (32)"), ([given], "5.31 (1)")):
        table = columns.table(rows)
        assert table is not None
        assert table.rows[0][1] == expected
        assert ("one draw" in table.notes[0]) == (NADE[0] not in rows)


def test_deep_networks_have_columns_with_and_without_fast_dropout() -> None:
    forms = {
        "stacked": 8.0,
        "deep_transition": 7.9,
        "deep_output_lp": 7.87,
        "stacked_fast_dropout": 7.8,
        "deep_output_fast_dropout": 7.75,
    }
    deep = [
        _row(f"jsb-{variant}", variant, "bernoulli", masked, masked + 0.1)
        for variant, masked in forms.items()
    ]
    table = columns.table([FD, *deep])
    assert table is not None
    assert table.header[1:4] == ("FD-RNN", "Deep RNN", "Deep FD-RNN")
    assert table.rows[0][1:4] == ("8.15 (32)", "7.97 (32)", "7.85 (32)")


def test_only_the_papers_data_and_further_networks_make_the_table() -> None:
    own = replace(NADE[0], data="mine.npz", fingerprint="1" * 64)
    untrained = replace(NADE[0], valid_nll_masked=None)
    assert columns.table([FD, own, untrained]) is None


def test_an_untrained_network_leaves_a_dash() -> None:
    piano = replace(
        PLAIN_NADE,
        data="piano",
        title="Piano-midi.de",
        fingerprint="1" * 64,
        study="piano-nade-plain",
    )
    table = columns.table([PLAIN_NADE, piano, NADE[0]])
    assert table is not None
    assert [row[:3] for row in table.rows] == [
        ("Piano-midi.de", "5.66 (32)", "-"),
        ("JSB Chorales", "5.66 (32)", "5.20 (32)"),
    ]


def test_a_row_is_of_the_same_data_and_not_of_the_same_path() -> None:
    copy = replace(NADE[1], data="copy.npz", study="copy")
    others = replace(NADE[1], fingerprint="1" * 64, title="JSB Chorales (1)", study="others")
    table = columns.table([NADE[0], copy, others])
    assert table is not None
    assert table.notes[-1] == "FD-RNN-NADE: copy, others."
    assert [row[0] for row in table.rows] == ["JSB Chorales", "JSB Chorales (1)"]
