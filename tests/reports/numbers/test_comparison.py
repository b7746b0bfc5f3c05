"""Comparisons: which studies belong together, and their table, by separate plain Python."""

from __future__ import annotations

import csv
import io
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

import drawn_figure
import pandas as pd
import pytest
from made_evidence import with_reads

from fdrnn.reports.document import latex
from fdrnn.reports.figures import by_variant
from fdrnn.reports.missing import missing
from fdrnn.reports.numbers import comparison
from fdrnn.reports.numbers.comparison import Comparison, comparisons
from fdrnn.reports.numbers.evidence import Evidence, read
from fdrnn.reports.numbers.findings import read_evidence
from fdrnn.reports.report import build
from fdrnn.reports.tables.comparison import draws_file
from fdrnn.reports.tables.comparison import table as comparison_table
from fdrnn.search import SPACES, PortableStudy, Store, create_study, open_store

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The golden studies twice: as a comparison, and as an ordinary study."""
    opened = open_store(str(tmp_path_factory.mktemp("compared") / "store.sqlite3"), create=True)
    for file, names in (
        ("golden-plain", ["both.plain", "alone.plain"]),
        ("golden-fd", ["both.fast_dropout", "golden-fd"]),
    ):
        for name in names:
            PortableStudy.read(GOLDEN / f"{file}.fdrnn.zip").insert(opened, name)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def both(store: Store) -> Comparison:
    (found,) = comparisons(map(read, store.studies()))
    return found


def test_a_comparison_is_of_two_variants_or_more_by_the_studies_names(both: Comparison) -> None:
    assert both.name == "both"
    assert list(both.members) == ["fast_dropout", "plain"]
    assert both.n_trials == 8
    assert not [note for note in comparison_table(both).notes if "limits" in note]
    assert {member.name for member in both.members.values()} == {
        "both.fast_dropout",
        "both.plain",
    }


def created(store: Store, fd: Evidence, changes: dict[str, dict[str, object]]) -> None:
    """Create studies with the golden one's definition but for some values, or its data's."""
    for name, changed in changes.items():
        training = replace(fd.definition.training, **changed.pop("training", {}))  # type: ignore[arg-type]
        data = replace(fd.data, fingerprint=changed.pop("fingerprint", "a" * 64))
        variant = name.rpartition(".")[2]
        space = SPACES["table2-plain" if variant == "plain" else "table2"]
        definition = replace(
            fd.definition, name=name, variant=variant, space=space, training=training, **changed
        )
        create_study(store, definition, data)


def test_names_alone_make_no_comparison(fd: Evidence, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store.sqlite3"), create=True)
    created(
        store,
        fd,
        {
            "mine.plain": {"data": "a.npz", "seed": 0},
            "mine.fast_dropout": {"data": "b.npz", "seed": 7, "fingerprint": "b" * 64},
            "alone.plain": {},
        },
    )
    findings = read_evidence(store)
    assert findings.comparisons == []
    lines = [line for line in missing(findings) if "compared" in line]
    assert lines == [
        "Not compared: mine.fast_dropout, mine.plain, whose data, seed, output or training "
        "settings are not those of the other studies of the comparison."
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"fingerprint": "b" * 64},
        {"seed": 7},
        {"training": {"batch_size": 3}},
        {"training": {"padding": "masked"}},
    ],
)
def test_a_study_that_differs_is_not_compared(
    fd: Evidence, tmp_path: Path, changed: dict[str, object]
) -> None:
    store = open_store(str(tmp_path / "store.sqlite3"), create=True)
    # The registry has it before the others.
    created(store, fd, {"mine.plain": {}, "mine.authors_cell": {}, "mine.fast_dropout": changed})
    findings = read_evidence(store)
    (found,) = findings.comparisons
    assert set(found.members) == {"authors_cell", "plain"}
    (line,) = (line for line in missing(findings) if "compared" in line)
    assert line.startswith("Not compared: mine.fast_dropout, whose ")


def test_an_extension_and_a_record_of_one_study_leave_it_compared(
    fd: Evidence, tmp_path: Path
) -> None:
    store = open_store(str(tmp_path / "store.sqlite3"), create=True)
    more = {"max_epochs": 400, "patience": 50, "record": ()}
    created(store, fd, {"mine.plain": {}, "mine.fast_dropout": {"training": more}})
    findings = read_evidence(store)
    (found,) = findings.comparisons
    assert not [line for line in missing(findings) if "compared" in line]
    usual = fd.definition.training
    limits = (
        "The limits on training differ: 400 epochs and patience 50 of FD-RNN; "
        f"{usual.max_epochs} epochs and patience {usual.patience} of plain RNN."
    )
    assert limits in comparison_table(found).notes


def test_its_name_means_its_studies(store: Store) -> None:
    names = set(read_evidence(store, ["golden-fd", "both"]).studies)
    assert names == {"golden-fd", "both.fast_dropout", "both.plain"}


def test_the_numbers_of_the_selected_trial(store: Store, both: Comparison) -> None:
    table = comparison.frame(both).set_index("variant")
    for variant, row in table.iterrows():
        name = f"both.{variant}"
        index = store.study(name).selected
        best = store.study(name).trials().set_index("config_index").loc[index]
        epochs = store.study(name).curves().to_dict("records")
        own = [one for one in epochs if one["config_index"] == index]
        at_best = own[int(best["best_epoch"]) - 1]
        assert at_best["epoch"] == best["best_epoch"]
        assert row["selected_trial"] == index
        assert row["test_nll_pooled"] == best["test_nll_pooled"]
        assert row["test_nll_pooled_low"] < best["test_nll_pooled"] < row["test_nll_pooled_high"]
        assert row["gap"] == pytest.approx(at_best["valid_nll_counted"] - at_best["train_nll"])
        assert row["spectral_radius_best"] == at_best["spectral_radius"]
        assert row["spectral_radius_end"] == own[-1]["spectral_radius"]
        assert row["seconds_per_epoch"] == median(one["seconds"] for one in epochs)
        assert row["trials_finished"] == 8
    assert table["trials_diverged"].sum() > 0


def test_what_a_study_records_besides_is_no_time_of_an_epoch(both: Comparison) -> None:
    member = both.members["plain"]
    recording = with_reads(member, curves=member.curves.assign(recording_seconds=0.125))
    seconds = [
        comparison.frame(Comparison("one", {"plain": one}))["seconds_per_epoch"].iloc[0]
        for one in (member, recording)
    ]
    assert seconds[1] == pytest.approx(seconds[0] - 0.125)


def test_pairs_are_of_trials_that_did_not_diverge_after_the_last_epoch_of_both(
    store: Store, both: Comparison
) -> None:
    names = [f"both.{variant}" for variant in both.members]
    ends = []
    for name in names:
        table = store.study(name).trials()
        lasting = table["config_index"][~table["diverged"]].tolist()
        epochs = store.study(name).curves().to_dict("records")
        ends.append(
            {
                k: {e["epoch"]: e["spectral_radius"] for e in epochs if e["config_index"] == k}
                for k in lasting
            }
        )
    expected = []
    for k in sorted(set(ends[0]) & set(ends[1])):
        last = max(set(ends[0][k]) & set(ends[1][k]))
        expected.append((k, last, ends[0][k][last], ends[1][k][last]))
    paired = both.beside_plain("fast_dropout", "spectral_radius")
    assert list(paired.itertuples(index=False, name=None)) == expected
    assert len(expected) < 8


def test_trials_that_cannot_be_compared_have_a_reason(both: Comparison) -> None:
    plain = both.members["plain"]
    # One of which a variant has fewer draws than the other.
    waiting = plain.trials.iloc[:-1].assign(
        state=lambda table: table["state"].where(table["config_index"] > 0, "waiting")
    )
    members = {**both.members, "plain": with_reads(plain, waiting)}
    reasons = Comparison("both", members).incomplete(members)
    assert reasons["plain"].to_dict() == {
        **{k: "diverged" if one else "" for k, one in enumerate(plain.trials["diverged"])},
        **{0: "not finished", 7: "not finished"},
    }
    diverged = both.members["fast_dropout"].trials["diverged"].tolist()
    assert reasons["fast_dropout"].tolist() == ["diverged" if one else "" for one in diverged]
    assert any(diverged)


def test_the_numbers_of_every_draw(store: Store, both: Comparison) -> None:
    rows = list(csv.DictReader(io.StringIO(draws_file(both).content.decode())))
    assert len(rows) == 16
    for row in rows:
        name, index = f"both.{row['variant']}", int(row["config_index"])
        trial = store.study(name).trials().iloc[index]
        own = store.study(name).curves().query("config_index == @index")
        assert row["test_nll_pooled"] == f"{trial['test_nll_pooled']:.10g}"
        assert row["n_epochs"] == str(len(own))
        assert row["spectral_radius"] == f"{own['spectral_radius'].iloc[-1]:.10g}"
        assert row["spectral_radius_highest"] == f"{own['spectral_radius'].max():.10g}"


def test_a_variant_without_an_epoch_is_reported_without_a_warning(
    fd: Evidence, tmp_path: Path
) -> None:
    store = open_store(str(tmp_path / "store.sqlite3"), create=True)
    PortableStudy.read(GOLDEN / "golden-plain.fdrnn.zip").insert(store, "both.plain")
    create_study(store, replace(fd.definition, name="both.fast_dropout"), fd.data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        findings = read_evidence(store)
        report = build(findings)
        (compared,) = findings.comparisons
        rows = list(csv.DictReader(io.StringIO(draws_file(compared).content.decode())))
    assert "both-draws.csv" in [one.name for part in report.overview for one in part.artefacts]
    radii = {row["spectral_radius"] for row in rows if row["variant"] == "fast_dropout"}
    assert radii == {""}
    lasting = {row["spectral_radius"] for row in rows if row["variant"] == "plain"}
    assert "" not in lasting


def test_the_figure_shows_every_trial_that_lasted(both: Comparison) -> None:
    table = by_variant.dots(both)
    assert len(table) == sum(
        m.complete_curves["config_index"].nunique() for m in both.members.values()
    )
    assert table["selected"].sum() == 2
    figure = by_variant.figure(both)
    assert figure is not None
    drawn = figure.draw()
    nll, radius = drawn.axes
    shown = sum(len(line.get_xdata()) for line in radius.get_lines())  # type: ignore[arg-type]
    assert shown == len(table)
    assert max(max(line.get_xdata()) for line in nll.get_lines()) <= nll.get_xlim()[1]  # type: ignore[arg-type]


def with_test_nll(both: Comparison, change: Callable[[pd.Series], pd.Series]) -> Comparison:
    members = {}
    for variant, member in both.members.items():
        table = member.trials
        table = table.assign(test_nll_pooled=change(table["test_nll_pooled"]))
        members[variant] = with_reads(member, table)
    return replace(both, members=members)


def test_the_figure_has_room_for_a_nll_below_zero(both: Comparison) -> None:
    """The NLL of densities may be negative."""
    shifted = with_test_nll(both, lambda nll: nll - 12.0)
    figure = by_variant.figure(shifted)
    assert figure is not None
    nll, _ = figure.draw().axes
    drawn = [value for line in nll.get_lines() for value in line.get_xdata()]
    table = by_variant.dots(shifted)
    within = table["test_nll"][table["test_nll"] < nll.get_xlim()[1]]
    assert min(drawn) == pytest.approx(table["test_nll"].min())
    assert len(set(drawn)) >= within.nunique() > 1


@pytest.mark.parametrize("unknown", [math.inf, math.nan])
def test_a_test_nll_that_is_not_finite_has_no_dot(both: Comparison, unknown: float) -> None:
    """Whole test sequences may overflow where chunks of them do not."""
    table = by_variant.dots(both)
    worst = table["test_nll"].max()
    some = by_variant.figure(with_test_nll(both, lambda nll: nll.where(nll != worst, unknown)))
    assert some is not None
    assert " 1 without a finite test NLL have no dot." in some.caption
    nll, _ = some.draw().axes
    assert sum(len(line.get_xdata()) for line in nll.get_lines()) == len(table) - 1  # type: ignore[arg-type]
    assert by_variant.figure(with_test_nll(both, lambda nll: nll * unknown)) is None


@pytest.mark.parametrize("kind", ["selected", "others"])
def test_the_figure_of_selected_trials_or_of_others_alone_has_a_layout(
    both: Comparison, kind: str
) -> None:
    """As of the first finished trial of a comparison, or where every selected one diverged."""
    members = {}
    for variant, member in both.members.items():
        is_selected = member.trials["config_index"] == member.selected
        lasts = is_selected == (kind == "selected")
        members[variant] = with_reads(member, member.trials.assign(diverged=~lasts))
    figure = by_variant.figure(replace(both, members=members))
    assert figure is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        drawn_figure.drawn(figure.draw)


def test_the_report_has_a_section_of_it(store: Store) -> None:
    report = build(read_evidence(store, ["both"]))
    (section,) = [one for one in report.overview if one.anchor == "comparison-both"]
    assert [one.name for one in section.artefacts] == [
        "both-comparison",
        "both-claims",
        "both-by-variant",
        "both-draws.csv",
    ]
    other = build(read_evidence(store, ["golden-fd"]))
    assert not [one for one in other.overview if "comparison" in one.anchor]


def test_a_study_without_a_result_has_dashes(both: Comparison) -> None:
    plain = both.members["plain"]
    none = with_reads(
        plain,
        plain.trials.assign(state="waiting", diverged=False, valid_nll=math.nan),
        sequences=plain.sequences.iloc[:0],
        curves=plain.curves.iloc[:0],
    )
    members = {"fast_dropout": both.members["fast_dropout"], "plain": none}
    table = comparison_table(Comparison("both", members))
    assert table.rows[1] == ("plain RNN", *["-"] * 8, "0 of 0")
    assert "nan" not in latex.table(table)
