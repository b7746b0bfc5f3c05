"""``fdrnn bench``: time training, an epoch, the store, compilation and workers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from fdrnn.datasets import Dataset, load
from fdrnn.model import DEFAULT_OUTPUT, require_kind
from fdrnn.model.timing.epoch import EpochTimes, time_epoch
from fdrnn.model.timing.processes import CompileTimes, TrialCost, run_trials, time_compilation
from fdrnn.model.timing.rounds import Timing
from fdrnn.model.timing.step import start
from fdrnn.model.timing.steps import StepTimes, VariantTimes, time_step, time_variants
from fdrnn.search.machine import describe_machine, limit_threads, usable_cores
from fdrnn.search.work.timing import StoreCost, time_store
from fdrnn.studies.cli.options import DataDir, commands, number, on_command_line, option
from fdrnn.studies.cli.tables import print_table
from fdrnn.studies.errors import OptionError

_BATCH_SIZE = 27
_LARGEST = 600
_STORE_EPOCHS = 30
_TRIAL_EPOCHS = 5
_THROUGHPUT_ROUNDS = 3


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Trials per hour of one worker and of one worker per core.

    Attributes
    ----------
    n_workers
        Their number.
    one, all
        Trials per hour, medians over the rounds.
    """

    n_workers: int
    one: float
    all: float

    @property
    def ratio(self) -> float:
        """Trials per hour of all workers, divided by those of one."""
        return self.all / self.one


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """Everything measured; parts that need processes of their own are None with ``--quick``."""

    machine: str
    data: str
    steps: list[StepTimes]
    epochs: list[EpochTimes]
    store: StoreCost
    compilation: CompileTimes | None
    trial: TrialCost | None
    throughput: Throughput | None


@dataclass(frozen=True, kw_only=True)
class VariantBenchmark:
    """Everything measured with ``--variants``."""

    machine: str
    variants: list[VariantTimes]


app = commands()


@app.command()
def bench(
    context: typer.Context,
    data: Annotated[
        str,
        option(default="jsb", metavar="DATA", help="Data set of the epochs: a name or a path."),
    ],
    rounds: Annotated[int, number(least=1, default=7, help="Interleaved rounds.")],
    quick: Annotated[
        bool, option("--quick", default=False, help="Only the smallest network, as a test.")
    ],
    variants: Annotated[
        bool,
        option("--variants", default=False, help="Only the training step of every variant."),
    ],
    as_json: Annotated[bool, option("--json", default=False, help="Print JSON.")],
    data_dir: DataDir,
) -> None:
    """Time training beside the matrix products that it consists of.

    One thread, interleaved rounds, medians: training steps beside their products alone (and
    beside PyTorch with the extra fdrnn[bench]), the parts of an epoch on a real data set,
    compilation, memory, and one worker beside one per core. Takes about ten minutes; use the
    machine for nothing else.
    """
    if variants and on_command_line(context, "data", "data_dir"):
        raise OptionError("--variants times steps on made-up data: leave out --data and --data-dir")
    limit_threads(1)
    if variants:
        _run_variants(rounds, quick, as_json)
        return
    dataset = load(data, data_dir, progress=sys.stderr.isatty())
    # Before anything is timed: the networks have the default output.
    require_kind(DEFAULT_OUTPUT, dataset.kind, data)
    result = _measure(dataset, data, data_dir, rounds, quick)
    if as_json:
        typer.echo(json.dumps(_plain(result), indent=2))
    else:
        _print(result)


def _run_variants(n_rounds: int, quick: bool, as_json: bool) -> None:
    sizes = ((9, 200),) if quick else ((9, 200), (_BATCH_SIZE, 400), (100, 400))
    result = VariantBenchmark(
        machine=describe_machine(),
        variants=[
            times
            for batch_size, n_hidden in sizes
            for times in _timed(
                f"variants, B = {batch_size}, H = {n_hidden}",
                time_variants,
                batch_size,
                n_hidden,
                n_rounds,
            )
        ],
    )
    if as_json:
        typer.echo(json.dumps(asdict(result), indent=2))
    else:
        _print_variants(result)


def _measure(
    dataset: Dataset, data: str, data_dir: Path | None, n_rounds: int, quick: bool
) -> Benchmark:
    sizes = (200,) if quick else (200, 400, _LARGEST)
    steps = [
        _timed(f"step, B = {batch_size}, H = {n_hidden}", time_step, batch_size, n_hidden, n_rounds)
        for batch_size in ((9,) if quick else (9, _BATCH_SIZE, 100))
        for n_hidden in sizes
    ]
    epochs = [
        _timed(f"epoch, H = {n_hidden}", time_epoch, dataset, n_hidden, _BATCH_SIZE, n_rounds)
        for n_hidden in sizes
    ]
    hyperparameters, _ = start(sizes[0] if quick else 400, dataset.n_features)
    n_epochs = 3 if quick else _STORE_EPOCHS
    store = _timed("store", time_store, dataset, hyperparameters, n_epochs)
    compilation = trial = throughput = None
    if not quick:
        compilation = _timed("compilation", time_compilation)
        (trial,) = _timed("memory", run_trials, 1, data, data_dir, _LARGEST, 1)
        throughput = _timed("workers", _throughput, data, data_dir)
    return Benchmark(
        machine=describe_machine(),
        data=dataset.title,
        steps=steps,
        epochs=epochs,
        store=store,
        compilation=compilation,
        trial=trial,
        throughput=throughput,
    )


