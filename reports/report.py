"""The report of some studies: what it shows of all together, and of each."""

from __future__ import annotations

from collections.abc import Iterator

from fdrnn.model import VARIANTS
from fdrnn.reports.artefacts import Artefact, Report, Section
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
from fdrnn.reports.numbers.findings import Findings
from fdrnn.reports.numbers.table1 import Row, table1
from fdrnn.reports.tables import claims, comparison, costs, table3
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
    return Report(
        title=f"Report on {_count(len(findings.rows))}",
        used=tuple(f"{row.study}: {_used(row)}" for row in findings.rows),
        rules=table1_tables.RULES,
        missing=tuple(missing(findings, hindrance, of_exports=of_exports)),
        overview=tuple(_overview(findings, figures=figures, figure1_too=not hindrance)),
        studies=lambda: (_study(findings, row, figures=figures) for row in findings.rows),
        study_names=tuple(findings.studies),
    )


def _count(n_studies: int) -> str:
    return "1 study" if n_studies == 1 else f"{n_studies} studies"


def _overview(findings: Findings, *, figures: bool, figure1_too: bool) -> Iterator[Section]:
    studies = list(findings.studies.values())
    results = (*table1_tables.tables(findings.rows), costs.table(studies))
    yield Section(anchor="results", title="Results", artefacts=results)
    for one in findings.comparisons:
        yield _section(
            f"comparison-{one.name}",
            f"Comparison {one.name}",
            comparison.table(one),
            claims.table(one),
            by_variant.figure(one) if figures else None,
            comparison.draws_file(one),
        )
    selected = table3.tables(studies)
    if selected:
        yield _section("hyperparameters", "Hyperparameters", *selected)
    if not figures:
        return
    drawn = [*_figures2(findings), *([figure1.figure()] if figure1_too else [])]
    if drawn:
        yield _section("figures", "The paper's figures", *drawn)


def _section(
    anchor: str, title: str, *artefacts: Artefact | None, text: tuple[str, ...] = ()
) -> Section:
    """Return a section of those artefacts that there are."""
    shown = tuple(one for one in artefacts if one is not None)
    return Section(anchor=anchor, title=title, text=text, artefacts=shown)


def _figures2(findings: Findings) -> Iterator[Artefact]:
    # Of several plain counterparts, one that records is paired with a study that does.
    rows = table1(one for one in findings.studies.values() if one.records_test_nll)
    paired = {row.plain_study for row in rows}
    for row in rows:
        if row.study in paired:
            continue
        pair = [row.study, *([row.plain_study] if row.plain_study else [])]
        drawn = figure2.figure(
            f"figure2-{row.study}", row.title, [findings.studies[name] for name in pair]
        )
        if drawn is not None:
            yield drawn


def _study(findings: Findings, row: Row, *, figures: bool) -> Section:
    evidence = findings.studies[row.study]
    plain = findings.studies.get(row.plain_study or "")
    note = f"{row.note[:1].upper()}{row.note[1:]}."
    kept = evidence.samples
    return _section(
        f"study-{row.study}",
        f"{row.study}: {VARIANTS[row.variant].title} on {row.title}",
        table2(evidence),
        *(_figures(evidence, plain) if figures else []),
        *(samples.artefacts(evidence.name, kept, evidence.data) if kept and figures else []),
        text=(_basis(row), *([note] if row.note else [])),
    )


def _figures(evidence: Evidence, plain: Evidence | None) -> Iterator[Artefact | None]:
    if not evidence.curves.empty:
        yield learning.learning_curves(evidence)
        yield learning.radius_curves(evidence)
        yield gap.figure(evidence)
        yield from decomposition.figures(evidence)
    # Where nothing is drawn, neither the number of draws nor a hyperparameter's value matters.
    if not evidence.space.fixed:
        yield best_of_k.figure(evidence, plain)
        yield values.figure(evidence)
        yield importances.figure(evidence)
    yield cost.figure(evidence)


def _used(row: Row) -> str:
    return (
        f"{row.trials_finished} of {row.trials_planned} trials finished{_pruned(row)}, space "
        f"{row.space}, seed {row.seed}, padding {row.padding}, fdrnn {row.code_version}"
    )


def _pruned(row: Row) -> str:
    return f", {row.trials_pruned} pruned" if row.trials_pruned else ""


def _basis(row: Row) -> str:
    """Return the section's first sentences: what its numbers are based on."""
    return (
        f"Space {row.space}, seed {row.seed}; {row.training}; padding {row.padding} in training "
        f"and validation; fdrnn {row.code_version}. {row.trials_finished} of {row.trials_planned} "
        f"trials finished, {row.trials_diverged} of them diverged{_pruned(row)}."
    )
