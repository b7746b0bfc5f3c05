"""Commands, arguments and help of ``fdrnn``.

What a command does stands in the module that it imports when it is called, so that ``--help``
loads none of the numerical libraries and ``status`` no Theano.
"""
# ruff: noqa: PLC0415 - the imports inside the commands are the point of this module

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from fdrnn.datasets.errors import FdrnnError
from fdrnn.studies.cli.interrupts import remembered_interrupts


class _OneLineErrors(TyperGroup):
    """A command group that tells an `FdrnnError` in one line and exits with code 2."""

    def invoke(self, ctx: Any) -> Any:
        """Invoke the command; its error becomes a line and an exit code."""
        try:
            return super().invoke(ctx)
        except FdrnnError as error:
            line = " ".join(str(error).split())
            typer.echo(f"fdrnn: error: {line}", err=True)
            raise typer.Exit(2) from error
        except KeyboardInterrupt as error:
            typer.echo("fdrnn: interrupted; the same command goes on where it stopped", err=True)
            raise typer.Exit(130) from error


_CONTEXT = {"help_option_names": ["-h", "--help"]}
_EPILOG = """\
Examples:

    fdrnn run bach --trials 4 --epochs 20      # real music, needs no download

    fdrnn run jsb                              # 32 trials of the paper's JSB Chorales

    fdrnn study status jsb                     # from another terminal

    fdrnn report jsb jsb-plain                 # tables, figures, one HTML page

    fdrnn run my-study.toml --workers 8        # your own definition

Environment:

    FDRNN_STORAGE    URL of the store, or @FILE (default: ./fdrnn.sqlite3)

    FDRNN_DATA_DIR   folder with the data files, instead of a download

    FDRNN_CACHE_DIR  folder of downloads and compiled operations, instead of the user's cache

Exit codes: 0 done; 1 the study has failed trials; 2 a mistake, told in one line; 130 interrupted,
and the same command goes on.
"""

app = typer.Typer(
    cls=_OneLineErrors,
    no_args_is_help=True,
    add_completion=False,
    # Paragraphs of the docstrings below are filled to the terminal's width.
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings=_CONTEXT,
    epilog=_EPILOG,
)
study_app = typer.Typer(no_args_is_help=True, help="Create, watch, export and import studies.")
store_app = typer.Typer(no_args_is_help=True, help="Bring a store of an earlier fdrnn up to date.")
data_app = typer.Typer(no_args_is_help=True, help="List, fetch and show data sets.")
app.add_typer(study_app, name="study")
app.add_typer(store_app, name="store")
app.add_typer(data_app, name="data")

StudySource = Annotated[
    str,
    typer.Argument(
        metavar="STUDY",
        help="A study's name (bach, jsb, nottingham, musedata, piano, each also with -plain) "
        "or the path of a .toml file.",
        show_default=False,
    ),
]
StoredStudy = Annotated[
    str,
    typer.Argument(metavar="STUDY", help="A study of the store.", show_default=False),
]


def _storage_url(
    context: typer.Context, parameter: typer.CallbackParam, value: str | None
) -> str | None:
    if value is None:
        return None
    with remembered_interrupts():
        from fdrnn.studies.cli.storage import storage_url

    return storage_url(context, parameter, value)


Storage = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        envvar="FDRNN_STORAGE",
        callback=_storage_url,
        help="The store, as an SQLAlchemy URL: sqlite:///FILE, postgresql://USER@HOST/DATABASE; "
        "or @FILE for the URL in a file. Without it the file fdrnn.sqlite3 in the working "
        "directory. A URL with a password belongs in the environment variable or a file; on the "
        "command line it is refused, because `ps` shows it to everybody.",
        show_default=False,
        show_envvar=True,
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR",
        envvar="FDRNN_DATA_DIR",
        help="Folder with the data files; nothing is downloaded then.",
        show_default=False,
    ),
]
Trials = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Trials of the study, instead of the definition's n_trials; more than the store has "
        "extend the study.",
        show_default=False,
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        metavar="N", help="Most epochs of a trial, instead of max_epochs.", show_default=False
    ),
]
Name = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Name of the study in the store, to keep it beside another of its definition's name.",
        show_default=False,
    ),
]
Threads = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Threads of each worker's linear algebra. One worker per core with one thread each "
        "trains a study fastest; another number changes the last bits of the results.",
    ),
]
Lease = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        help="Time after which the trial of a silent worker may be taken up by another.",
    ),
]
CheckpointEvery = Annotated[
    float,
    typer.Option(
        metavar="SECONDS", help="Time between two checkpoints: what a killed worker may lose."
    ),
]
Output = Annotated[
    Path, typer.Option(metavar="DIR", help="Folder of the report's files; made if missing.")
]
_DEFAULT_OUTPUT = Path("fdrnn-report")


