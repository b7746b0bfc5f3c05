"""The one test here that trains real networks; all others have trainers that make up numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fdrnn.datasets import Dataset, write_npz
from fdrnn.model import TrainingSettings
from fdrnn.search import (
    SPACES,
    EventKind,
    StudyDefinition,
    WorkerEvent,
    create_study,
    open_store,
    run_worker,
)


@pytest.mark.slow
def test_a_study_stopped_at_every_epoch_has_the_bits_of_an_undisturbed_one(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    train, valid, test = (
        tuple(random.integers(0, 2, (length, 5), dtype=np.uint8) for length in (30, 12, 21))
        for _ in range(3)
    )
    noise = Dataset(name="noise", title="Noise", train=train, valid=valid, test=test)
    data = tmp_path / "noise.npz"
    write_npz(data, noise)
    definition = StudyDefinition(
        name="noise",
        data=str(data),
        variant="fast_dropout",
        space=SPACES["table2"],
        n_trials=2,
        seed=1,
        training=TrainingSettings(batch_size=2, chunk_length=10, max_epochs=3),
    )
    results = []
    for disturbed in (False, True):
        url = f"sqlite:///{tmp_path / f'{disturbed}.sqlite3'}"
        store = open_store(url, create=True)
        create_study(store, definition, noise.description)
        while (store.study("noise").trials()["state"] != "finished").any():
            events: list[WorkerEvent] = []

            def stop(events: list[WorkerEvent] = events, disturbed: bool = disturbed) -> bool:
                return disturbed and any(event.kind is EventKind.EPOCH for event in events)

            run_worker(url, "noise", stop=stop, on_event=events.append)
            assert disturbed or events[-1].kind is EventKind.FINISHED
        best = {k: store.study("noise").parameters(k) for k in range(2)}
        changing = ["seconds", "worker"]
        results.append(
            (
                store.study("noise").trials().drop(columns=changing),
                store.study("noise").curves().drop(columns="seconds"),
                store.study("noise").test_sequences(),
                best,
            )
        )
    undisturbed, resumed = results
    for one, other in zip(undisturbed[:3], resumed[:3], strict=True):
        pd.testing.assert_frame_equal(one, other, check_exact=True)
    assert len(undisturbed[1]) == 6
    for k in range(2):
        assert undisturbed[3][k].keys() == resumed[3][k].keys() != set()
        for name, array in undisturbed[3][k].items():
            np.testing.assert_array_equal(array, resumed[3][k][name])
