"""Variants, outputs and data sets of other packages, found by their entry points."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fdrnn import datasets
from fdrnn.datasets import plugins
from fdrnn.datasets.plugins import PluginError
from fdrnn.model import OUTPUTS, VARIANTS
from fdrnn.search import DefinitionError, StudyDefinition
from fdrnn.search.design.comparison import compared_studies
from fdrnn.search.design.distributions import Choices
from fdrnn.search.design.rules import require_effects

Install = Callable[[str, str], None]

SOURCE = """\
from fdrnn.datasets import load
from fdrnn.datasets.plugins import DataSource
from fdrnn.model.outputs import OUTPUTS
from fdrnn.model.outputs.base import OutputHyperparameters
from fdrnn.model.variants.plain import VARIANTS
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, kw_only=True)
class Named(type(VARIANTS["plain"].typical)):
    batch_size: float
    max_epochs: int
    seed: int


@dataclass(frozen=True, kw_only=True)
class Odd(Named):
    sizes: tuple


@dataclass(frozen=True, kw_only=True)
class Shared(OutputHyperparameters):
    momentum: float


class Drawn(type(OUTPUTS["gaussian"])):
    noise = {"output": ("float32", 2)}


class Rated(type(OUTPUTS["gaussian"])):
    scalars = {"p_keep_input": "float32"}


typical = {field.name: getattr(VARIANTS["plain"].typical, field.name)
           for field in fields(VARIANTS["plain"].typical)}
named = replace(VARIANTS["plain"], name="named", title="named RNN",
                typical=Named(**typical, batch_size=0.5, max_epochs=1, seed=2))
odd = replace(named, name="odd",
              typical=Odd(**typical, batch_size=0.5, max_epochs=1, seed=2, sizes=()))
untitled = DataSource(3, dict)
shared = replace(OUTPUTS["gaussian"], name="shared", typical=Shared(momentum=3.0))
drawn = Drawn(name="drawn", title="drawn")
rated = Rated(name="rated", title="rated")
good = replace(VARIANTS["plain"], name="good", title="good RNN")
misnamed = replace(VARIANTS["plain"], name="other", title="other RNN")
waves = DataSource("Waves again", lambda: load("waves"), note="of a plug-in")
failing = DataSource("Failing", lambda: 1 / 0)
exiting = DataSource("Exiting", lambda: exit(0))
empty = DataSource("Empty", dict)
"""
ENTRY_POINTS = """\
[fdrnn.variants]
good = brought:good
named = brought:named
odd = brought:odd
misnamed = brought:misnamed
exiting = exiting_module:VARIANT
wrong = brought:waves
broken = broken_module:VARIANT
plain = brought:good

[fdrnn.outputs]
shared = brought:shared
drawn = brought:drawn
rated = brought:rated

