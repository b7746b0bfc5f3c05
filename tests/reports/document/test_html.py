"""A report's page: what it says, its markup, and how a browser shows it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from contrast import contrast

from chromium import Page, chromium
from fdrnn.reports.artefacts import Figure, Report, Section, Table
from fdrnn.reports.document import html
from fdrnn.reports.numbers.findings import read_evidence
from fdrnn.search import Store
from waiting import wait_until


class Outline(HTMLParser):
    """Tags, headings and attributes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_page_says_what_it_used(written: Path) -> None:
    text = (written / "report.html").read_text()
    for expected in (
        "golden-fd",
        "golden-plain",
        "8 of 8",
        "seed 2013",
        "table2-wide",
        "padding counted",
        "batch 27",
        "lowest validation NLL",
        "Pooled",
    ):
        assert expected in text
    markdown = (written / "report.md").read_text()
    assert "## golden-fd: FD-RNN on JSB Chorales" in markdown
    for link in re.findall(r"\]\((figures/[^)]+)\)", markdown):
        assert (written / link).is_file()


def test_the_page_is_accessible_and_loads_nothing(written: Path) -> None:
    text = (written / "report.html").read_text()
    page = Outline(text)
    assert page.of("html")[0]["lang"] == "en"
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later - level <= 1 for level, later in pairwise(levels))
    images = page.of("img")
    assert len(images) == 16
    assert all(len(image["alt"] or "") > 40 for image in images)
    assert all((image["src"] or "").startswith("data:image/svg+xml;base64,") for image in images)
    assert all(header["scope"] in {"col", "row"} for header in page.of("th"))
    identifiers = [a["id"] for _, a in page.tags if "id" in a]
    assert len(identifiers) == len(set(identifiers))
    for link in page.of("a"):
        target = link["href"] or ""
        assert target.removeprefix("#") in identifiers or (written / target).is_file(), target
    assert not page.of("link")
    policy = page.of("meta")[2]["content"] or ""
    scripts = re.findall(r"(?s)<script>(.*?)</script>", text)
    assert len(scripts) == 4
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    ours = re.sub(r"(?s)<script.*?</script>", "", text)
    assert "http://" not in ours
    assert "https://" not in ours
    assert "url(" not in ours


def test_what_a_report_shows_is_escaped() -> None:
    table = Table(
        name="t",
        title="<b>&",
        data=pd.DataFrame(),
        header=("<i>",),
        rows=(("</table><script>",),),
        n_text=1,
        notes=("`<code>` & more",),
    )
    figure = Figure(name="f", title="f", caption="c", alt='"><script>', draw=lambda: None)  # type: ignore[arg-type,return-value]
    section = Section(anchor="s", title="s", artefacts=(table, figure))
    report = Report(
        title="<script>",
        used=("<script>",),
        rules=(),
        missing=(),
        overview=(section,),
        studies=(),
        exploration={"studies": ["</script><script>"]},
    )
    text = "".join(html.page(report, [(section, {"f": "data:,"})]))
    shown = re.sub(r"(?s)<script>.*?</script>", "", text)
    assert "<script>" not in shown
    assert '{"studies":["\\u003c/script>\\u003cscript>"]}' in shown
    assert "<code>&lt;code&gt;</code> &amp; more" in text


@pytest.fixture(scope="module")
def browser_page(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser.page()


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 390])
def test_in_a_browser(written: Path, browser_page: Page, width: int, dark: bool) -> None:
    browser_page.requests.clear()
    url = (written / "report.html").as_uri()
    browser_page.open(url, width, dark=dark)
    assert browser_page.errors == []
    assert {one for one in browser_page.requests if not one.startswith("data:")} == {url}
    assert browser_page.evaluate("document.documentElement.scrollWidth") <= width
    browser_page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    shown = browser_page.evaluate(
        "[...document.images].map(image => image.naturalWidth > 0 && image.width > 0)"
    )
    assert shown == [True] * 16
    # Of many studies, too, every link of the contents can be scrolled to from above.
    right = browser_page.evaluate("""
        (() => {
            const contents = document.querySelector("nav ul");
            for (let i = 0; i < 40; i++) contents.append(contents.lastElementChild.cloneNode(true));
            return Math.max(...[...contents.querySelectorAll("a")]
                .map(link => link.getBoundingClientRect().right));
        })()
    """)
    assert right <= width
    background, ink = browser_page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    expected = (
        ("rgb(20, 24, 28)", "rgb(228, 231, 234)")
        if dark
        else (
            "rgb(255, 255, 255)",
            "rgb(31, 36, 40)",
        )
    )
    assert (background, ink) == expected
    # The ink of a figure follows the theme: its lightest or darkest opaque pixel shows it.
    lightest = browser_page.evaluate(
        """
        (async () => {
            const image = document.images[2], canvas = document.createElement("canvas");
            canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
            const context = canvas.getContext("2d");
            context.drawImage(image, 0, 0);
            const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
            let lightest = 0;
            for (let i = 0; i < data.length; i += 4)
                if (data[i + 3] > 250)
                    lightest = Math.max(lightest, Math.min(data[i], data[i + 1], data[i + 2]));
            return lightest;
        })()
        """
    )
    assert (lightest > 200) == dark


