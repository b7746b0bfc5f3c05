"""The report of some studies: what it shows of all together, and of each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace

from fdrnn.reports.artefacts import Artefact, Figure, Report, Section
from fdrnn.reports.figures import (
    best_of_k,
    by_variant,
    cost,
    decomposition,
    figure1,
    figure2,
    gap,
    importances,
    learning,
    samples,
    values,
)
from fdrnn.reports.missing import missing
from fdrnn.reports.numbers.evidence import Evidence
from fdrnn.reports.numbers.exploration import exploration
from fdrnn.reports.numbers.findings import Findings
from fdrnn.reports.numbers.table1 import Row, table1
from fdrnn.reports.numbers.text import plural
from fdrnn.reports.tables import claims, columns, comparison, costs, literature, table3
from fdrnn.reports.tables import table1 as table1_tables
from fdrnn.reports.tables.table2 import table2


def build(findings: Findings, *, figures: bool = True, of_exports: bool = False) -> Report:
    """Build the report of some studies.

    Parameters
    ----------
    findings
        Their evidence; Figure 1 is computed from the model's moments.
    figures
        Whether the report has figures, or only tables and attachments.
    of_exports
        Whether the studies come from exports, for which no command is advised.
    """
    hindrance = figure1.hindrance() if figures else ""
    studies = list(findings.studies.values())
    return Report(
        title=f"Report on {plural(len(studies), 'study', 'studies')}",
        used=tuple(_used(findings.rows)),
        rules=table1_tables.RULES,
        missing=tuple(missing(findings, hindrance, of_exports=of_exports)),
        overview=tuple(_overview(findings, figures=figures, figure1_too=not hindrance)),
        studies=tuple(_study(findings, row, figures=figures) for row in findings.rows),
        exploration=exploration(studies),
    )


def _overview(findings: Findings, *, figures: bool, figure1_too: bool) -> Iterator[Section]:
    studies = list(findings.studies.values())
    yield _section(
        "results",
        "Results",
        *table1_tables.tables(findings.rows),
        columns.table(findings.rows),
        literature.table() if findings.of_the_paper else None,
        costs.table(studies),
    )
    for one in findings.comparisons:
        yield _section(
            f"comparison-{one.name}",
            f"Comparison {one.name}",
            comparison.table(one),
            claims.table(one),
            by_variant.figure(one) if figures else None,
            comparison.draws_file(one),
            shown=list(one.members.values()),
        )
    selected = table3.tables(studies)
    if selected:
        yield _section("hyperparameters", "Hyperparameters", *selected)
    if not figures:
        return
    drawn = list(_figures2(findings))
    # Figure 1 says nothing of data.
    if findings.of_the_paper and figure1_too:
        drawn.append(figure1.figure())
    if drawn:
        title = "The paper's figures" if findings.of_the_paper else "The paper's Figure 2"
        yield _section("figures", title, *drawn)


def _section(
    anchor: str,
    title: str,
    *artefacts: Artefact | None,
    text: tuple[str, ...] = (),
    shown: Sequence[Evidence] = (),
) -> Section:
    """Return a section of those artefacts that there are; its figures show some studies."""
    there = (one for one in artefacts if one is not None)
    based = (_based(one, shown) if isinstance(one, Figure) and shown else one for one in there)
    return Section(anchor=anchor, title=title, text=text, artefacts=tuple(based))


def _based(figure: Figure, studies: Sequence[Evidence]) -> Figure:
    """Return a figure that is kept for the next report, if its studies will not change."""
    if not all(one.trials_ended for one in studies):
        return figure
    digest = hashlib.sha256(" ".join(one.digest for one in studies).encode())
    return replace(figure, basis=digest.hexdigest())


def _figures2(findings: Findings) -> Iterator[Artefact]:
    # Of several plain counterparts, one that records is paired with a study that does.
    rows = table1(one for one in findings.studies.values() if one.records_test_nll)
    paired = {row.plain_study for row in rows}
    for row in rows:
        if row.study in paired:
            continue
        pair = [findings.studies[name] for name in (row.study, row.plain_study) if name]
        drawn = figure2.figure(f"figure2-{row.study}", row.title, pair)
        if drawn is not None:
            yield _based(drawn, pair)


def _study(findings: Findings, row: Row, *, figures: bool) -> Section:
    evidence = findings.studies[row.study]
    plain = findings.studies.get(row.plain_study or "")
    other_plan = findings.other_plan(evidence)
    note = f"{row.note[:1].upper()}{row.note[1:]}."
    kept = evidence.samples
    return _section(
        f"study-{row.study}",
        f"{row.study}: {row.network} on {row.title}",
        table2(evidence),
        *(_figures(evidence, plain, other_plan) if figures else []),
        *(
            samples.artefacts(row.study, kept, evidence.data, row.output)
            if kept and figures
            else []
        ),
        text=(_setting(row), *([note] if row.note else [])),
        shown=[one for one in (evidence, plain, other_plan) if one is not None],
    )


def _figures(
    evidence: Evidence, plain: Evidence | None, other_plan: Evidence | None
) -> Iterator[Artefact | None]:
    if not evidence.curves.empty:
        yield learning.learning_curves(evidence)
        yield learning.radius_curves(evidence)
        yield gap.figure(evidence)
        yield from decomposition.figures(evidence)
    # Where nothing is drawn, neither the number of draws nor a hyperparameter's value matters.
    if not evidence.space.fixed:
        yield best_of_k.figure(evidence, plain, other_plan)
        yield values.figure(evidence)
        yield importances.figure(evidence)
    yield cost.figure(evidence)


def _used(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a line per study, and first what all of several have in common."""
    described = [
        (
            f"space {row.space}",
            f"seed {row.seed}",
            f"padding {row.padding}",
            f"fdrnn {row.code_version}",
        )
        for row in rows
    ]
    common = set.intersection(*map(set, described)) if len(rows) > 1 else set()
    if common:
        yield f"All studies: {', '.join(one for one in described[0] if one in common)}"
    for row, parts in zip(rows, described, strict=True):
        own = (one for one in parts if one not in common)
        trials = f"{row.trials_finished} of {row.trials_planned} trials finished{_pruned(row)}"
        yield f"{row.study}: {', '.join((trials, *own))}"


def _pruned(row: Row) -> str:
    return f", {row.trials_pruned} pruned" if row.trials_pruned else ""


def _setting(row: Row) -> str:
    """Return the section's first sentences: what its numbers are based on."""
    return (
        f"Space {row.space}, seed {row.seed}; {row.training}; padding {row.padding} in training "
        f"and validation; fdrnn {row.code_version}. {row.trials_finished} of {row.trials_planned} "
        f"trials finished, {row.trials_diverged} of them diverged{_pruned(row)}."
    )