[fdrnn.data]
again = brought:waves
failing = brought:failing
exiting = brought:exiting
empty = brought:empty
missing = brought:no_such_name
untitled = brought:untitled
"""


@pytest.fixture(autouse=True)
def _package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "brought.py").write_text(SOURCE)
    (tmp_path / "broken_module.py").write_text("raise RuntimeError('no such luck')\n")
    (tmp_path / "exiting_module.py").write_text("raise SystemExit(3)\n")
    about = tmp_path / "brought-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: brought\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(tmp_path)
    for cached in (plugins._entry_points, plugins._load):
        cached.cache_clear()
    yield
    for cached in (plugins._entry_points, plugins._load):
        cached.cache_clear()


def definition(**changes: object) -> StudyDefinition:
    mapping = {
        "data": "again", "output": "gaussian", "variant": "good", "space": "table2-plain",
        "n_trials": 1, "seed": 0,
    }  # fmt: skip
    return StudyDefinition.from_mapping(mapping | changes, "mine")


def test_a_plugin_stands_beside_the_projects_own() -> None:
    assert VARIANTS["good"].title == "good RNN"
    assert VARIANTS["plain"].title == "plain RNN"
    assert list(VARIANTS)[-5:] == ["good", "misnamed", "named", "odd", "wrong"]
    assert len(VARIANTS) == len(VARIANTS.own) + 7
    assert (VARIANTS.package("good"), VARIANTS.package("plain")) == ("brought 1.2", None)
    assert "good" not in OUTPUTS


def test_a_data_set_of_a_plugin_is_loaded_by_its_name() -> None:
    loaded = datasets.load("again")
    assert (loaded.name, loaded.title, loaded.note) == ("again", "Waves again", "of a plug-in")
    assert loaded.fingerprint == datasets.load("waves").fingerprint
    assert "again" in datasets.names()
    known = {one.name: one for one in datasets.describe()}
    assert known["again"] == datasets.KnownDataset(
        "again", "Waves again", "plug-in", None, "of a plug-in", "brought 1.2"
    )


def test_a_broken_data_set_of_a_plugin_is_described_by_its_error() -> None:
    known = {one.name: one for one in datasets.describe()}
    assert known["missing"].origin == "plug-in"
    assert "cannot be imported: AttributeError" in known["missing"].title


@pytest.mark.parametrize("key", ["variant", "output", "data"])
def test_a_stored_definition_names_the_packages(key: str) -> None:
    stored = definition().to_mapping()
    assert stored["plugins"] == {"variant": "brought 1.2", "data": "brought 1.2"}
    assert StudyDefinition.from_mapping(stored) == definition()
    with pytest.raises(
        DefinitionError, match=rf"{key} 'gone' is a plug-in of package lost 3.0, which is not"
    ):
        StudyDefinition.from_mapping(stored | {key: "gone", "plugins": {key: "lost 3.0"}})


@pytest.mark.parametrize(
    ("variant", "message"),
    [
        (
            "broken",
            "'broken' of package brought 1.2 cannot be imported: RuntimeError: no such luck",
        ),
        ("wrong", "'wrong' of package brought 1.2 must be a Variant, got .* from brought:waves"),
        ("exiting", "'exiting' of package brought 1.2 cannot be imported: SystemExit: 3"),
        ("misnamed", "'misnamed' .* must have the name of its entry point, got 'other'"),
    ],
)
def test_a_broken_variant_is_one_line(variant: str, message: str) -> None:
    with pytest.raises(PluginError, match=message) as raised:
        definition(variant=variant)
    assert "\n" not in str(raised.value)


NAMED = {
    "extends": "table2-plain", "batch_size": [0.25, 0.5], "max_epochs": 5, "seed": [1, 2],
}  # fmt: skip


def test_a_hyperparameter_may_have_the_name_of_a_setting_or_key() -> None:
    study = definition(variant="named", space=NAMED, training={"batch_size": 9})
    require_effects(study.space, study.variant, study.output, study.training)
    assert study.space["batch_size"].distribution == Choices((0.25, 0.5))
    assert StudyDefinition.from_mapping(study.to_mapping()) == study
    with pytest.raises(DefinitionError, match=r"space.batch_size must be a number, got 'a'"):
        definition(variant="named", space=NAMED | {"batch_size": "a"})
    with pytest.raises(DefinitionError, match=r"^repeats is in \[space\]; move it above"):
        definition(variant="named", space=NAMED | {"repeats": 3})


def test_hyperparameters_that_cannot_be_drawn_are_refused() -> None:
    with pytest.raises(
        DefinitionError,
        match=r"the hyperparameters of variant 'odd', got 'mine': 'mine' lacks sizes$",
    ):
        definition(variant="odd", space=NAMED)
    with pytest.raises(DefinitionError, match=r"^space.sizes must be declared as bool, int, float"):
        definition(variant="odd", space=NAMED | {"sizes": 3})
    with pytest.raises(DefinitionError, match=r"'shared' and 'good' both have momentum; rename it"):
        definition(output="shared")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("drawn", "no random array of the name of one of the variant's: .* both have output;"),
        ("rated", "no scalar of the name of one of the variant's: .* both have p_keep_input;"),
    ],
)
def test_an_output_shares_no_array_or_scalar_with_the_variant(output: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=f"^output must have {message} rename it in the"):
        definition(output=output, variant="fast_dropout_sampled", space="table2")
    assert definition(output=output).output == output


def test_a_comparison_has_no_variant_that_fits_no_space_of_the_project() -> None:
    mapping = {"data": "again", "output": "gaussian", "n_trials": 1, "seed": 0}
    variants = {"variants": ["fast_dropout", "named", "good"]}
    with pytest.raises(
        DefinitionError,
        match=r"^variants must each fit a space of the project, got named; a plug-in",
    ):
        compared_studies(mapping | variants, "mine")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("failing", "'failing' of package brought 1.2 cannot load its data: ZeroDivisionError"),
        ("exiting", "'exiting' of package brought 1.2 cannot load its data: SystemExit: 0"),
        ("untitled", "'untitled' of package brought 1.2 must have a text as its title, got 3"),
        ("empty", "'empty' of package brought 1.2 must load a Dataset, got {}"),
    ],
)
def test_broken_data_are_one_line(name: str, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        datasets.load(name)
