"""A study with a trial of every kind, and hard numbers, for the tests of its files."""

from __future__ import annotations

import math
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import sqlalchemy as sa

from fdrnn.search import Store, create_study
from fdrnn.search.store import tables
from fdrnn.search.work.claiming import WorkerIdentity, claim
from fdrnn.search.work.lease import Lease

ADA = WorkerIdentity("ada-1", "ada", 1)
MACHINE = "some CPU; openblas 0.3, 1 thread"
HARD = (math.inf, -math.inf, math.nan, 5e-324, 1.7976931348623157e308, 0.1 + 0.2, -1.0 / 3.0)


def take(store: Store, study_id: int) -> Lease:
    lease = claim(store.database, study_id, ADA, 60.0)
    assert lease is not None
    return lease


def fill(store: Store, fake: ModuleType) -> None:
    """A study with a trial of every kind."""
    study_id = create_study(store, fake.definition(n_trials=7), fake.DATA).study_id
    create_study(store, fake.definition("bystander", n_trials=2), fake.DATA)
    finished, diverged, failed, running, unsaved, released = (
        take(store, study_id) for _ in range(6)
    )
    finished.write([fake.record(1, epoch) for epoch in (1, 2, 3)], b"a state")
    finished.finish(replace(fake.result(1, 3), diverged=False), MACHINE)
    hard = dict(zip(("train_nll", "valid_nll_counted", "gradient_norm"), HARD, strict=False))
    diverged.write(
        [
            replace(fake.record(2, 1), **hard, measurements={"x": HARD[3], "y": HARD[4]}),
            replace(
                fake.record(2, 2), train_nll=HARD[5], measurements={"x": HARD[6], "y": HARD[2]}
            ),
        ]
    )
    diverged.finish(
        replace(fake.result(2, 2), valid_nll=math.inf, valid_nll_masked=math.nan, best_epoch=None),
        MACHINE,
    )
    failed.write([fake.record(3, 1)], b"state of 2")
    failed.write([fake.record(3, 2)])
    failed.fail('Traceback:\n  "Größe" \\ 0\t')
    running.write([fake.record(4, epoch) for epoch in (1, 2)], b"\x00\xff state of 3", MACHINE)
    running.write([fake.record(4, 3)])
    unsaved.write([fake.record(5, 1)])
    released.write([fake.record(6, 1)], b"")
    released.release()
    sample = np.arange(6, dtype=np.uint8).reshape(2, 3)
    with store.database.write() as connection:
        connection.execute(
            tables.samples.insert(),
            [
                {
                    "trial_id": finished.trial_id,
                    "name": name,
                    **tables.packed(array),
                    "about": about,
                }
                for name, array, about in (
                    ("sample", sample, {"seed": 3, "temperature": 0.1}),
                    ("Excerpt", sample.astype(">f8").T.copy(), None),
                )
            ],
        )


def everything(store: Store, study: str) -> dict[str, Any]:
    """Every row of a study, NaN made comparable, without the keys of its store."""
    trial_keys = sa.select(tables.trials.c.trial_id, tables.trials.c.config_index)
    found: dict[str, Any] = {}
    with store.database.read() as connection:
        row = connection.execute(
            sa.select(tables.studies).where(tables.studies.c.name == study)
        ).one()
        indices = dict(
            connection.execute(trial_keys.where(tables.trials.c.study_id == row.study_id)).all()
        )
        found["study"] = [row._mapping[key] for key in ("definition", "data", "created_at")]
        for table in tables.metadata.sorted_tables:
            if "trial_id" not in table.c:
                continue
            rows = connection.execute(sa.select(table).where(table.c.trial_id.in_(indices)))
            found[table.name] = sorted(
                [
                    (indices[one["trial_id"]], *map(repr, list(one.values())[1:]))
                    for one in (dict(row._mapping) | {"study_id": 0} for row in rows)
                ]
            )
    return found


def without(rows: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in rows.items() if name not in names}