def _show_version(wanted: bool) -> None:
    if wanted:
        from fdrnn.search.machine import code_version

        typer.echo(f"fdrnn {code_version()}")
        raise typer.Exit


@app.callback()
def fdrnn(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Random search over fast-dropout recurrent networks, after Bayer et al. 2013.

    A study draws configurations once, from its seed, and keeps them in a store; workers train
    them; a report puts the test NLL of the trial with the lowest validation NLL beside the
    paper's.
    """
    # Optuna's own lines would break into the progress display.
    logging.getLogger("optuna").setLevel(logging.WARNING)


@app.command()
def run(
    study: StudySource,
    trials: Trials = None,
    epochs: Epochs = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Worker processes; without it as many as the usable cores have room for.",
            show_default=False,
        ),
    ] = None,
    threads: Threads = 1,
    lease: Lease = 60.0,
    checkpoint_every: CheckpointEvery = 60.0,
    name: Name = None,
    storage: Storage = None,
    data_dir: DataDir = None,
    output: Output = _DEFAULT_OUTPUT,
) -> None:
    """Create a study, train its trials, report Table 1.

    Ctrl-C stops cleanly: each worker keeps the state of its trial in the store, and the same
    command goes on from there. A study that is complete is only reported.

    For example:

        fdrnn run bach --trials 4 --epochs 20

        fdrnn run jsb --data-dir ~/music --workers 8

        fdrnn run bach --epochs 5 --name bach-short
    """
    with remembered_interrupts():
        from fdrnn.studies.cli.training import Request, WorkerOptions, run_study

    request = Request(study, trials, epochs, name, storage, data_dir)
    options = WorkerOptions(
        n_workers=workers, threads=threads, lease_s=lease, checkpoint_interval_s=checkpoint_every
    )
    raise typer.Exit(run_study(request, options, output))


@app.command()
def worker(
    study: StoredStudy,
    workers: Annotated[int, typer.Option(metavar="N", help="Worker processes.")] = 1,
    threads: Threads = 1,
    lease: Lease = 60.0,
    checkpoint_every: CheckpointEvery = 60.0,
    storage: Storage = None,
    data_dir: DataDir = None,
) -> None:
    """Train trials of a study of the store until none waits.

    Start as many as there are cores, on as many machines as reach the store; none trains a trial
    that another has. The study is made with `fdrnn study create`.

    For example:

        fdrnn worker jsb

        FDRNN_STORAGE=postgresql+psycopg://host/fdrnn fdrnn worker jsb --workers 8
    """
    with remembered_interrupts():
        from fdrnn.studies.cli.training import WorkerOptions, run_worker

    options = WorkerOptions(
        n_workers=workers, threads=threads, lease_s=lease, checkpoint_interval_s=checkpoint_every
    )
    raise typer.Exit(run_worker(study, options, storage, data_dir))


@app.command()
def report(
    studies: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[STUDY]...", help="Studies of the store; all without any.", show_default=False
        ),
    ] = None,
    exports: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            metavar="PATH",
            help="Report exported studies in the place of a store's: a file, or a folder of "
            "*.fdrnn.zip files. May be given several times.",
            show_default=False,
        ),
    ] = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Write the report anew while the studies are trained."),
    ] = False,
    every: Annotated[
        float,
        typer.Option(metavar="SECONDS", help="Time between two looks at the store of --watch."),
    ] = 30.0,
    storage: Storage = None,
    output: Output = _DEFAULT_OUTPUT,
) -> None:
    """Print Table 1; write a page, tables and figures.

    The folder gets report.html, which needs no network; tables as CSV, Markdown and LaTeX;
    figures as SVG and PDF. Studies that are not complete are reported as far as they are, and
    the report says what is missing.

    For example:

        fdrnn report jsb jsb-plain

        fdrnn report --watch --every 60

        fdrnn report --from results --output jsb-report
    """
    with remembered_interrupts():
        from fdrnn.studies.cli.reporting import report_studies

    report_studies(studies or [], storage, output, exports or [], watch, every)


@app.command()
def sample(
    study: StoredStudy,
    trial: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="Trial whose model is used, from 0; without it the one with the lowest "
            "validation NLL.",
            show_default=False,
        ),
    ] = None,
    sequence: Annotated[
        int, typer.Option(metavar="I", help="Test sequence of the excerpt, from 0.")
    ] = 0,
    steps: Annotated[
        int, typer.Option(metavar="N", help="Steps of the excerpt and of the sample.")
    ] = 64,
    given: Annotated[
        int, typer.Option(metavar="N", help="Steps of the excerpt that the sample begins with.")
    ] = 8,
    seed: Annotated[int, typer.Option(metavar="S", help="Seed of the sample.")] = 0,
    storage: Storage = None,
    data_dir: DataDir = None,
    output: Output = _DEFAULT_OUTPUT,
) -> None:
    """Draw music from a stored model; show its predictions of a test sequence.

    Writes piano-rolls of an excerpt, of the model's one-step predictions of it and of a sample
    as PNG, and excerpt and sample as MIDI. All three are kept in the store, in place of earlier
    ones of the trial, so that a report has them without weights and data.

    For example:

        fdrnn sample jsb

        fdrnn sample jsb --trial 5 --sequence 12 --steps 100 --seed 3
    """
    from fdrnn.studies.cli.sampling import SampleRequest, sample_study

    request = SampleRequest(trial, sequence, steps, given, seed)
    sample_study(study, request, storage, data_dir, output)


@app.command()
def analyze(
    study: StoredStudy,
    trial: Annotated[
        int | None,
        typer.Option(
            metavar="K",
            help="Trial whose model is analyzed, from 0; without it the one with the lowest "
            "validation NLL.",
            show_default=False,
        ),
    ] = None,
    storage: Storage = None,
    data_dir: DataDir = None,
    output: Output = _DEFAULT_OUTPUT,
) -> None:
    """Take a model's gradient apart into training loss and regulariser.

    For each weight matrix of a finished trial (at its best epoch) or one under way (at its last
    checkpoint), on the first minibatch of the training set: the ratio of the two parts' norms,
    the signs of delta, and whether the parts add up. Numbers per unit go to a CSV file.

    For example:

        fdrnn analyze jsb

        fdrnn analyze jsb --trial 5
    """
    from fdrnn.studies.cli.analysis import analyze_study

    analyze_study(study, trial, storage, data_dir, output)


@app.command()
def bench(
    data: Annotated[
        str,
        typer.Option(metavar="DATA", help="Data set of the epochs: a known one, or a path."),
    ] = "jsb",
    rounds: Annotated[int, typer.Option(metavar="N", help="Interleaved rounds.")] = 7,
    quick: Annotated[
        bool, typer.Option("--quick", help="Only the smallest network, to see that it runs.")
    ] = False,
    variants: Annotated[
        bool, typer.Option("--variants", help="Only the training step of every model variant.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    data_dir: DataDir = None,
) -> None:
    """Time training beside the matrix products that it cannot do without.

    One thread, interleaved rounds, medians: training steps beside their products alone (and
    beside PyTorch with the extra fdrnn[bench]), an epoch's parts on a real data set, compilation,
    memory, and one worker beside one per core. Ten minutes or so; leave the machine alone.
    """
    from fdrnn.studies.cli.bench import run_benchmark

    run_benchmark(data, data_dir, rounds, quick, variants, as_json)


@app.command()
def dashboard(
    host: Annotated[str, typer.Option(help="Address to serve on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to serve on.")] = 8080,
    storage: Storage = None,
) -> None:
    """Serve optuna-dashboard on the store: live curves in a web browser.

    It has no authentication, and whoever reaches it can change studies, unless the store's role or
    file may only be read: it serves this machine alone unless --host says otherwise.
    """
    from fdrnn.studies.cli.dashboard import serve

    serve(host, port, storage)


@study_app.command("create")
def study_create(
    study: StudySource,
    trials: Trials = None,
    epochs: Epochs = None,
    name: Name = None,
    storage: Storage = None,
    data_dir: DataDir = None,
) -> None:
    """Draw a study's configurations and keep them in the store, for workers to train.

    The same study again changes nothing; more --trials extend it; any other difference is
    refused.
    """
    from fdrnn.studies.cli.training import Request, create

    create(Request(study, trials, epochs, name, storage, data_dir))


@study_app.command("status")
def study_status(
    study: Annotated[
        str | None,
        typer.Argument(
            metavar="STUDY", help="A study of the store; all without.", show_default=False
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
    from fdrnn.studies.cli.status import show_status

    raise typer.Exit(show_status(study, storage, watched=watch, every_s=every, as_json=as_json))


@study_app.command("retry")
def study_retry(study: StoredStudy, storage: Storage = None) -> None:
    """Let the failed trials of a study wait again, from their last checkpoints."""
    from fdrnn.studies.cli.status import retry_failed

    retry_failed(study, storage)


@study_app.command("list")
def study_list(storage: Storage = None) -> None:
    """List the project's own study definitions and the studies of the store."""
    from fdrnn.studies.cli.status import list_studies

    list_studies(storage)


@study_app.command("export")
def study_export(
    study: StoredStudy,
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE",
            help="The file; without it STUDY.fdrnn.zip in the working directory. An earlier export "
            "is replaced.",
            show_default=False,
        ),
    ] = None,
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
    """Write a study, finished or not, into one file that any store can import.

    Workers may go on meanwhile. The file is a zip archive of JSON lines and NumPy arrays; the
    same study gives the same bytes.

    For example:

        fdrnn study export jsb

        fdrnn study export jsb results/jsb.fdrnn.zip --weights
    """
    from fdrnn.studies.cli.portable import export_one

    export_one(study, file, weights, checkpoints, storage)


