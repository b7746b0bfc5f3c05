"""``fdrnn study``: create, watch, change, export, import and verify studies.

What loads Optuna or SciPy is imported by the commands that need it: `status` does without.
"""
# ruff: noqa: PLC0415

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fdrnn.datasets import describe
from fdrnn.datasets.plugins import PluginError, Registry
from fdrnn.datasets.sources import package
from fdrnn.model import OUTPUTS, VARIANTS
from fdrnn.reports.numbers.text import plural
from fdrnn.search import ForeignStudyError, Store, find_store, open_store
from fdrnn.search.design.comparison import comparison_of
from fdrnn.search.store.database import Database
from fdrnn.studies import catalogue
from fdrnn.studies.cli.exports import SUFFIX, exported_files, names_file, require_one_each
from fdrnn.studies.cli.interrupts import remembered_interrupts
from fdrnn.studies.cli.options import (
    AnyStudies,
    DataDir,
    Epochs,
    Name,
    Repeats,
    Seed,
    Storage,
    StoredStudies,
    StudyOrComparison,
    StudySources,
    Trials,
    commands,
    interval,
    number,
    on_command_line,
    option,
    require_watch,
)
from fdrnn.studies.cli.readable import chosen_studies, stored_names
from fdrnn.studies.cli.status_view import StudyStatus, summary_line
from fdrnn.studies.cli.tables import print_table
from fdrnn.studies.cli.units import file_size
from fdrnn.studies.cli.watch import Statuses, follow, view
from fdrnn.studies.errors import OptionError

if TYPE_CHECKING:
    from fdrnn.search import PortableStudy

app = commands("Create, watch, change, export, import and verify studies.")


@app.command()
def create(
    studies: StudySources,
    trials: Trials,
    epochs: Epochs,
    repeats: Repeats,
    seed: Seed,
    name: Name,
    storage: Storage,
    data_dir: DataDir,
) -> None:
    """Draw the configurations of studies or comparisons, for workers to train.

    The same study again changes nothing. More --trials, --epochs or --repeats extend it, and so do
    more patience and halving that prunes fewer trials, or none; any other difference is an error.
    """
    from fdrnn.studies.cli import creation

    creation.require_one(name, studies)
    requests = [
        creation.requested(
            study, trials=trials, epochs=epochs, name=name, repeats=repeats, seed=seed
        )
        for study in studies
    ]
    creation.create(requests, storage, data_dir)


@app.command()
def status(
    context: typer.Context,
    studies: AnyStudies,
    watch: Annotated[
        bool, option("--watch", default=False, help="Repeat until every trial has ended.")
    ],
    every: Annotated[float, interval(5.0)],
    as_json: Annotated[
        bool, option("--json", default=False, help="Print JSON, one line each time.")
    ],
    storage: Storage,
) -> None:
    """Print a study's counts, running trials, best trial, failures and time left.

    The expected time left is computed from the epochs and seconds of the study's trials so far and
    the number of running workers. The store is only read.

    Keys of the JSON: store, time, and studies (or error, while --watch cannot read the store),
    each with name, n_trials, waiting, running, paused, finished, pruned, failed, diverged,
    repeats_planned, repeats_left, repeats_failed, worker_seconds, complete, best,
    running_trials, failed_trials, troubled_trials, time_left, definition, created_at and
    code_version. NaN is null, infinities are the texts inf and -inf.

    For example:

        fdrnn study status jsb --watch

        fdrnn study status --json
    """
    require_watch(context, watch)

    def read() -> Statuses:
        # Opened each time: a store that was unavailable may have a new connection.
        store = open_store(storage)
        try:
            return [StudyStatus.read(study) for study in chosen_studies(store, studies)]
        finally:
            store.close()

    statuses = read()
    ends = (signal.SIGINT, signal.SIGTERM)
    shown = Database(storage).shown
    try:
        with remembered_interrupts(*ends), view(shown, watched=watch, as_json=as_json) as viewer:
            viewer.show(statuses)
            if watch:
                statuses = follow(statuses, read, viewer, every)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    raise typer.Exit(any(status.progress.n_failed for status in statuses))


