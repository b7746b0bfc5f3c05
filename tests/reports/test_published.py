"""The published results: documents and tables say what the exported studies contain."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import zipfile
from pathlib import Path

import published
import pytest

from fdrnn.reports.document.writing import write_tables
from fdrnn.reports.numbers.findings import read_evidence
from fdrnn.reports.tables import claims, columns, comparison, costs, literature, table1
from fdrnn.search import PortableStudy, open_store
from fdrnn.search.design.halving import replay
from fdrnn.search.models.verification import verify
from fdrnn.search.work.training import Training
from fdrnn.search.work.worker import load_study_data
from fdrnn.studies.catalogue import find, find_all
from fdrnn.studies.cli.exports import exported_store

documents = pytest.mark.parametrize(
    "document", published.DOCUMENTS, ids=lambda path: str(path.relative_to(published.ROOT))
)


@documents
def test_the_documents_print_what_the_studies_files_contain(document: Path) -> None:
    text = document.read_text()
    assert re.search(r"^\|.*\b(study|data set)\b", text, re.MULTILINE)
    assert published.filled(text) == text


def test_the_page_samples_studies_that_have_samples() -> None:
    text = (published.ROOT / "reports" / "published" / "README.md").read_text()
    (names,) = re.findall(r"^for study in ([\w -]+); do fdrnn sample", text, re.MULTILINE)
    for name in names.split():
        with zipfile.ZipFile(published.FILES[name]) as archive:
            assert any(member.startswith("samples/") for member in archive.namelist()), name


def test_the_readme_s_table_1_shows_the_selected_trials() -> None:
    row = re.search(r"^\| JSB Chorales \|.*$", published.README.read_text(), re.MULTILINE)
    assert row is not None
    for study in ("jsb", "jsb-wide", "jsb-plain"):
        assert published.facts(study)["test"] in row[0]


def test_fast_dropout_is_below_plain_wherever_both_are_finished_as_the_page_says() -> None:
    finished = {
        study: float(facts["test"].split(" / ")[0])
        for study in published.FILES
        if (facts := published.facts(study)).get("finished") == "32 of 32"
    }
    pairs = [(wide, wide.replace("-wide", "-plain")) for wide in finished if "-wide" in wide]
    compared = [(wide, plain) for wide, plain in pairs if plain in finished]
    assert compared
    for wide, plain in compared:
        assert finished[wide] < finished[plain], (wide, plain)


@documents
def test_links_of_the_documents_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)#]+)", document.read_text()):
        if "://" not in link:
            assert (document.parent / link).exists(), link


def test_the_published_tables_are_made_of_the_published_studies(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store.sqlite3"), create=True)
    for path in sorted(published.PUBLISHED.glob(f"*{published.SUFFIX}")):
        PortableStudy.read(path).insert(store)
    findings = read_evidence(store)
    studies = list(findings.studies.values())
    further = columns.table(findings.rows)
    assert further is not None
    made = [*table1.tables(findings.rows), further, literature.table(), costs.table(studies)]
    for path in write_tables(tmp_path / "report", made):
        committed = published.PUBLISHED / "report" / "tables" / path.name
        assert committed.read_bytes() == path.read_bytes(), path.name
    for row in findings.rows:
        if row.selected_trial is None:
            continue
        shown = f"{row.test_nll_pooled.value:.2f} / {row.test_nll_sequence_mean.value:.2f}"
        assert shown == published.facts(row.study)["test"]
    store.close()


COMPARISON = published.PUBLISHED / "comparison"


def test_the_comparison_s_tables_are_made_of_its_studies(tmp_path: Path) -> None:
    with exported_store([COMPARISON]) as store:
        (compared,) = read_evidence(store).comparisons
        made = write_tables(tmp_path, [comparison.table(compared), claims.table(compared)])
        for path in made:
            committed = COMPARISON / "report" / "tables" / path.name
            assert committed.read_bytes() == path.read_bytes(), path.name


def test_the_comparison_s_page_defines_its_studies(tmp_path: Path) -> None:
    commands = re.search(r"```sh\n(.*?)```", (COMPARISON / "README.md").read_text(), re.DOTALL)
    assert commands is not None
    edit, run = commands[1].splitlines()
    (tmp_path / "studies").symlink_to(published.ROOT / "studies")
    subprocess.run(["sh", "-c", edit], check=True, cwd=tmp_path)
    file = tmp_path / run.removeprefix("fdrnn run ")
    defined = {study.name: study for study in find_all(str(file))}
    stored = [PortableStudy.read(path).definition for path in COMPARISON.glob("*.zip")]
    assert len(stored) == 13
    for study in stored:
        assert defined[study.name].differences(study) == []
        assert defined[study.name].n_trials == study.n_trials


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "config_index", "n_epochs"),
    [
        ("jsb-wide", 13, 20),
        ("nottingham-nade-plain", 19, 1),
        ("piano-nade-plain", 19, 1),
        ("musedata-nade-plain", 19, 1),
    ],
)
def test_a_trial_has_the_same_bits_here(
    name: str, config_index: int, n_epochs: int, tmp_path: Path, real_data_dir: Path
) -> None:
    """A whole short trial of JSB Chorales, and the first epoch of one of each other set."""
    store = open_store(str(tmp_path / "store.sqlite3"), create=True)
    PortableStudy.read(published.FILES[name]).insert(store)
    study = store.study(name)
    dataset = load_study_data(study, real_data_dir, Training())
    outcome = verify(study, dataset, config_index, most_epochs=n_epochs)
    assert outcome.n_epochs == n_epochs
    assert outcome.difference is None
    store.close()


@pytest.mark.parametrize("data", ["jsb", "nottingham", "piano", "musedata"])
def test_128_draws_with_halving_cost_at_most_1_5_times_the_32_full_ones(data: str) -> None:
    full = f"{data}-wide"
    definition = find(f"{full}-halving")
    assert definition.halving is not None
    # A repeat has a negative index.
    curves = {i: one for i, one in _curves(full, "valid_nll_counted").items() if i >= 0}
    assert len(curves) == 32
    # The curves of the other 96 draws are not known: take each published draw four times.
    draws = {32 * copy + index: curves[index] for copy in range(4) for index in curves}
    assert len(draws) == definition.n_trials
    n_epochs = replay(definition.halving, draws).n_epochs.values()
    ratio = sum(n_epochs) / sum(map(len, curves.values()))
    assert ratio <= 1.5
    text = (published.ROOT / "studies" / f"{definition.name}.toml").read_text()
    assert f"some {ratio:.1f} times the epochs of its 32 full draws" in text


def test_nothing_published_holds_parameters() -> None:
    for path in published.FILES.values():
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(archive.read("manifest.json"))
        assert not manifest["weights"]
        assert not manifest["checkpoints"]


DIFFERENCES = published.PUBLISHED / "DIFFERENCES.md"
PAGE = published.PUBLISHED / "README.md"


@pytest.mark.parametrize(
    ("section", "titles"),
    [
        ("Which rate is dropped", {"space"}),
        ("The authors' cell", {"cell", "space"}),
        ("The authors' later notebook", {"Table 3's column by the authors' cell"}),
        ("sigma^2 of the initial weights", {"sigma^2 is a"}),
        ("Padding", {"padding"}),
        ("Batch size, stopping, averaging, step-rate decay", {"setting"}),
        ("Which 32 draws", {"seed"}),
        ("Clipping", {"norm above 15"}),
        ("The plain networks", {"diverged"}),
    ],
)
def test_a_section_s_tables_are_about_what_it_says(section: str, titles: set[str]) -> None:
    text = DIFFERENCES.read_text().partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    headers = [
        set(line.strip("| ").split(" | ")) for line in text.split("\n") if "| study |" in line
    ]
    assert headers
    assert all(titles & header for header in headers)


def test_the_runs_that_ended_at_their_limit_are_told() -> None:
    text = _words(DIFFERENCES)
    limits = {
        study: published.ended_at_limit(study)
        for study in published.FILES
        if published.facts(study)["finished"] == "32 of 32"
    }
    many = ("nottingham-wide", "nottingham-wide-std", "musedata", "musedata-wide", "jsb-wide-2014")
    few = [len(trials) for study, trials in limits.items() if study not in many]
    *first, last = (f"{len(limits[study])} in `{study}`" for study in many)
    listed = f"{', '.join(first)} and {last}"
    assert f"{min(few)} to {max(few)} of the 32 in a study, but {listed}" in text
    selected = {
        study
        for study in published.FILES
        if published.facts(study)["trial"] in map(str, published.ended_at_limit(study))
    }
    _, sentence = text.split("The selected trial itself came to its limit in ")
    assert set(re.findall("`([^`]+)`", sentence.split(" ## ")[0])) == selected


def test_what_further_seeds_of_the_later_settings_have() -> None:
    def masked(study: str) -> dict[int, float]:
        return {
            one["config_index"]: one["valid_nll_masked"] for one in published.rows(study, "trials")
        }

    base, later = masked("pilot-later-base"), masked("pilot-later-all")
    text = _words(DIFFERENCES)
    for study, nll in (("base", base), ("all", later)):
        assert f"`pilot-later-{study}` have {nll[-1]:.3f} and {nll[-2]:.3f}" in text
    means = [statistics.mean(nll.values()) for nll in (later, base)]
    assert f"lowest mean over seeds, {means[0]:.3f} instead of {means[1]:.3f}" in text
    assert _pooled("pilot-later-all") < 8.01


def test_how_the_selected_trial_of_nottingham_came_to_its_limit() -> None:
    best = published.ranked("nottingham-wide")[0]
    valid = {
        row["epoch"]: row["valid_nll_counted"]
        for row in published.rows("nottingham-wide", "epochs")
        if row["config_index"] == best["config_index"]
    }
    epoch = best["best_epoch"]
    told = f"({valid[80]:.3f} after 80 epochs, {valid[epoch]:.3f} after {epoch})"
    assert told in _words(DIFFERENCES)


def test_the_spectral_radii_of_figure_2() -> None:
    def highest(study: str) -> float:
        return max(
            row["spectral_radius"]
            for row in published.rows(study, "epochs")
            if isinstance(row["spectral_radius"], float)
        )

    text = _words(DIFFERENCES)
    assert f"{highest('figure2-fd'):.0f} in one of them" in text
    assert f"one comes to {highest('figure2-plain'):.0f}" in text
    radius = {
        row["epoch"]: row["spectral_radius"]
        for row in published.rows("table3-jsb-authors", "epochs")
    }
    top, last = max(radius, key=lambda epoch: radius[epoch]), max(radius)
    assert f"{radius[top]:.1f} at epoch {top}, {radius[last]:.1f} at {last}" in text


def test_the_rates_of_the_best_draws() -> None:
    def rates(study: str, n: int) -> set[float]:
        return {
            one["hyperparameters"]["dropout_hidden_to_hidden"]
            for one in published.ranked(study)[:n]
        }

    assert rates("jsb-wide", 4) == {0.9}
    assert "The four draws of `jsb-wide` with the lowest validation NLL have the highest" in _words(
        PAGE
    )
    assert rates("jsb-wide-authors-cell", 1) == {0.1}
    same = ("config_index", "hyperparameters", "valid_nll", "best_epoch")
    narrow, wide = (
        published.ranked(study)[0] for study in ("jsb-authors-cell", "jsb-wide-authors-cell")
    )
    assert [narrow[key] for key in same] == [wide[key] for key in same]
    assert "the same trial in both spaces, with a rate of 0.1" in _words(DIFFERENCES)


def test_the_other_searches_of_jsb_chorales() -> None:
    order = ("table3-jsb-authors", "jsb-wide", "jsb-wide-2014")
    lowest = [published.ranked(study)[0]["valid_nll"] for study in order]
    assert lowest == sorted(lowest)
    assert "the best of all 64 draws, by validation NLL, is that of `jsb-wide`" in _words(
        DIFFERENCES
    )
    above = [
        _pooled(study) - _pooled("jsb-wide") for study in ("jsb-wide-2014", "jsb-wide-authors-cell")
    ]
    assert f"end {above[0]:.2f} and {above[1]:.2f} above `jsb-wide`;" in _words(PAGE)


def test_how_far_from_the_paper_s_numbers() -> None:
    paper = {"musedata": 6.75, "nottingham": 3.09, "jsb": 8.01, "piano": 7.39}
    above = {data: round(_pooled(f"{data}-wide") - nll, 2) for data, nll in paper.items()}
    assert (
        f"{-above['piano']} below the paper's number on Piano-midi.de and above it on the others: "
        f"MuseData by {above['musedata']}, Nottingham by {above['nottingham']}, JSB Chorales by "
        f"{above['jsb']}."
    ) in _words(PAGE)


def test_what_the_radius_of_fast_dropout_does_in_figure_2() -> None:
    radii = _curves("figure2-fd", "spectral_radius")
    largest = {
        draw: max(range(len(radius)), key=radius.__getitem__) for draw, radius in radii.items()
    }
    to_the_end = {draw for draw, epoch in largest.items() if len(radii[draw]) - epoch <= 3}
    assert to_the_end == {0, 1, 2, 4, 6, 7}
    text = _words(DIFFERENCES)
    assert (
        "at its largest within the last three epochs in six of the eight draws, 952 in one" in text
    )
    assert round(max(radii[6])) == 952
    dip = min(radii[0][100:])
    assert f"(draw 0) falls from {max(radii[0][:200]):.0f} to {dip:.0f} on the way" in text
    falls = radii[5]
    assert f"{max(falls):.2f} at epoch {largest[5] + 1} and {falls[-1]:.2f} at the end" in text
    settled = radii[3][100:]
    assert 17 < min(settled) < max(settled) < 20
    assert "draw 3 stays between 17 and 20" in text


def test_how_far_table_3_s_columns_are_above_the_paper_s_numbers() -> None:
    paper = {"musedata": 6.75, "nottingham": 3.09, "jsb": 8.01}
    nll = {data: _pooled_exactly(f"table3-{data}-authors") - paper[data] for data in paper}
    assert max(nll["musedata"], nll["nottingham"]) < 0
    above = f"{nll['jsb']:.3f} above"
    said = "Nottingham and MuseData are below the paper's numbers and JSB Chorales is"
    assert f"{said} {above}" in _words(DIFFERENCES)
    said = "below the paper's on Nottingham and MuseData,"
    assert f"{said} {above} on JSB Chorales" in _words(published.README)


def _curves(study: str, column: str) -> dict[int, list[float]]:
    """Return a column of the epochs of every trial of a published study."""
    with zipfile.ZipFile(published.PUBLISHED / f"{study}{published.SUFFIX}") as archive:
        names, *rows = map(json.loads, archive.read("epochs.jsonl").splitlines())
    curves: dict[int, list[float]] = {}
    for row in rows:
        epoch = dict(zip(names, row, strict=True))
        curves.setdefault(epoch["config_index"], []).append(float(epoch[column]))
    return curves


def _pooled_exactly(study: str) -> float:
    with zipfile.ZipFile(published.PUBLISHED / f"{study}{published.SUFFIX}") as archive:
        names, *rows = map(json.loads, archive.read("test_sequences.jsonl").splitlines())
    table = [dict(zip(names, row, strict=True)) for row in rows]
    return float(sum(row["nll_sum"] for row in table) / sum(row["n_steps"] for row in table))


def _pooled(study: str) -> float:
    return float(published.facts(study)["test"].split(" / ")[0])


def _words(document: Path) -> str:
    """Return a document's text in one line."""
    return " ".join(document.read_text().split())
