"""The trials by fire in their short form; ``python -m chaos`` runs the long one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos import claims, disturbances, study
from chaos.stores import BACKENDS
from postgres import PostgresServer, PostgresUnavailableError

Prepared = tuple[Path, study.Numbers]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Each kind of database."""
    return str(request.param)


@pytest.fixture
def server(backend: str, request: pytest.FixtureRequest) -> PostgresServer | None:
    """The server that the backend needs."""
    return request.getfixturevalue("postgres") if backend == "postgresql" else None


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prepared]:
    """A study of four small trials and its undisturbed numbers."""
    definition = study.write_study(tmp_path_factory.mktemp("study"), n_trials=4, n_epochs=50)
    yield definition, study.undisturbed(definition, 2, limit_s=300.0)


def test_many_claimers(backend: str, server: PostgresServer | None) -> None:
    outcome = claims.claims(backend, server, n_processes=6, n_trials=60, n_rounds=1)
    assert not outcome.faults, str(outcome)


def test_many_starters(backend: str, server: PostgresServer | None) -> None:
    outcome = claims.starters(backend, server, n_processes=6, n_rounds=1)
    assert not outcome.faults, str(outcome)


@pytest.mark.slow
def test_killed_workers(backend: str, server: PostgresServer | None, prepared: Prepared) -> None:
    outcome = disturbances.kills(backend, server, *prepared, n_kills=3, longest_pause_s=2.0, seed=3)
    assert not outcome.faults, str(outcome)


@pytest.mark.slow
def test_a_database_that_crashes(prepared: Prepared) -> None:
    try:
        server = PostgresServer()
    except PostgresUnavailableError as error:
        pytest.skip(str(error))
    with server:
        outcome = disturbances.restarts(server, *prepared, n_restarts=2, longest_s=2.0, seed=3)
    assert not outcome.faults, str(outcome)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
def test_a_full_disk(prepared: Prepared) -> None:
    outcome = disturbances.full_disks(*prepared, n_times=1, longest_s=3.0, seed=3)
    assert not outcome.faults, str(outcome)
