"""A report of a store: what it says of all studies together, and of each.

Every study is read once, so that all that a report says of it is of one moment, however much
workers write meanwhile. Curves alone are read when they are drawn, one study's at a time, and cut
to the epochs of that moment; nothing of them is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

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
    values,
)
from fdrnn.reports.figures.samples import music
from fdrnn.reports.missing import missing
from fdrnn.reports.numbers import comparison
from fdrnn.reports.numbers import paper_claims as claims
from fdrnn.reports.numbers.evidence import Evidence, read, read_curves
from fdrnn.reports.numbers.names import is_fixed
from fdrnn.reports.numbers.table1 import Row, arranged, row, study_names
from fdrnn.reports.tables import costs, nll_tables, table3
from fdrnn.reports.tables.table2 import table2
from fdrnn.search import SPACES, Store
from fdrnn.search.store.frames import samples


@dataclass(frozen=True, eq=False)
class Overview:
    """What a report knows of all its studies at once, in reading order.

    Attributes
    ----------
    evidence
        The studies by name, as they were when the report was begun.
    rows, columns
        Of Table 1 and Table 3.
    recording
        Studies that record the test NLL of every epoch.
    silent
        Studies whose selected trial has no music in the store.
    """

    evidence: Mapping[str, Evidence]
    rows: list[Row]
    columns: list[table3.Column]
    recording: frozenset[str]
    silent: tuple[str, ...]


def overview(store: Store, studies: Sequence[str] = ()) -> Overview:
    """Read every study once, without its curves.

    Parameters
    ----------
    store
        The store.
    studies
        Names of the studies; all of the store if there are none.

    Raises
    ------
    NothingToReportError
        If the store holds no study.
    UnknownNameError
        If it lacks one of `studies`.
    """
    known, rows, columns, recording, silent = {}, [], {}, set(), set()
    for name in study_names(store, studies):
        known[name] = evidence = read(store, name)
        rows.append(row(evidence))
        columns[name] = table3.column(evidence)
        if "test_nll" in evidence.definition.training.record:
            recording.add(name)
        if evidence.selected is not None and samples(store, name, evidence.selected) is None:
            silent.add(name)
    rows = arranged(rows)
    in_order = [columns[one.study] for one in rows]
    return Overview(
        evidence=known,
        rows=rows,
        columns=[one for one in in_order if one is not None],
        recording=frozenset(recording),
        silent=tuple(one.study for one in rows if one.study in silent),
    )


def build(store: Store, studies: Sequence[str] = (), *, of_exports: bool = False) -> Report:
    """Build the report of a store.

    Parameters
    ----------
    store
        The store; with the model's moments for Figure 1 all that is read.
    studies
        Names of the studies; all of the store if there are none.
    of_exports
        Whether the store holds imported exports, for which no command is advised.

    Raises
    ------
    NothingToReportError, UnknownNameError
        As `overview`.
    """
    known = overview(store, studies)
    names = tuple(one.study for one in known.rows)
    hindrance = figure1.hindrance()
    lacking = missing(known.rows, known.recording, known.silent, hindrance, of_exports=of_exports)
    return Report(
        title=f"Report on {len(names)} {'study' if len(names) == 1 else 'studies'}",
        used=tuple(f"{one.study}: {_used(one)}" for one in known.rows),
        rules=nll_tables.RULES,
        missing=tuple(lacking),
        overview=tuple(_overview_sections(store, known, hindrance)),
        studies=lambda: (study_section(store, known, one) for one in known.rows),
        study_names=names,
    )


def _overview_sections(store: Store, known: Overview, hindrance: str) -> Iterator[Section]:
    in_order = [known.evidence[one.study] for one in known.rows]
    yield Section(
        anchor="results",
        title="Results",
        artefacts=(*nll_tables.tables(known.rows), costs.table(in_order)),
    )
    yield from _comparison_sections(store, known)
    if known.columns:
        yield Section(
            anchor="hyperparameters",
            title="Hyperparameters",
            artefacts=tuple(table3.tables(known.columns)),
        )
    drawn = [*_figures2(store, known), *([] if hindrance else [figure1.figure()])]
    if drawn:
        yield Section(anchor="figures", title="The paper's figures", artefacts=tuple(drawn))


def _comparison_sections(store: Store, known: Overview) -> Iterator[Section]:
    for one in comparison.comparisons(store, known.evidence.values()):
        artefacts = (
            comparison.table(one),
            claims.table(one),
            by_variant.figure(one),
            comparison.draws(one),
        )
        yield Section(
            anchor=f"comparison-{one.name}",
            title=f"Comparison {one.name}",
            artefacts=tuple(artefact for artefact in artefacts if artefact is not None),
        )


def _figures2(store: Store, known: Overview) -> Iterator[Artefact]:
    # Of several plain counterparts, one that records stands beside a study that does.
    recording = arranged(one for one in known.rows if one.study in known.recording)
    by_name = {one.study: one for one in recording}
    paired = {one.plain_study for one in by_name.values()}
    for one in by_name.values():
        if one.study in paired:
            continue
        pair = [one.study, *([one.plain_study] if one.plain_study in by_name else [])]
        evidence = [known.evidence[name] for name in pair]
        courses = [figure2.course(study, read_curves(store, study)) for study in evidence]
        found = [course for course in courses if course is not None]
        if found:
            yield figure2.figure(f"figure2-{one.study}", one.title, found)


def study_section(store: Store, known: Overview, one: Row) -> Section:
    """Return the section of a study.

    Parameters
    ----------
    store
        The store, of which the curves and the music are read.
    known
        The report's studies.
    one
        The study's row.
    """
    evidence = known.evidence[one.study]
    table = read_curves(store, evidence)
    plain = known.evidence[one.plain_study] if one.plain_study else None
    artefacts: list[Artefact | None] = [table2(evidence)]
    if not table.empty:
        artefacts += [
            learning.learning_curves(evidence, table),
            learning.radius_curves(evidence, table),
            gap.figure(evidence, table),
            *decomposition.figures(evidence, table),
        ]
    # Where nothing is drawn, neither the number of draws nor a hyperparameter's value matters.
    if not is_fixed(SPACES[one.space]):
        artefacts += [
            best_of_k.figure(evidence, plain),
            values.figure(evidence),
            importances.figure(evidence),
        ]
    artefacts.append(cost.figure(evidence))
    if evidence.selected is not None and one.study not in known.silent:
        kept = samples(store, one.study, evidence.selected)
        artefacts += [] if kept is None else music(evidence, kept)
    return Section(
        anchor=f"study-{one.study}",
        title=f"{one.study}: {VARIANTS[one.variant].title} on {one.title}",
        text=(_basis(one), *([f"{one.note[0].upper()}{one.note[1:]}."] if one.note else [])),
        artefacts=tuple(artefact for artefact in artefacts if artefact is not None),
    )


def _used(one: Row) -> str:
    return (
        f"{one.trials_finished} of {one.trials_planned} trials finished, space {one.space}, seed "
        f"{one.seed}, padding {one.padding}, fdrnn {one.code_version}"
    )


def _basis(one: Row) -> str:
    """Say what the section's numbers rest on."""
    return (
        f"Space {one.space}, seed {one.seed}; {one.training}; padding {one.padding} in training "
        f"and validation; fdrnn {one.code_version}. {one.trials_finished} of {one.trials_planned} "
        f"trials finished, {one.trials_diverged} of them diverged."
    )
