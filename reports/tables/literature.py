"""The lowest published test NLL, beside which a reader may put a report's."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from fdrnn.datasets import BENCHMARKS
from fdrnn.reports.artefacts import Table
from fdrnn.reports.numbers.literature import LITERATURE, Published
from fdrnn.reports.numbers.paper import TABLE_1
from fdrnn.reports.numbers.text import number

_FRAMES = {False: "independent", True: "structured"}


def table() -> Table:
    """Return the table, a row per publication."""

    def nll(data: str) -> Callable[[Published], str]:
        return lambda publication: number(publication.nll.get(data))

    return Table.of(
        LITERATURE,
        name="literature",
        title="The lowest published test NLL",
        data=pd.DataFrame(
            {
                "network": publication.network,
                "structured": publication.structured,
                **publication.nll,
            }
            for publication in LITERATURE
        ),
        text=[
            ("Network", lambda publication: publication.network),
            ("Notes of a frame", lambda publication: _FRAMES[publication.structured]),
        ],
        numbers=[(BENCHMARKS[data].title, nll(data)) for data in TABLE_1],
        notes=[
            "Structured frames: notes of a frame depend on each other too. A dash: another "
            "publication has a lower number, or there is none.",
            *(_sentence(publication) for publication in LITERATURE),
        ],
    )


def _sentence(publication: Published) -> str:
    return f"{publication.network}: {publication.source}; average: {publication.average}."