@app.command()
def preview(
    context: typer.Context,
    study: Annotated[
        str | None,
        typer.Argument(
            metavar="STUDY",
            help="Name or path of a definition.",
            default_factory=lambda: None,
            show_default=False,
        ),
    ],
    from_file: Annotated[
        Path | None,
        option(
            "--from",
            metavar="FILE",
            help="An exported study of finished trials: replay the study's halving on it, or that "
            "of --first and --keep.",
        ),
    ],
    first: Annotated[
        int | None,
        number(least=1, help="First rung of the replay; by default a sixteenth of the epochs."),
    ],
    keep: Annotated[
        float,
        option(default=0.5, metavar="SHARE", help="Share of trials that continue in the replay."),
    ],
    data_dir: DataDir,
) -> None:
    """Print a study's space, ten draws and its cost on this machine, without a store.

    For example:

        fdrnn study preview my-study.toml

        fdrnn study preview --from jsb.fdrnn.zip --first 25 --keep 0.5
    """
    from fdrnn.studies.cli import preview as previews

    if from_file is None:
        if study is None:
            raise OptionError("name a STUDY, or an exported study by --from")
        if on_command_line(context, "first", "keep"):
            raise OptionError("--first and --keep choose what --from replays: add --from FILE")
        previews.preview_study(study, data_dir)
        return
    if study is not None and on_command_line(context, "first", "keep"):
        raise OptionError(
            f"--from replays the halving of study {study}: leave out STUDY, or --first and --keep"
        )
    if on_command_line(context, "data_dir"):
        raise OptionError("--from reads no data: leave out --data-dir")
    halving = None if study is None else catalogue.find(study).halving
    if study is not None and halving is None:
        raise OptionError(f"study {study} must have a table [halving] to replay")
    previews.preview_halving(from_file, halving, first, keep)


@app.command()
def retry(study: StudyOrComparison, storage: Storage) -> None:
    """Retry failed trials, from their last checkpoints."""
    from fdrnn.search import requeue_expired

    n_trials = 0
    store = open_store(storage)
    for stored in chosen_studies(store, [study]):
        n_trials += stored.retry_failed()
        requeue_expired(stored.database, stored.study_id)
    requeued = f"{plural(n_trials, 'failed trial')} requeued"
    next_step = f"; `fdrnn worker {study}` trains what waits" if n_trials else ""
    typer.echo(f"study {study}: {requeued}{next_step}")


@app.command()
def rename(
    study: StudyOrComparison,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new name.")],
    storage: Storage,
) -> None:
    """Rename a study or comparison of the store, while no worker trains it.

    A study of a file is found by the file's name: rename the file, too, or give --name.

    For example:

        fdrnn study rename jsb jsb-first-try
    """
    from fdrnn.search.work.administration import rename_studies

    store = open_store(storage)
    # Those of a comparison keep what follows its name: the dot and the variant.
    stored = store.named(stored_names(store, [study]))
    rename_studies(store, [(each, name + each.removeprefix(study)) for each in stored])
    typer.echo(f"store {store.shown}: {study} is now {name}")


@app.command()
def delete(
    studies: StoredStudies,
    yes: Annotated[bool, option("--yes", default=False, help="Do not ask.")],
    storage: Storage,
) -> None:
    """Delete studies with their trials, results and weights, while no worker trains them.

    Asks first. `fdrnn study export` keeps a copy in a file.

    For example:

        fdrnn study delete jsb-first-try
    """
    from fdrnn.search.work.administration import delete_studies

    store = open_store(storage)
    chosen = store.named(stored_names(store, studies))
    for stored in chosen:
        typer.echo(f"  {_summary(store, stored)}")
    if not yes:
        many = plural(len(chosen), "study", "studies")
        _require_consent(f"Delete {many} from store {store.shown}?")
    delete_studies(store, chosen)
    typer.echo(f"store {store.shown}: deleted {', '.join(chosen)}")


