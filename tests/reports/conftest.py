from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

from fdrnn.reports.document import drawing
from fdrnn.reports.document.writing import write_report
from fdrnn.reports.numbers.evidence import Evidence, read
from fdrnn.reports.numbers.findings import read_evidence
from fdrnn.reports.report import build
from fdrnn.search import PortableStudy, Store, open_store

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="session", autouse=True)
def figures_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where figures are kept between the reports of these tests, instead of in the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(drawing, "cache_directory", lambda: folder)
        yield folder / "figures"


@pytest.fixture(scope="session")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The store of two small studies that were trained for real by ``make_golden.py``."""
    store = open_store(str(tmp_path_factory.mktemp("golden") / "store.sqlite3"), create=True)
    for file in sorted(GOLDEN.glob("*.fdrnn.zip")):
        PortableStudy.read(file).insert(store)
    yield store
    store.close()


@pytest.fixture(scope="session")
def fd(golden: Store) -> Evidence:
    return read(golden.study("golden-fd"))


@pytest.fixture(scope="session")
def plain(golden: Store) -> Evidence:
    return read(golden.study("golden-plain"))


@pytest.fixture(scope="session")
def fd_curves(golden: Store) -> pd.DataFrame:
    return golden.study("golden-fd").curves()


@pytest.fixture(scope="session")
def written(golden: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the golden store."""
    folder = tmp_path_factory.mktemp("report")
    write_report(folder, build(read_evidence(golden)))
    return folder
