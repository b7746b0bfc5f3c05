"""What ``fdrnn study verify`` prints."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from fdrnn.datasets import user_path
from fdrnn.reports.numbers.text import plural
from fdrnn.search import Store, open_store
from fdrnn.search.errors import NoModelError
from fdrnn.search.machine import limit_threads
from fdrnn.search.models.verification import TOLERANCE, Verification, stored_curve, verify
from fdrnn.search.work.training import Training
from fdrnn.search.work.worker import load_study_data
from fdrnn.studies.cli.exports import SUFFIX, exported_store, names_file
from fdrnn.studies.cli.interrupts import remembered_interrupts
from fdrnn.studies.cli.options import require_range
from fdrnn.studies.cli.readable import stored_names
from fdrnn.studies.errors import OptionError


def verify_study(
    source: str,
    trials: str | None,
    every: bool,
    most_epochs: int | None,
    storage: str,
    data_dir: Path | None,
) -> int:
    """Train trials again, print a line for each, and return the exit code.

    Parameters
    ----------
    source
        File of an exported study, or name of a study in the store.
    trials
        Indices, separated by commas; None for the trial with the lowest validation NLL.
    every
        Whether all trials with an epoch are trained again.
    most_epochs
        Most epochs of each; None for all, and the result.
    storage
        URL of the store.
    data_dir
        Folder with data files; None where they are cached or fetched.

    Raises
    ------
    OptionError
        If `trials` are not indices or are out of range, or `every` is given too.
    """
    if every and trials is not None:
        raise OptionError("--all and --trials exclude each other; leave one out")
    limit_threads(1)
    with _store_of(source, storage) as (store, name):
        study = store.study(name)
        if every:
            indices = study.curves()["config_index"].unique().tolist()
        elif trials is None:
            indices = [] if study.selected is None else [study.selected]
        else:
            indices = _indices(trials)
            for index in indices:
                # All, before the first is trained for hours.
                stored_curve(study, index)
        if not indices:
            raise NoModelError(f"study {name!r} has no trial to verify yet; train it first")
        dataset = load_study_data(study, data_dir, Training())
        same = True
        for index in indices:
            outcome = verify(study, dataset, index, on_epoch=_show_epoch, most_epochs=most_epochs)
            if sys.stderr.isatty():
                typer.echo("\r\033[K", nl=False, err=True)
            typer.echo(_line(outcome))
            same = same and outcome.difference is None
    return 0 if same else 1


@contextmanager
def _store_of(source: str, storage: str) -> Iterator[tuple[Store, str]]:
    if not names_file(source):
        store = open_store(storage)
        (name,) = stored_names(store, [source])
        yield store, name
        return
    if user_path(source).is_dir():
        raise OptionError(f"{source} is a folder; name one of its files *{SUFFIX}")
    # The temporary store of a file is deleted at SIGTERM, too: training takes hours.
    ends = (signal.SIGINT, signal.SIGTERM)
    with remembered_interrupts(*ends), exported_store([Path(source)]) as store:
        yield store, store.study_names()[0]


def _indices(trials: str) -> list[int]:
    try:
        indices = [int(index) for index in trials.split(",")]
    except ValueError:
        raise OptionError(
            f"--trials must be indices separated by commas, such as 0,3; got {trials[:80]!r}"
        ) from None
    for index in indices:
        require_range("--trials", index, least=0)
    return list(dict.fromkeys(indices))


def _show_epoch(epoch: int, n_epochs: int) -> None:
    if sys.stderr.isatty():
        typer.echo(f"\repoch {epoch} of {n_epochs}", nl=False, err=True)


def _line(outcome: Verification) -> str:
    trial = f"trial {outcome.config_index}:"
    found = outcome.difference
    if found is None:
        epochs = plural(outcome.n_epochs, "epoch")
        result = " and the result" if outcome.has_result else ""
        verb = "are" if outcome.n_epochs > 1 or result else "is"
        return (
            f"{trial} {epochs}{result} {verb} the same to the last bit, spectral radii to "
            f"{TOLERANCE:g}"
        )
    where = "the result" if found.epoch is None else f"epoch {found.epoch}"
    return (
        f"{trial} {where} differs in {found.quantity}: stored {found.stored!r}, here "
        f"{found.found!r}, difference {found.found - found.stored:.3g}"
    )