def test_the_interactive_part(golden: Store, written: Path, browser_page: Page) -> None:
    browser_page.open((written / "report.html").as_uri())
    parts = "[...document.querySelectorAll('.part h3')].map(one => one.innerText)"
    assert browser_page.evaluate(parts) == [
        "All trials",
        "NLL against any value",
        "Parallel coordinates",
        "Learning curves",
        "Two studies beside each other",
    ]
    shown = "[...document.querySelectorAll('.trials tbody tr')].map(one => one.cells[3].innerText)"
    nll = browser_page.evaluate(shown)
    findings = read_evidence(golden)
    expected = pd.concat(one.trials["valid_nll"] for one in findings.studies.values())
    finite = sorted(expected[np.isfinite(expected)])
    assert [float(one) for one in nll if one != "-"] == pytest.approx(finite, abs=5.1e-4)
    # The keyboard marks a trial as a click does.
    browser_page.evaluate(
        "(() => { const row = document.querySelectorAll('.trials tbody tr')[1]; row.focus();"
        "document.activeElement.dispatchEvent("
        "new KeyboardEvent('keydown', { key: 'Enter', bubbles: true })); })()"
    )
    marked = "[...document.querySelectorAll('.trials tbody tr')].map(one => one.className)"
    assert browser_page.evaluate(marked).index("chosen") == 1
    # Sorting the other way round, and filtering by a study and a value.
    browser_page.evaluate("document.querySelectorAll('.trials thead button')[3].click()")
    assert browser_page.evaluate(shown)[0] == max(nll, key=lambda one: one != "-" and float(one))
    for column, text in ((0, "plain"), (3, "< 7")):
        browser_page.evaluate(
            f"(() => {{ const field = document.querySelectorAll('.trials input')[{column}];"
            f"field.value = {json.dumps(text)}; field.dispatchEvent(new Event('input')); }})()"
        )
    plain = findings.studies["golden-plain"].trials["valid_nll"]
    assert len(browser_page.evaluate(shown)) == (plain < 7).sum()
    curves = "document.querySelectorAll('.part:nth-child(4) [aria-label=line] path').length"
    assert browser_page.evaluate(curves) == (plain < 7).sum()
    difference = browser_page.evaluate("document.querySelector('.difference').innerText")
    minus = findings.rows[0].minus_plain
    assert minus.value is not None
    assert minus.low is not None
    assert minus.high is not None
    assert f"golden-fd minus golden-plain is {minus.value:.3f}" in difference
    assert f"{minus.low:.3f} to {minus.high:.3f}" in difference
    assert browser_page.errors == []


def test_filters_compare_numbers_and_what_the_table_shows(
    written: Path, browser_page: Page, tmp_path: Path
) -> None:
    page = (written / "report.html").read_text()
    large = tmp_path / "large.html"
    large.write_text(page.replace('"trial":7,', '"trial":12345,'))
    browser_page.open(large.as_uri())
    titles = "[...document.querySelectorAll('.trials thead button')].map(one => one.innerText)"
    columns = {title: at for at, title in enumerate(browser_page.evaluate(titles))}
    cells = "[...document.querySelectorAll('.trials tbody tr')].map(one => one.cells[{}].innerText)"

    def kept(title: str, text: str) -> list[str]:
        at = columns[title]
        fill = (
            f"const field = document.querySelectorAll('.trials input')[{at}];"
            "field.value = {}; field.dispatchEvent(new Event('input'));"
        )
        browser_page.evaluate(f"(() => {{ {fill.format(json.dumps(text))} }})()")
        found: list[str] = browser_page.evaluate(cells.format(at))
        browser_page.evaluate(f"(() => {{ {fill.format(json.dumps(''))} }})()")
        return found

    assert kept("trial", "12345") == ["12345"] * 2
    units = kept("hidden units", "")
    assert len(units) == 16
    for text, expected in (("< 1000", units), ("<= 1e3", units), (">= 1000", []), ("< 99", [])):
        assert kept("hidden units", text) == expected
    nll = kept("validation NLL", "")
    for shown in nll:
        assert kept("validation NLL", f"={shown}") == [one for one in nll if one == shown]


