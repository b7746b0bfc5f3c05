"""Studies renamed and deleted, in our tables and Optuna's in one transaction.

No definition is read, so that neither needs a study's plug-in.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from fdrnn.search.design.definition import require_name
from fdrnn.search.errors import StudyConflictError
from fdrnn.search.mirror import rows
from fdrnn.search.store import tables
from fdrnn.search.store.database import now_s
from fdrnn.search.store.store import Store
from fdrnn.search.store.tables import TrialState

_STUDIES, _TRIALS = tables.studies.c, tables.trials.c


def delete_studies(store: Store, names: Sequence[str]) -> None:
    """Delete studies with all their trials; nothing is deleted if one cannot be.

    SQLite keeps the space for later rows; its `VACUUM` returns it to the file system.

    Parameters
    ----------
    store
        The store.
    names
        Names of studies in it.

    Raises
    ------
    UnknownNameError
        If the store has no study of a name.
    StudyConflictError
        If a worker has a trial of a study under a lease that has not expired.
    StoreError
        If the store cannot be written.
    """
    with store.database.exclusive(), store.database.write() as connection:
        for name in names:
            study_id = _require_idle(connection, store, name)
            rows.delete_study(connection, name)
            connection.execute(tables.studies.delete().where(_STUDIES.study_id == study_id))


def rename_studies(store: Store, names: Sequence[tuple[str, str]]) -> None:
    """Rename studies; none is renamed if one cannot be.

    Parameters
    ----------
    store
        The store.
    names
        Names of studies in it, each with the new name.

    Raises
    ------
    UnknownNameError
        If the store has no study of a name.
    DefinitionError
        If a name is not valid for a study.
    StudyConflictError
        If there is a study of a new name, or a worker has a trial of a study under a lease that
        has not expired.
    StoreError
        If the store cannot be written.
    """
    for _, new in names:
        require_name(new)
    try:
        with store.database.exclusive(), store.database.write() as connection:
            for name, new in names:
                row = _STUDIES.study_id == _require_idle(connection, store, name)
                definition = connection.execute(sa.select(_STUDIES.definition).where(row))
                values = {"name": new, "definition": {**definition.scalar_one(), "name": new}}
                connection.execute(tables.studies.update().where(row).values(values))
                rows.rename_study(connection, name, new)
    except sa.exc.IntegrityError as error:
        raise StudyConflictError(
            f"store {store.shown} already has a study {' or '.join(new for _, new in names)}; "
            "choose another name"
        ) from error


def _require_idle(connection: sa.Connection, store: Store, name: str) -> int:
    """Return the key of a study that no worker trains; it stays so until the transaction's end."""
    # The study first, as in a decision; then its trials, so that no worker claims one of them
    # before the end of the transaction.
    study_id = connection.scalar(
        sa.select(_STUDIES.study_id).where(_STUDIES.name == name).with_for_update()
    )
    if study_id is None:
        raise store.unknown(name)
    trials = connection.execute(
        sa.select(
            _TRIALS.worker,
            ((_TRIALS.state == TrialState.RUNNING) & (_TRIALS.lease_expires > now_s())).label(
                "alive"
            ),
        )
        .where(_TRIALS.study_id == study_id)
        .with_for_update()
    )
    workers = sorted({str(trial.worker) for trial in trials if trial.alive})
    if workers:
        raise StudyConflictError(
            f"study {name!r} in store {store.shown} is being trained by "
            f"{', '.join(workers)}; stop these workers, or wait until the leases of dead ones "
            "expire"
        )
    return int(study_id)
