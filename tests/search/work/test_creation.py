from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any, ClassVar

import pytest

from fdrnn.model import VARIANTS, TrainingSettings
from fdrnn.search import (
    SPACES,
    DefinitionError,
    Space,
    Store,
    StudyConflictError,
    create_study,
    draw,
)


def test_a_study_has_the_configurations_of_its_seed(store: Store, fake: ModuleType) -> None:
    stored = create_study(store, fake.definition(n_trials=6), fake.DATA)
    assert stored.definition == fake.definition(n_trials=6)
    table = store.study("noise").trials()
    assert table["state"].tolist() == ["waiting"] * 6
    for configuration, (_, row) in zip(
        draw(SPACES["table2"], 7, range(6)), table.iterrows(), strict=True
    ):
        assert row["config_index"] == configuration.index
        assert row["seed"] == configuration.seed
        for name in SPACES["table2"].names:
            value = configuration.hyperparameters.get(name)
            assert row[name] == value or (value is None and row.isna()[name])


def test_the_same_study_again_changes_nothing(store: Store, fake: ModuleType) -> None:
    first = create_study(store, fake.definition(), fake.DATA)
    before = store.study("noise").trials()
    assert create_study(store, fake.definition(), fake.DATA) == first
    assert store.study("noise").trials().equals(before)


def test_more_trials_extend_and_fewer_are_refused(store: Store, fake: ModuleType) -> None:
    create_study(store, fake.definition(n_trials=3), fake.DATA)
    before = store.study("noise").trials()
    assert create_study(store, fake.definition(n_trials=8), fake.DATA).definition.n_trials == 8
    after = store.study("noise").trials()
    assert after["config_index"].tolist() == list(range(8))
    assert after.head(3).equals(before)
    with pytest.raises(StudyConflictError, match="n_trials: here 2, in the store 8"):
        create_study(store, fake.definition(n_trials=2), fake.DATA)
    assert len(store.study("noise").trials()) == 8


def test_the_same_data_at_another_path_are_the_same(store: Store, fake: ModuleType) -> None:
    here, there = (replace(fake.definition(), data=f"/{place}/noise.npz") for place in "ab")
    first = create_study(store, here, fake.DATA)
    assert create_study(store, there, fake.DATA) == first
    longer = replace(there, n_trials=9)
    extended = create_study(store, longer, fake.DATA)
    assert (extended.definition.n_trials, extended.definition.data) == (9, "/a/noise.npz")
    with pytest.raises(StudyConflictError, match=r"data: here '/b/noise.npz', in the store '/a/"):
        create_study(store, there, replace(fake.DATA, fingerprint="0" * 64))


def test_the_same_data_at_another_path_are_the_same_where_another_process_is_first(
    store: Store, fake: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = (replace(fake.definition(), data=f"/{place}/noise.npz") for place in "ab")

    def find(name: str) -> None:
        monkeypatch.undo()
        create_study(store, here, fake.DATA)

    monkeypatch.setattr(store, "find", find)
    assert create_study(store, there, fake.DATA).definition == here


def test_any_other_difference_is_refused_and_said(store: Store, fake: ModuleType) -> None:
    create_study(store, fake.definition(), replace(fake.DATA, fingerprint="f" * 64))
    other = replace(fake.definition(n_trials=50), seed=8, training=TrainingSettings(max_epochs=3))
    with pytest.raises(StudyConflictError) as caught:
        create_study(store, other, replace(fake.DATA, fingerprint="0" * 64))
    line = str(caught.value)
    assert "\n" not in line
    for said in (
        "study 'noise'",
        "seed: here 8, in the store 7",
        "training.max_epochs: here 3, in the store 4",
        "contents of data set 'noise': here 000000000000..., in the store ffffffffffff...",
        "--name",
        "--storage",
    ):
        assert said in line
    assert "n_trials" not in line
    assert len(store.study("noise").trials()) == 6


def test_studies_of_one_seed_share_their_draws(store: Store, fake: ModuleType) -> None:
    create_study(store, fake.definition("fd"), fake.DATA)
    plain = replace(fake.definition("plain"), variant="plain", space=SPACES["table2-plain"])
    create_study(store, plain, fake.DATA)
    common = [*SPACES["table2-plain"].names, "seed"]
    assert store.study("fd").trials()[common].equals(store.study("plain").trials()[common])


@pytest.mark.parametrize(
    ("drawn", "training", "output", "message"),
    [
        ({"chunk_length": [25, 200]}, {}, None, "longer chunks have more padding"),
        ({"chunk_length": [25, 200]}, {"padding": "masked"}, None, None),
        ({"full_rate_epochs": [0, 50]}, {}, None, "no effect on a step rate that does not decay"),
        ({}, {"full_rate_epochs": 50}, None, r"training\.full_rate_epochs has no effect on a step"),
        ({"full_rate_epochs": [0, 50]}, {"step_rate_decay": 0.98}, None, None),
        ({"full_rate_epochs": [0, 50], "step_rate_decay": [0.98, 1.0]}, {}, None, None),
        (
            {"batch_size": [9, 27]},
            {"batch_size": 9},
            None,
            r"training\.batch_size has no effect, got 9",
        ),
        (
            {"clip_norm": {"choices": [1.0, 9.0], "when": {"n_hidden": 200}}},
            {"clip_norm": 2.0},
            None,
            None,
        ),
        ({"output_bias": [-8.0, -0.8]}, {}, None, None),
        ({"output_bias": [-8.0, -0.8]}, {}, "gaussian", "'gaussian' begins with a bias of 0"),
        (
            {},
            {"output_bias": -8.0},
            "gaussian",
            r"training\.output_bias has no effect: .*bias of 0",
        ),
    ],
)
def test_a_new_study_draws_no_setting_without_effect(
    other: Store,
    fake: ModuleType,
    drawn: dict[str, Any],
    training: dict[str, Any],
    output: str | None,
    message: str | None,
) -> None:
    plain = fake.definition()
    space = Space.from_mapping({"name": "mine", "extends": "table2", **drawn})
    study = replace(plain, space=space, training=replace(plain.training, **training))
    data = fake.DATA
    if output is not None:
        study, data = replace(study, output=output), replace(data, kind="real")
    if message is None:
        create_study(other, study, data)
        return
    with pytest.raises(DefinitionError, match=message):
        create_study(other, study, data)
    # A study of an earlier fdrnn is resumed and read.
    other.add_study(study, data, [])
    assert create_study(other, study, data).definition == study


@pytest.mark.parametrize("key", ["space", "training"])
def test_connections_of_matrices_that_a_variant_lacks_are_not_cut(
    other: Store, fake: ModuleType, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    class Renamed(type(VARIANTS["fast_dropout"])):  # type: ignore[misc]
        parameter_axes: ClassVar = {"U": 2, "V": 2, "h0": 2, "b_y": 1}

    renamed = Renamed(name="renamed", title="", typical=VARIANTS["fast_dropout"].typical)
    monkeypatch.setitem(VARIANTS.own, "renamed", renamed)  # type: ignore[arg-type]
    study = replace(fake.definition(), variant="renamed")
    if key == "training":
        study = replace(study, training=replace(study.training, max_incoming_in_out=15))
    else:
        more = {"name": "mine", "extends": "table2", "max_incoming_in_out": [0, 15]}
        study = replace(study, space=Space.from_mapping(more))
    with pytest.raises(
        DefinitionError, match=rf"^{key}\.max_incoming_in_out has no effect: .*W_in"
    ):
        create_study(other, study, fake.DATA)
