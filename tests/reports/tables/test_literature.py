"""The lowest published test NLL as printed."""

from __future__ import annotations

from fdrnn.reports.numbers.literature import LITERATURE
from fdrnn.reports.numbers.paper import TABLE_1
from fdrnn.reports.tables import literature


def test_every_publication_has_a_row_its_source_and_its_average() -> None:
    table = literature.table()
    assert table.header[2:] == ("Piano-midi.de", "Nottingham", "MuseData", "JSB Chorales")
    assert table.rows[0] == ("RRU", "independent", "7.38", "2.92", "-", "7.72")
    for one in LITERATURE:
        (note,) = (note for note in table.notes if note.startswith(f"{one.network}: "))
        assert one.source in note
        assert one.average in note


def test_they_are_not_above_what_the_paper_prints() -> None:
    for one in LITERATURE:
        for data, nll in one.nll.items():
            paper = TABLE_1[data]
            printed = (
                paper.rnn_nade if one.structured else min(paper.fd, paper.deep_rnn or paper.fd)
            )
            assert nll <= printed
