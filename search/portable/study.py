"""A study outside a store: export from one, files, import into another."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import sqlalchemy as sa

from fdrnn.datasets import user_path
from fdrnn.datasets.errors import FdrnnError
from fdrnn.datasets.plugins import PluginError
from fdrnn.search.design.definition import StudyDefinition
from fdrnn.search.design.space import with_space
from fdrnn.search.errors import (
    MissingPluginError,
    PortableFileError,
    StoreError,
    StudyConflictError,
)
from fdrnn.search.machine import code_version
from fdrnn.search.mirror.optuna_tables import Mirror
from fdrnn.search.portable.archive import read_archive, write_archive
from fdrnn.search.portable.checks import STUDY_COLUMNS, key_of, require_a_study
from fdrnn.search.portable.codec import KEY, Row, carried, decode, encode, short_name
from fdrnn.search.store import tables
from fdrnn.search.store.store import Store
from fdrnn.search.store.study import Study
from fdrnn.search.store.tables import TrialState

BLOCK_ROWS = 10_000
"""Rows that a statement inserts; while more were prepared, a server would end the transaction."""

_STUDY = "study.json"
_CURVES = (tables.epochs, tables.measurements)
_ALWAYS = (tables.trials, *_CURVES, tables.test_sequences, tables.samples)
_INCOMPRESSIBLE = tuple(
    f"{short_name(table)}/" for table in (tables.parameters, tables.checkpoints)
)

Rows = Mapping[sa.Table, Sequence[Row]]


@dataclass(frozen=True, kw_only=True, eq=False)
class PortableStudy:
    """A study outside a store.

    Attributes
    ----------
    name
        Its name in the store that it comes from.
    weights, checkpoints
        Whether trained parameters, and states from which trials resume, are in it; the states of
        finished and pruned trials, from which an extension resumes them, only with both.
    study
        Its row of `fdrnn.search.store.tables.studies` without keys; the definition lacks the name.
    rows
        Its rows of the other tables, sorted, with `config_index` instead of their keys. No trial
        runs: one that had not ended waits.
    n_epochs_left_out
        Number of epochs in the store that are not in `rows`.
    """

    name: str
    weights: bool
    checkpoints: bool
    study: Row
    rows: Rows
    n_epochs_left_out: int = 0

    @classmethod
    def from_study(
        cls, study: Study, *, weights: bool = False, checkpoints: bool = True
    ) -> PortableStudy:
        """Read a study of a store in one transaction, which sees one state of it.

        Raises
        ------
        StoreError
            If the store fails.
        StudyConflictError
            If the study has been deleted.
        """
        included = _included(weights, checkpoints)
        with study.database.snapshot() as connection:
            # The definition again, because the study may have been extended in between.
            query = sa.select(*(tables.studies.c[name] for name in STUDY_COLUMNS)).where(
                tables.studies.c.study_id == study.study_id
            )
            stored = connection.execute(query).mappings().one_or_none()
            if stored is None:
                raise StudyConflictError(
                    f"study {study.name!r} has been deleted meanwhile; `fdrnn study list` prints "
                    "those of the store"
                )
            row = dict(stored)
            rows = {table: _read(connection, table, study.study_id) for table in included}
        row["definition"] = {k: v for k, v in row["definition"].items() if k != "name"}
        n_epochs = len(rows[tables.epochs])
        if checkpoints and not weights:
            # The last state of an ended trial is as large as its parameters several times over.
            # A failed one is retried from its last state.
            ended = {
                trial[KEY]
                for trial in rows[tables.trials]
                if trial["state"] in {TrialState.FINISHED, TrialState.PRUNED}
            }
            rows[tables.checkpoints] = [
                row for row in rows[tables.checkpoints] if row[KEY] not in ended
            ]
        _requeue(rows)
        return cls(
            name=study.name,
            weights=weights,
            checkpoints=checkpoints,
            study=row,
            rows=rows,
            n_epochs_left_out=n_epochs - len(rows[tables.epochs]),
        )

    @classmethod
    def read(cls, path: Path | str) -> PortableStudy:
        """Read a study's file.

        Raises
        ------
        PortableFileError
            If it cannot be read, is no exported study, damaged, or of a newer format.
        """
        path = user_path(path)
        manifest, members = read_archive(path)
        schema = manifest.get("schema_version")
        if isinstance(schema, int) and schema > tables.SCHEMA_VERSION:
            raise PortableFileError(
                f"{path} has schema version {schema}, this fdrnn reads version "
                f"{tables.SCHEMA_VERSION}; a newer fdrnn reads it"
            )
        try:
            name, weights, checkpoints = (
                manifest[key] for key in ("study", "weights", "checkpoints")
            )
            rows = {table: decode(table, members) for table in _included(weights, checkpoints)}
            own = json.loads(members[_STUDY])
            own["definition"] = with_space(dict(own["definition"]))
            study = cls(
                name=name,
                weights=weights,
                checkpoints=checkpoints,
                study=own,
                rows=rows,
            )
            require_a_study(study.definition, study.study, rows)
        except (MissingPluginError, PluginError) as error:
            raise PortableFileError(f"{path}: {error}") from error
        except (FdrnnError, ValueError, TypeError, KeyError, RecursionError) as error:
            reason = f"{error} is missing" if isinstance(error, KeyError) else error
            raise PortableFileError(
                f"{path} holds no study that this fdrnn can read: {reason}; export it again"
            ) from error
        return study

    def write(self, path: Path | str) -> int:
        """Write the study's file, whole or not at all, and return its size in bytes.

        The same study gives the same bytes.

        Raises
        ------
        PortableFileError
            If it cannot be written, or would replace another kind of file.
        """
        about = {
            "study": self.name,
            "schema_version": tables.SCHEMA_VERSION,
            "fdrnn_version": code_version(),
            "weights": self.weights,
            "checkpoints": self.checkpoints,
        }
        return write_archive(user_path(path), about, self._members(), _INCOMPRESSIBLE)

    def insert(self, store: Store, name: str | None = None, *, mirrored: bool = True) -> bool:
        """Add the study to a store, in one transaction.

        Parameters
        ----------
        store
            The store.
        name
            Its name there; None for the one in the file.
        mirrored
            Whether Optuna's tables show it, which takes longer than the rest.

        Returns
        -------
        bool
            False if the store has the same study already, and nothing was changed.

        Raises
        ------
        StudyConflictError
            If the store has another study of that name.
        DefinitionError
            If the name breaks its rule.
        StoreError
            If the store fails; it is then unchanged.
        """
        definition = self.definition
        if name is not None:
            definition = replace(definition, name=name)
        with store.database.exclusive():
            existing = store.find(definition.name)
            if existing is None:
                self._insert(store, definition.name)
            elif not self._equals(existing):
                raise StudyConflictError(
                    f"store {store.shown} has a study {definition.name!r} that differs "
                    "from the file's; import the file under another name (--name), or into "
                    "another store (--storage)"
                )
        if mirrored:
            Mirror(store.study(definition.name)).sync()
        return existing is None

    @property
    def definition(self) -> StudyDefinition:
        """Return the definition, with the name in the file."""
        return StudyDefinition.from_mapping({"name": self.name, **self.study["definition"]})

    def curves(self) -> tuple[dict[int, list[float]], dict[int, list[float]]]:
        """Return the validation NLL and seconds of each epoch of the finished draws, by index."""
        finished = [
            trial[KEY]
            for trial in self.rows[tables.trials]
            if trial["state"] == TrialState.FINISHED and trial["repeat_of"] is None
        ]
        column = self.definition.training.valid_nll_column
        curves: dict[int, list[float]] = {index: [] for index in finished}
        seconds: dict[int, list[float]] = {index: [] for index in finished}
        for row in self.rows[tables.epochs]:
            if row[KEY] in curves:
                nll = row[column]
                curves[row[KEY]].append(math.nan if nll is None else nll)
                seconds[row[KEY]].append(row["seconds"] or 0.0)
        return curves, seconds

    @property
    def counts(self) -> Counter[str]:
        """Return the number of trials by state."""
        return Counter(trial["state"] for trial in self.rows[tables.trials])

    @property
    def n_resumed(self) -> int:
        """Return the number of waiting trials that resume from a checkpoint."""
        resumable = {row[KEY] for row in self.rows.get(tables.checkpoints, ())}
        return len([trial for trial in self._waiting() if trial[KEY] in resumable])

    @property
    def n_restarted(self) -> int:
        """Return the number of waiting trials that a worker had begun and that restart."""
        return len([trial for trial in self._waiting() if trial["attempt"]]) - self.n_resumed

    def _waiting(self) -> list[Row]:
        return [trial for trial in self.rows[tables.trials] if trial["state"] == TrialState.WAITING]

    def _members(self) -> dict[str, bytes]:
        members = {_STUDY: json.dumps(self.study, indent=1).encode()}
        for table, rows in self.rows.items():
            try:
                members |= encode(table, rows)
            except (ValueError, TypeError) as error:
                raise StoreError(
                    f"study {self.name!r} cannot be exported: a row of {table.name} is damaged: "
                    f"{error}"
                ) from error
        return members

    def _equals(self, study: Study) -> bool:
        stored = PortableStudy.from_study(study, weights=self.weights, checkpoints=self.checkpoints)
        return stored._members() == self._members()

    def _insert(self, store: Store, name: str) -> None:
        definition = {"name": name, **self.study["definition"]}
        with store.database.write() as connection:
            study_id = connection.execute(
                tables.studies.insert()
                .values({**self.study, "name": name, "definition": definition})
                .returning(tables.studies.c.study_id)
            ).scalar_one()
            for trials in _blocks(self.rows[tables.trials]):
                keyed = [{"study_id": study_id, **trial} for trial in trials]
                connection.execute(tables.trials.insert(), keyed)
            keys = sa.select(tables.trials.c.config_index, tables.trials.c.trial_id).where(
                tables.trials.c.study_id == study_id
            )
            trial_ids = {row.config_index: row.trial_id for row in connection.execute(keys)}
            for table, every in self.rows.items():
                for rows in _blocks(every) if table is not tables.trials else ():
                    keyed = [{"trial_id": trial_ids[row[KEY]], **row} for row in rows]
                    for row in keyed:
                        del row[KEY]
                    connection.execute(table.insert(), keyed)


def _blocks(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    for first in range(0, len(rows), BLOCK_ROWS):
        yield rows[first : first + BLOCK_ROWS]


def _included(weights: bool, checkpoints: bool) -> list[sa.Table]:
    if {type(weights), type(checkpoints)} != {bool}:
        raise ValueError("weights and checkpoints must be true or false")
    optional = ((tables.parameters, weights), (tables.checkpoints, checkpoints))
    return [*_ALWAYS, *(table for table, wanted in optional if wanted)]


def _read(connection: sa.Connection, table: sa.Table, study_id: int) -> list[Row]:
    trials = tables.trials
    columns = carried(table)
    if table is trials:
        query = sa.select(*columns)
    else:
        query = sa.select(trials.c[KEY], *columns).join_from(trials, table)
    rows = connection.execute(query.where(trials.c.study_id == study_id)).mappings()
    # Sorted here because databases sort texts each in its own way.
    return sorted(map(dict, rows), key=partial(key_of, table))


def _requeue(rows: dict[sa.Table, list[Row]]) -> None:
    # What `Lease.release` and, without a checkpoint, `Lease.restart` do to a trial.
    begun = {row[KEY]: row["epoch"] for row in rows.get(tables.checkpoints, ())}
    last_epoch: dict[int, float] = {}
    for trial in rows[tables.trials]:
        if not trial["state"].ended:
            if trial["state"] == TrialState.RUNNING:
                trial["stalls"] = max(trial["stalls"] - 1, 0)
            if trial[KEY] not in begun:
                trial["machine"] = None
            if trial["state"] != TrialState.PAUSED or trial[KEY] not in begun:
                trial.update(tables.NO_WORKER, state=TrialState.WAITING)
            last_epoch[trial[KEY]] = begun.get(trial[KEY], 0)
    for table in _CURVES:
        rows[table] = [
            row for row in rows[table] if row["epoch"] <= last_epoch.get(row[KEY], math.inf)
        ]
