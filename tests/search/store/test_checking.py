"""Rules of the tables, and the check of a whole store."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import sqlalchemy as sa
from filled_study import ADA

from fdrnn.model.checkpoint import Checkpoint, Progress
from fdrnn.search import (
    Store,
    StoreUnavailableError,
    Study,
    check_store,
    create_study,
    open_store,
)
from fdrnn.search.store import tables
from fdrnn.search.work.claiming import claim


@pytest.fixture
def trained(store: Store, fake: ModuleType) -> Store:
    """A study with a finished, a diverged, a failed, a running and a waiting trial."""
    study_id = create_study(store, fake.definition(n_trials=5), fake.DATA).study_id
    empty = Checkpoint(Progress(epoch=1, updates=3), *({"W": np.ones(3, np.float32)},) * 5)
    leases = [claim(store.database, study_id, ADA, 600.0) for _ in range(4)]
    for number, lease in enumerate(leases):
        assert lease is not None
        lease.write([fake.record(number, 1)], empty.to_bytes("a run"))
        match number:
            case 0:
                lease.write([fake.record(number, 2)])
                lease.finish(replace(fake.result(1, 2), diverged=False), "some CPU")
            case 1:
                lost = replace(fake.result(2, 1), best_epoch=0, valid_nll=math.inf)
                lease.finish(replace(lost, diverged=True), "some CPU")
            case 2:
                lease.fail("Traceback")
    return store


def test_no_finding_in_a_sound_store(trained: Store) -> None:
    assert check_store(trained) == ([], [])


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("trials SET state = 'garbage'", "state"),
        ("trials SET hyperparameters = '[1]'", "hyperparameters"),
        ("trials SET attempt = -5", "attempt"),
        ("trials SET best_epoch = 3 WHERE n_epochs = 2", "best"),
        ("trials SET n_epochs = NULL, best_epoch = NULL WHERE state = 'finished'", "result"),
        ("trials SET lease_expires = NULL WHERE state = 'running'", "lease"),
        ("trials SET worker = NULL WHERE state = 'running'", "claimed"),
        ("trials SET error = NULL WHERE state = 'failed'", "failed"),
        ("trials SET started_at = 1e300", "started_at"),
        ("trials SET repeat_of = 0", "repeat"),
        ("studies SET data = '5'", "data"),
        ("epochs SET epoch = -1 WHERE epoch = 2", "epoch"),
        ("test_sequences SET n_steps = -1", "n_steps"),
    ],
)
def test_the_database_refuses_and_the_check_finds_rows_that_break_a_rule(
    trained: Store, damage: Callable[[str], None], change: str, rule: str
) -> None:
    table = f"fdrnn_{change.split(maxsplit=1)[0]}"
    with (
        pytest.raises(sa.exc.IntegrityError, match=f"{table}_{rule}"),
        trained.database.write() as connection,
    ):
        connection.exec_driver_sql(f"UPDATE fdrnn_{change}")
    damage(f"UPDATE fdrnn_{change}")
    findings, _ = check_store(trained)
    assert findings
    assert "study 'noise'" in findings[0]
    assert " must hold, got " in findings[0]
    assert all("\n" not in line for line in findings)


@pytest.mark.parametrize(
    ("statement", "finding"),
    [
        ("DELETE FROM fdrnn_epochs WHERE epoch = 1 AND trial_id = {0}",
         "trial 0 of study 'noise': its epochs must be 1 to 2, each once, got 1, the last one 2"),
        ("DELETE FROM fdrnn_test_sequences", "trial 0 of study 'noise': it has finished, and has"),
        ("UPDATE fdrnn_checkpoints SET epoch = 7 WHERE trial_id = {3}",
         "trial 3 .* and a checkpoint of epoch 7"),
        ("DELETE FROM fdrnn_trials WHERE trial_id = {4}",
         r"study 'noise' must have the trials 0 to 4, each once, got \[0, 1, 2, 3\]"),
        ("UPDATE fdrnn_parameters SET digest = 'x' WHERE trial_id = {0}",
         "trial 0 of study 'noise': .* array 'W_rec' has another SHA-256"),
        ("UPDATE fdrnn_parameters SET dtype = 'x' WHERE trial_id = {0}",
         "trial 0 of study 'noise': .* array 'W_rec' is damaged: data type"),
        ("UPDATE fdrnn_checkpoints SET state = '' WHERE trial_id = {3}",
         "trial 3 of study 'noise': the checkpoint is damaged"),
        ("UPDATE fdrnn_trials SET best_epoch = NULL WHERE trial_id = {0}",
         "trial 0 of study 'noise': best_epoch must be .*, got best_epoch None, valid_nll 1"),
        ("UPDATE fdrnn_trials SET best_epoch = 1 WHERE trial_id = {1}",
         "trial 1 of study 'noise': best_epoch must be .*, got best_epoch 1, valid_nll inf"),
        ("UPDATE fdrnn_trials SET hyperparameters = '{{}}' WHERE trial_id = {0}",
         "trial 0 of study 'noise': n_hidden is missing"),
    ],
)  # fmt: skip
def test_contradictions_and_damaged_arrays_are_found(
    trained: Store, statement: str, finding: str
) -> None:
    with trained.database.write() as connection:
        keys = connection.scalars(
            sa.select(tables.trials.c.trial_id).order_by(tables.trials.c.config_index)
        )
        statement = statement.format(*keys)
        if "state = ''" in statement and trained.database.file:
            statement = statement.replace("''", "x''")
        connection.exec_driver_sql(statement)
    (line,), _ = check_store(trained)
    assert re.match(finding, line), line


@pytest.mark.parametrize(
    ("changed", "finding"),
    [
        ({"lowest_midi_note": "C4"}, "data.lowest_midi_note must be int of .*, got 'C4'"),
        ({"title": "x\ud800"}, "data must be encodable as UTF-8"),
        ({"note": 5}, "data.note must be str, got 5"),
    ],
)
def test_a_description_of_data_that_breaks_a_rule_is_found(
    trained: Store, fake: ModuleType, changed: dict[str, object], finding: str
) -> None:
    with trained.database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE fdrnn_studies SET data = "
            f"'{json.dumps(fake.DATA.to_mapping() | changed)}' WHERE name = 'noise'"
        )
    (line,), _ = check_store(trained)
    assert re.match(f"study 'noise' in store .* is damaged: its data: {finding}", line), line


def test_damage_of_a_file_is_found(trained: Store, damage: Callable[[str], None]) -> None:
    file = trained.database.file
    if file is None:
        pytest.skip("a server checks its files")
    damage("DELETE FROM fdrnn_trials WHERE config_index = 0")
    findings, _ = check_store(trained)
    assert any("2 rows of fdrnn_epochs refer to no row of fdrnn_trials" in f for f in findings)
    assert all(finding.startswith(f"store {file}: ") for finding in findings)
    trained.close()
    content = bytearray(file.read_bytes())
    page = 4096 * (len(content) // 4096 // 2)
    content[page : page + 4096] = b"\xff" * 4096
    Path(file).write_bytes(content)
    findings, _ = check_store(open_store(str(file)))
    assert findings


def test_a_study_that_cannot_be_read_is_reported_beside_another(
    trained: Store, fake: ModuleType, damage: Callable[[str], None]
) -> None:
    for name in ("silence", "hum"):
        create_study(trained, fake.definition(name, n_trials=1), fake.DATA)
    with trained.database.write() as connection:
        connection.execute(
            tables.studies.update().where(tables.studies.c.name == "silence").values(data={})
        )
    damage(
        "UPDATE fdrnn_trials SET hyperparameters = '[1]' WHERE study_id IN "
        "(SELECT study_id FROM fdrnn_studies WHERE name != 'silence')"
    )
    (broken, *others), unchecked = check_store(trained)
    assert " and 5 more rows of fdrnn_trials: " in broken
    assert len(others) == 2
    assert any(re.match("study 'silence' in store .* is damaged: its data: ", o) for o in others)
    # The line of the broken rule names one of the two.
    other = "noise" if "study 'hum'" in broken else "hum"
    assert any(re.match(f"study '{other}': store .*: a row is damaged: ", o) for o in others)
    assert unchecked == []


def test_a_study_that_this_fdrnn_cannot_read_is_no_damage(trained: Store) -> None:
    gone = {"variant": "gone", "plugins": {"variant": "lost 3.0"}}
    definition = trained.study("noise").definition.to_mapping() | gone
    with trained.database.write() as connection:
        connection.execute(tables.studies.update().values(definition=definition))
    findings, (line,) = check_store(trained)
    assert findings == []
    assert line.startswith("study 'noise' in store ")
    assert "which is not installed" in line


@pytest.mark.parametrize("read", ["checkpoint", "samples"])
def test_an_outage_during_the_check_is_no_damage(
    trained: Store, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    def refused(study: Study, config_index: int) -> None:
        raise StoreUnavailableError("connection refused")

    monkeypatch.setattr(Study, read, refused)
    with pytest.raises(StoreUnavailableError, match="connection refused"):
        check_store(trained)
