"""Commands of ``fdrnn study``."""
# ruff: noqa: PLC0415 - as in `fdrnn.studies.cli.app`

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fdrnn.studies.cli.options import (
    DataDir,
    Epochs,
    Name,
    Storage,
    StoredStudies,
    StudySource,
    Trials,
    require_watch,
)

app = typer.Typer(no_args_is_help=True, help="Create, watch, export and import studies.")


@app.command("create")
def study_create(
    study: StudySource,
    trials: Trials = None,
    epochs: Epochs = None,
    name: Name = None,
    storage: Storage = None,
    data_dir: DataDir = None,
) -> None:
    """Draw configurations of a study, or of each of a comparison, for workers to train.

    The same study again changes nothing; more --trials extend it; any other difference is
    refused.
    """
    from fdrnn.studies.cli.training import Request, create

    create([Request(study, trials, epochs, name, storage, data_dir)])


@app.command("status")
def study_status(
    context: typer.Context,
    study: Annotated[
        str | None,
        typer.Argument(
            metavar="STUDY",
            help="A study or a comparison of the store; all without.",
            show_default=False,
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch", help="Show it again and again, until nothing waits or runs, or Ctrl-C."
        ),
    ] = False,
    every: Annotated[
        float, typer.Option(metavar="S", help="Seconds between two looks of --watch.")
    ] = 5.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, one line for each look.")
    ] = False,
    storage: Storage = None,
) -> None:
    """Show how far a study is: counts, running trials, the best so far, failures, time left.

    The time left is expected from the epochs and seconds of the study's trials so far and the
    workers that run now; it says on what it rests.

    Keys of the JSON: store, time, and studies (or error, while --watch cannot read the store),
    each with name, n_trials, waiting, running, finished, failed, diverged, complete, best,
    running_trials, failed_trials, troubled_trials, time_left, definition, created_at and
    code_version. NaN is null, infinities are the texts inf and -inf.

    For example:

        fdrnn study status jsb --watch

        fdrnn study status --json
    """
    require_watch(context, watch)
    from fdrnn.studies.cli.status import show_status

    raise typer.Exit(show_status(study, storage, watched=watch, every_s=every, as_json=as_json))


@app.command("retry")
def study_retry(study: StoredStudies, storage: Storage = None) -> None:
    """Let failed trials wait again, from their last checkpoints."""
    from fdrnn.studies.cli.status import retry_failed

    retry_failed(study, storage)


@app.command("list")
def study_list(storage: Storage = None) -> None:
    """List the project's own study definitions and the studies of the store."""
    from fdrnn.studies.cli.status import list_studies

    list_studies(storage)


@app.command("export")
def study_export(
    studies: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STUDY",
            help="Studies or comparisons of the store; all without any.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            metavar="DIR",
            help="Folder of the files STUDY.fdrnn.zip; made if missing. Earlier exports are "
            "replaced.",
        ),
    ] = Path(),
    weights: Annotated[
        bool, typer.Option(help="Take the trained parameters along (large).")
    ] = False,
    checkpoints: Annotated[
        bool,
        typer.Option(
            help="Take along the states of trials that have not finished: they go on from there. "
            "Without them such trials begin anew."
        ),
    ] = True,
    storage: Storage = None,
) -> None:
    """Write studies, finished or not, each into one file that any store can import.

    Workers may go on meanwhile. A file is a zip archive of JSON lines and NumPy arrays; the
    same study gives the same bytes.

    For example:

        fdrnn study export jsb

        fdrnn study export --output results --no-checkpoints
    """
    from fdrnn.studies.cli.portable import export_studies

    export_studies(studies or [], output, weights, checkpoints, storage)


@app.command("import")
def study_import(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE",
            help="Files of exported studies, or folders of *.fdrnn.zip files.",
            show_default=False,
        ),
    ],
    name: Name = None,
    storage: Storage = None,
) -> None:
    """Add exported studies to the store, which is made where there is none.

    Trials that had not ended wait again, from their checkpoints where the file has them. A study
    of the same name is left as it is: the very same one counts as imported, another is refused.

    For example:

        fdrnn study import jsb.fdrnn.zip

        fdrnn study import jsb.fdrnn.zip --name jsb-of-ada

        fdrnn study import results
    """
    from fdrnn.studies.cli.portable import import_files

    import_files(files, name, storage)
