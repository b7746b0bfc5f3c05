"""Make the golden studies: a small study of JSB Chorales, FD and plain, trained for real.

    FDRNN_DATA_DIR=FOLDER python tests/reports/make_golden.py

writes ``golden/golden-fd.fdrnn.zip`` and ``golden/golden-plain.fdrnn.zip`` beside this file: eight
draws of ten epochs each, one of which diverges, with the test NLL of every epoch. It takes a few
minutes. The tests ask nothing of the numbers but that tables and figures agree with them, so that
studies made on another machine do as well.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from fdrnn.datasets import load
from fdrnn.model import TrainingSettings
from fdrnn.search import (
    SPACES,
    PortableStudy,
    StudyDefinition,
    create_study,
    open_store,
    run_workers,
)

FOLDER = Path(__file__).parent / "golden"
TRAINING = TrainingSettings(max_epochs=10, record=("test_nll",))


def main() -> None:
    dataset = load("jsb")
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/store.sqlite3"
        store = open_store(url, create=True)
        for name, variant, space in (
            ("golden-fd", "fast_dropout", "table2-wide"),
            ("golden-plain", "plain", "table2-plain"),
        ):
            definition = StudyDefinition(
                name=name,
                data="jsb",
                variant=variant,
                space=SPACES[space],
                n_trials=8,
                seed=2013,
                training=TRAINING,
            )
            create_study(store, definition, dataset.description)
            run_workers(url, name, 2)
            assert (store.study(name).trials()["state"] == "finished").all()
            PortableStudy.from_study(store.study(name)).write(FOLDER / f"{name}.fdrnn.zip")


if __name__ == "__main__":
    main()