def test_studies_of_different_padding_are_ranked_by_the_masked_nll(
    golden: Store, written: Path, browser_page: Page, tmp_path: Path
) -> None:
    page = (written / "report.html").read_text()
    rule = '"padding":"counted, front"'
    assert page.count(rule) == 2
    mixed = tmp_path / "mixed.html"
    mixed.write_text(page.replace(rule, '"padding":"masked, back"', 1))
    browser_page.open(mixed.as_uri())
    shown = "[...document.querySelectorAll('.trials tbody tr')].map(one => one.cells[{}].innerText)"
    findings = read_evidence(golden)
    expected = pd.concat(one.trials["valid_nll_masked"] for one in findings.studies.values())
    finite = sorted(expected[np.isfinite(expected)])
    masked = browser_page.evaluate(shown.format(5))
    assert [float(one) for one in masked if one != "-"] == pytest.approx(finite, abs=5.1e-4)
    bold = "[...document.querySelectorAll('.trials td')].filter(one => one.style.fontWeight)"
    assert browser_page.evaluate(f"{bold}.map(one => one.innerText)") == [f"{finite[0]:.3f}"]
    assert browser_page.errors == []


def test_only_draws_of_one_seed_are_pairs(
    written: Path, browser_page: Page, tmp_path: Path
) -> None:
    note = "[...document.querySelectorAll('.note')].map(one => one.innerText).join()"
    browser_page.open((written / "report.html").as_uri())
    assert "Draws that both have trained: 8" in browser_page.evaluate(note)
    page = (written / "report.html").read_text()
    other = tmp_path / "other-seed.html"
    other.write_text(page.replace('"seed":2013,', '"seed":7,', 1))
    browser_page.open(other.as_uri())
    assert "Draws that both have trained" not in browser_page.evaluate(note)
    # No trial of one study is selected, or there is one test sequence.
    without = tmp_path / "without.html"
    without.write_text(re.sub(r'"pairs":\[\[.*?\]\]', '"pairs":[]', page, count=1))
    browser_page.open(without.as_uri())
    difference = browser_page.evaluate("document.querySelector('.difference').innerText")
    assert difference.startswith("No difference: it takes two selected trials")


def test_drawn_trials_stand_out_in_both_themes(written: Path, browser_page: Page) -> None:
    """Lines and dots have the contrast of 3 that WCAG 2 asks of graphics."""

    def strokes() -> set[tuple[str, float]]:
        found = browser_page.evaluate("""
            [...document.querySelectorAll('.part :is([aria-label=line], [aria-label=dot]) > *')]
                .map(one => getComputedStyle(one)).filter(one => one.stroke.startsWith('rgb('))
                .map(one => [one.stroke, +one.strokeOpacity])
        """)
        return {(color, opacity) for color, opacity in found}

    def assert_contrast(drawn: set[tuple[str, float]], paper: str) -> None:
        assert len(drawn) >= 2
        for color, opacity in drawn:
            parts = [int(part) for part in re.findall(r"\d+", color)]
            below = [int(paper[i : i + 2], 16) for i in (1, 3, 5)]
            mixed = [
                round(opacity * a + (1 - opacity) * b) for a, b in zip(parts, below, strict=True)
            ]
            seen = "#{:02x}{:02x}{:02x}".format(*mixed)
            assert contrast(seen, paper) >= 3, (color, opacity, paper)

    browser_page.open((written / "report.html").as_uri())
    light = strokes()
    assert_contrast(light, "#ffffff")
    # The page stays open while the theme changes, and draws again soon after.
    theme = [{"name": "prefers-color-scheme", "value": "dark"}]
    browser_page.call("Emulation.setEmulatedMedia", features=theme)
    wait_until(lambda: not light & strokes())
    assert_contrast(strokes(), "#14181c")


def test_a_link_into_a_folded_study_opens_it(written: Path, browser_page: Page) -> None:
    browser_page.open((written / "report.html").as_uri() + "#golden-fd-gap")
    opened = "[...document.querySelectorAll('details.study')].map(one => one.open)"
    assert browser_page.evaluate(opened) == [True, False]
    browser_page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert browser_page.evaluate(opened) == [True, True]
    # On paper nothing scrolls.
    browser_page.call(
        "Emulation.setDeviceMetricsOverride",
        width=739,
        height=1000,
        deviceScaleFactor=1,
        mobile=False,
    )
    browser_page.call("Emulation.setEmulatedMedia", media="print")
    cut = "one => one.scrollWidth > one.clientWidth + 1"
    pictures = "[...document.querySelectorAll('.scroll')].filter(one => one.querySelector('img'))"
    assert browser_page.evaluate(f"{pictures}.length > 3")
    assert browser_page.evaluate(f"{pictures}.filter({cut}).length") == 0
    used = "one => one.scrollHeight > one.clientHeight + 1"
    assert (
        browser_page.evaluate(f"[...document.querySelectorAll('.used')].filter({used}).length") == 0
    )