def _summary(store: Store, name: str) -> str:
    try:
        return summary_line(store.study(name).progress())
    except ForeignStudyError as error:
        return str(error)


def _require_consent(question: str) -> None:
    if not sys.stdin.isatty():
        raise OptionError("the command asks on a terminal; elsewhere add --yes")
    try:
        agreed = typer.confirm(question)
    except typer.Abort:
        raise KeyboardInterrupt from None
    if not agreed:
        raise typer.Exit


@app.command("list")
def list_(
    context: typer.Context,
    variants: Annotated[
        bool,
        option(
            "--variants",
            default=False,
            help="List variants, outputs and data sets instead, with the packages of plug-ins.",
        ),
    ],
    storage: Storage,
) -> None:
    """List the definitions that fdrnn has and the studies of the store."""
    if variants:
        if on_command_line(context, "storage"):
            raise OptionError("--variants lists nothing of the store: leave out --storage")
        header = ("kind", "name", "title", "package")
        print_table(header, list(_registered()), dispensable=("package",))
        return
    # The default need not exist yet.
    store = (open_store if on_command_line(context, "storage") else find_store)(storage)
    typer.echo("Study definitions that `fdrnn run` knows by name:")
    print_table(
        ("study", "data", "variant", "space", "trials", "most epochs"),
        [_row(name) for name in catalogue.names()],
        dispensable=("space", "most epochs", "trials", "variant"),
    )
    if store is None:
        typer.echo(
            f"\nThere is no store {Database(storage).shown} yet; `fdrnn run STUDY` creates it"
        )
        return
    typer.echo(f"\nIn store {store.shown}:")
    for study in chosen_studies(store):
        typer.echo(f"  {summary_line(study.progress())}")


def _registered() -> Iterator[tuple[str, str, str, str]]:
    registries: tuple[tuple[str, Registry[Any]], ...] = (("variant", VARIANTS), ("output", OUTPUTS))
    for kind, registry in registries:
        for name in registry:
            try:
                title = registry[name].title
            except PluginError as error:
                title = str(error)
            yield kind, name, title, registry.package(name) or "fdrnn"
    for known in describe():
        yield "data", known.name, known.title, package(known.name) or "fdrnn"


def _row(name: str) -> tuple[str, ...]:
    definitions = catalogue.find_all(name)
    first, n = definitions[0], len(definitions)
    compared = comparison_of(first) is not None
    return (
        name,
        first.data,
        f"{n} variants" if compared else first.variant,
        "-" if compared else first.space.name,
        f"{n} x {first.n_trials}" if compared else str(first.n_trials),
        str(first.training.max_epochs),
    )


@app.command("export")
def export(
    studies: AnyStudies,
    output: Annotated[
        Path,
        option(
            default=Path(),
            metavar="DIR",
            help="Folder for the files STUDY.fdrnn.zip; created if missing. Earlier exports are "
            "replaced.",
        ),
    ],
    weights: Annotated[
        bool,
        option(
            default=False,
            help="Include the trained parameters and, with --checkpoints, the last checkpoints of "
            "finished and pruned trials, which extending the study needs (large).",
        ),
    ],
    checkpoints: Annotated[
        bool,
        option(
            default=True,
            help="Include the checkpoints of unfinished and failed trials, to resume them; "
            "without them such trials restart.",
        ),
    ],
    storage: Storage,
) -> None:
    """Write studies, complete or not, into one file each that any store can import.

    Workers may continue meanwhile. A file is a zip archive of JSON lines and NumPy arrays; the
    same study gives the same bytes.

    For example:

        fdrnn study export jsb

        fdrnn study export --output results --no-checkpoints
    """
    from fdrnn.search import PortableStudy

    store = open_store(storage)
    chosen = chosen_studies(store, studies)
    if not chosen:
        raise OptionError(
            f"store {store.shown} holds no study to export; `fdrnn run STUDY` makes one"
        )
    for study in chosen:
        portable = PortableStudy.from_study(study, weights=weights, checkpoints=checkpoints)
        path = output / f"{study.name}{SUFFIX}"
        size = portable.write(path)
        left_out = ""
        if portable.n_epochs_left_out:
            left_out = (
                f"; left out {portable.n_epochs_left_out} epochs of unfinished trials, which no "
                "checkpoint in the file covers"
            )
        typer.echo(f"{path}, {file_size(size)}: {_contents(portable, study.name)}{left_out}")


