"""``fdrnn study preview``: a study's space, draws and cost, or halving replayed on another."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from fdrnn.datasets import load
from fdrnn.reports.numbers.text import plural
from fdrnn.search import (
    Halving,
    Parameter,
    PortableStudy,
    StudyDefinition,
    draw,
    estimate_cost,
    lowest,
    replay,
)
from fdrnn.studies import catalogue
from fdrnn.studies.cli.tables import print_table
from fdrnn.studies.cli.units import duration
from fdrnn.studies.errors import OptionError

N_DRAWS = 10
_N_MEASURED = 3


def preview_study(study: str, data_dir: Path | None) -> None:
    """Print the space of a study, ten draws and an estimate of the cost on this machine."""
    definitions = catalogue.find_all(study)
    for definition in definitions:
        _print_space(definition)
        _print_draws(definition)
        _print_cost(definition, data_dir)


def preview_halving(
    path: Path, halving: Halving | None, first: int | None = None, keep: float = 0.5
) -> None:
    """Print what halving would have cost and selected on the study of a file.

    Parameters
    ----------
    path
        A file of an exported study whose trials were trained to their end.
    halving
        The rule; None for that of `first` and `keep`.
    first
        The first rung; None for a sixteenth of the study's epochs.
    keep
        Share of the trials that continue at each rung.
    """
    portable = PortableStudy.read(path)
    definition = portable.definition
    if definition.halving is not None:
        raise OptionError(f"{path}: its trials were pruned already; replay halving on a full study")
    max_epochs = definition.training.max_epochs
    first = first or max(max_epochs // 16, 1)
    if halving is None:
        rule = Halving.from_mapping({"first": first, "keep": keep}, max_epochs)
    elif (reached := halving.below(max_epochs)) is not None:
        rule = reached
    else:
        raise OptionError(
            f"the first rung, after epoch {halving.rungs[0]}, must be below the {max_epochs} "
            f"epochs of {path}; give --first and --keep instead of a study"
        )
    curves, seconds = portable.curves()
    if len(curves) < 2:
        raise OptionError(f"{path} must have at least 2 finished trials, got {len(curves)}")
    done = replay(rule, curves)
    lowest_nll = {index: lowest(curve) for index, curve in curves.items()}
    rungs = ", ".join(map(str, rule.rungs))
    typer.echo(
        f"study {portable.name}: {len(curves)} finished trials of at most {max_epochs} epochs"
    )
    typer.echo(f"rungs after epochs {rungs}; {rule.keep:g} of the trials continue at each")
    full = sum(map(len, curves.values())), sum(map(sum, seconds.values()))
    cut = (
        sum(done.n_epochs.values()),
        sum(sum(seconds[index][:n]) for index, n in done.n_epochs.items()),
    )
    rows = [
        _outcome("all trials to their end", *full, full, lowest_nll, tuple(curves)),
        _outcome("with halving", *cut, full, lowest_nll, done.continued),
    ]
    header = ("", "epochs", "worker time", "share of epochs", "selected trial", "validation NLL")
    print_table(header, rows, n_text=1)


def _outcome(
    title: str,
    n_epochs: int,
    worker_s: float,
    full: tuple[int, float],
    lowest_nll: dict[int, float],
    continued: tuple[int, ...],
) -> tuple[str, ...]:
    selected = min(continued, key=lambda index: (lowest_nll[index], index))
    return (
        f"{title} ({len(continued)} trained to the end)",
        str(n_epochs),
        duration(worker_s),
        f"{n_epochs / max(full[0], 1):.2f}",
        str(selected),
        f"{lowest_nll[selected]:.3f}",
    )


def _print_space(definition: StudyDefinition) -> None:
    typer.echo(
        f"Study {definition.name}: data {definition.data}, variant {definition.variant}, space "
        f"{definition.space.name}, {definition.n_trials} trials, seed {definition.seed}"
    )
    rows = [(one.name, *_described(one)) for one in definition.space.parameters]
    print_table(("parameter", "values", "only where"), rows)
    if definition.halving is not None:
        rungs = ", ".join(map(str, definition.halving.rungs))
        typer.echo(
            f"Halving: {definition.halving.keep:g} of the trials continue after epochs {rungs}"
        )
    if definition.repeats:
        typer.echo(f"Repeats of the selected configuration: {definition.repeats}")


def _described(parameter: Parameter) -> tuple[str, str]:
    when = parameter.when
    condition = "" if when is None else f"{when.parameter} = {_text(when.value)}"
    return str(parameter.distribution), condition


def _print_draws(definition: StudyDefinition) -> None:
    drawn = draw(definition.space, definition.seed, range(N_DRAWS))
    rows = [
        (name, *(_text(one.hyperparameters.get(name, "-")) for one in drawn))
        for name in definition.space.names
    ]
    print_table(("draw", *map(str, range(N_DRAWS))), rows, n_text=1)


def _print_cost(definition: StudyDefinition, data_dir: Path | None) -> None:
    dataset = load(definition.data, data_dir, progress=sys.stderr.isatty())
    definition.require_data(dataset.description)
    measured = min(_N_MEASURED, definition.n_trials)
    cost = estimate_cost(
        definition, dataset, draw(definition.space, definition.seed, range(measured))
    )
    typer.echo(
        f"On this machine an epoch trains {cost.epoch_s:.2g} s on average of "
        f"{plural(measured, 'draw')}; {cost.most_epochs:.0f} epochs in all, "
        f"{duration(cost.most_worker_s)} of one worker's time, "
        "unless trials end earlier by their patience"
    )


def _text(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
