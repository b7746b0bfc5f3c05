"""Commands that look at what was trained, or at the machine."""
# ruff: noqa: PLC0415 - as in `fdrnn.studies.cli.app`

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fdrnn.studies.cli.interrupts import remembered_interrupts
from fdrnn.studies.cli.options import (
    DEFAULT_OUTPUT,
    DataDir,
    Output,
    Storage,
    StoredStudy,
    Trial,
    on_command_line,
    require_watch,
)
from fdrnn.studies.errors import OptionError

app = typer.Typer()


@app.command()
def report(
    context: typer.Context,
    studies: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="STUDY", help="Studies of the store; all without any.", show_default=False
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
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Print Table 1 and comparisons; write a page, tables and figures.

    The folder gets report.html, which needs no network; tables as CSV, Markdown and LaTeX;
    figures as SVG and PDF. Studies that are not complete are reported as far as they are, and
    the report says what is missing.

    For example:

        fdrnn report jsb jsb-plain

        fdrnn report --watch --every 60

        fdrnn report --from results --output jsb-report
    """
    # The environment may name a store all the same.
    if exports and on_command_line(context, "storage"):
        raise OptionError("--from reports exports in the place of a store's: leave out --storage")
    require_watch(context, watch)
    with remembered_interrupts():
        from fdrnn.studies.cli.reporting import report_studies

    with remembered_interrupts():
        report_studies(studies or [], storage, output, exports or [], watch, every)


@app.command()
def sample(
    study: StoredStudy,
    trial: Trial = None,
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
    output: Output = DEFAULT_OUTPUT,
) -> None:
    """Draw music from a stored model; show its predictions of a test sequence.

    Writes piano-rolls of an excerpt, of the model's one-step predictions of it and of a sample
    as PNG (lines of real values), and excerpt and sample as MIDI where they are notes. All three
    are kept in the store, in place of earlier ones of the trial, so that a report has them
    without weights and data.

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
    trial: Trial = None,
    storage: Storage = None,
    data_dir: DataDir = None,
    output: Output = DEFAULT_OUTPUT,
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