@app.command("import")
def import_(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE", help="Files of exported studies, or folders of *.fdrnn.zip files."
        ),
    ],
    name: Name,
    storage: Storage,
) -> None:
    """Add exported studies to the store, which is created if it does not exist.

    Unfinished trials are waiting then, to be resumed from their checkpoints where the file has
    them. An equal study in the store is left as it is; another one of the same name is an error.

    For example:

        fdrnn study import jsb.fdrnn.zip

        fdrnn study import jsb.fdrnn.zip --name jsb-of-ada

        fdrnn study import results
    """
    from fdrnn.search import PortableStudy
    from fdrnn.search.design.definition import require_name

    paths = exported_files(files)
    if name is not None and len(paths) > 1:
        raise OptionError(f"--name names one study, got {len(paths)} files; import them one by one")
    # All are read before the store is made or changed.
    studies = [PortableStudy.read(path) for path in paths]
    if name is not None:
        require_name(name)
    require_one_each(paths, studies)
    store = open_store(storage, create=True)
    for study in studies:
        added = study.insert(store, name)
        already = "" if added else "; the store already holds it, equal in everything"
        typer.echo(f"store {store.shown}: {_contents(study, name or study.name)}{already}")


@app.command()
def verify(
    context: typer.Context,
    study: Annotated[
        str,
        typer.Argument(metavar="FILE|STUDY", help="An exported study, or a study of the store."),
    ],
    trials: Annotated[
        str | None,
        option(
            default=None,
            metavar="K,...",
            help="Trials to train again; by default that with the lowest validation NLL.",
        ),
    ],
    every: Annotated[bool, option("--all", default=False, help="Train every trial again.")],
    epochs: Annotated[
        int | None,
        number(
            least=1, help="Compare the first N epochs only; no result unless the trial ends there."
        ),
    ],
    storage: Storage,
    data_dir: DataDir,
) -> None:
    """Train trials again on this machine and compare every number with the store's.

    Losses, gradient norms and test NLL must be the same to the last bit; spectral radii, which
    NumPy's linear algebra computes, within a relative 0.0001. A line per trial says so, or names
    the first epoch and quantity that differ, and by how much. Exit code 1 if any differs.

    For example:

        fdrnn study verify jsb.fdrnn.zip --trials 3,17

        fdrnn study verify jsb.fdrnn.zip --epochs 1
    """
    from fdrnn.studies.cli import verification

    if names_file(study) and on_command_line(context, "storage"):
        raise OptionError("an exported study is verified without a store: leave out --storage")
    raise typer.Exit(verification.verify_study(study, trials, every, epochs, storage, data_dir))


def _contents(study: PortableStudy, name: str) -> str:
    counts = study.counts
    starts = [
        f"{number} {how}"
        for number, how in (
            (study.n_resumed, "to resume from a checkpoint"),
            (study.n_restarted, "to start over"),
        )
        if number
    ]
    return (
        ", ".join(
            [
                f"study {name}",
                f"{counts.total()} trials",
                *(f"{count} {state}" for state, count in sorted(counts.items())),
            ]
        )
        + (f" (of these {', '.join(starts)})" if starts else "")
        + (", with weights" if study.weights else ", without weights")
    )