def _timed(what: str, measure: Callable[..., Any], *arguments: object) -> Any:
    typer.echo(f"measuring: {what}", err=True)
    return measure(*arguments)


def _throughput(data: str, data_dir: Path | None) -> Throughput:
    n_workers = usable_cores()
    per_hour: dict[int, list[float]] = {1: [], n_workers: []}
    for _ in range(_THROUGHPUT_ROUNDS):
        for n_processes, rates in per_hour.items():
            costs = run_trials(n_processes, data, data_dir, 400, _TRIAL_EPOCHS)
            rates.append(sum(3600 / cost.seconds for cost in costs))
    medians = {n: sorted(rates)[len(rates) // 2] for n, rates in per_hour.items()}
    return Throughput(n_workers=n_workers, one=medians[1], all=medians[n_workers])


def _plain(result: Benchmark) -> dict[str, Any]:
    plain = asdict(result)
    plain["store"]["ratio"] = result.store.ratio
    if result.throughput is not None:
        plain["throughput"]["ratio"] = result.throughput.ratio
    return plain


def _ms(timing: Timing | None) -> str:
    if timing is None:
        return "-"
    return f"{timing.median_s * 1e3:.1f} ({timing.least_s * 1e3:.1f}-{timing.most_s * 1e3:.1f})"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _print(result: Benchmark) -> None:
    typer.echo(f"{result.machine}\n")
    typer.echo("Training step, T = 100, 88 in and out; ms, median (least-most)")
    print_table(
        (
            "B",
            "H",
            "OpenBLAS alone",
            "kernel alone",
            "step",
            "step/OpenBLAS",
            "step/kernel",
            "share of peak",
            "PyTorch eager",
            "eager/step",
            "torch.compile",
            "compiled/step",
        ),
        [
            (
                str(step.batch_size),
                str(step.n_hidden),
                _ms(step.products),
                _ms(step.kernel),
                _ms(step.step),
                _ratio(step.floor_ratio),
                _ratio(step.kernel_ratio),
                _ratio(step.peak_share),
                _ms(step.eager),
                _ratio(step.eager_ratio),
                _ms(step.compiled),
                _ratio(step.compiled_ratio),
            )
            for step in result.steps
        ],
        n_text=2,
    )
    typer.echo(f"\nEpoch of {result.data}, B = {_BATCH_SIZE}; ms, median (least-most)")
    print_table(
        ("H", "training", "every row", "training/every row", "validation", "test set",
         "test/training", "spectral radii", "radii/passes"),
        [
            (
                str(epoch.n_hidden),
                _ms(epoch.training),
                _ms(epoch.training_unshared),
                _ratio(epoch.sharing_ratio),
                _ms(epoch.validation),
                _ms(epoch.test),
                _ratio(epoch.test_ratio),
                _ms(epoch.spectral_radii),
                _ratio(epoch.bookkeeping_ratio),
            )
            for epoch in result.epochs
        ],
        n_text=1,
    )  # fmt: skip
    typer.echo("")
    for line in _single_figures(result):
        typer.echo(line)


def _print_variants(result: VariantBenchmark) -> None:
    typer.echo(f"{result.machine}\n")
    typer.echo("Training step, T = 100, 88 in and out, beside the variant's own matrix products;")
    typer.echo("medians in ms. ratio: step / products. beside FD: ratio / fast dropout's ratio")
    print_table(
        ("B", "H", "variant", "products", "step", "ratio", "beside FD"),
        [
            (
                str(times.batch_size),
                str(times.n_hidden),
                times.variant,
                f"{times.products.median_s * 1e3:.1f}",
                f"{times.step.median_s * 1e3:.1f}",
                _ratio(times.floor_ratio),
                _ratio(times.to_reference),
            )
            for times in result.variants
        ],
        n_text=3,
    )


def _single_figures(result: Benchmark) -> Sequence[str]:
    lines = [f"store beside the epochs of a trial: {result.store.ratio:.3f}"]
    if result.compilation is not None:
        times = result.compilation
        lines.append(f"compilation: cold {times.cold_s:.1f} s, warm {times.warm_s:.1f} s")
    if result.trial is not None:
        lines.append(
            f"peak memory of a trial, H = {_LARGEST}: {result.trial.peak_bytes / 1e9:.2f} GB"
        )
    if result.throughput is not None:
        throughput = result.throughput
        lines.append(
            f"trials of {_TRIAL_EPOCHS} epochs per hour, H = 400: 1 worker {throughput.one:.0f}, "
            f"{throughput.n_workers} workers {throughput.all:.0f}, ratio "
            f"{throughput.ratio:.2f}"
        )
    return lines