@study_app.command("import")
def study_import(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="Files of exported studies.", show_default=False),
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
    """
    from fdrnn.studies.cli.portable import import_files

    import_files(files, name, storage)


@store_app.command("migrate")
def store_migrate(storage: Storage = None) -> None:
    """Bring the store's tables to the version that this fdrnn reads.

    Studies keep everything and go on. It is one transaction, refused while workers hold trials.
    An earlier fdrnn cannot read the store afterwards: copy the file, or dump the database, first.
    """
    from fdrnn.studies.cli.migrating import migrate_store

    migrate_store(storage)


@data_app.command("list")
def data_list(data_dir: DataDir = None) -> None:
    """List the known data sets and where each would come from now."""
    from fdrnn.studies.cli.data import list_data

    list_data(data_dir)


@data_app.command("fetch")
def data_fetch(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME...", help="Known data sets.", show_default=False),
    ],
) -> None:
    """Download data sets into the cache; their checksums are verified.

    For example:

        fdrnn data fetch jsb

        fdrnn data fetch jsb nottingham musedata piano
    """
    from fdrnn.studies.cli.data import fetch_data

    fetch_data(names)


@data_app.command("show")
def data_show(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A known data set, or the path of a .npz, .mat or .pickle file.",
            show_default=False,
        ),
    ],
    png: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw a sequence as a piano-roll.", show_default=False),
    ] = None,
    split: Annotated[str, typer.Option(help="train, valid or test: where --png looks.")] = "train",
    sequence: Annotated[
        int, typer.Option(metavar="I", help="Index (from 0) of the sequence that --png draws.")
    ] = 0,
    data_dir: DataDir = None,
) -> None:
    """Print a data set's statistics; draw one of its sequences.

    For example:

        fdrnn data show bach

        fdrnn data show bach --png roll.png --split test --sequence 3
    """
    from fdrnn.studies.cli.data import show_data

    show_data(data, png, split, sequence, data_dir)
