"""The catalogue of study definitions."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from fdrnn.datasets import names as data_names
from fdrnn.datasets.errors import UnknownNameError
from fdrnn.model import DEFAULT_OUTPUT, VARIANTS
from fdrnn.search import SPACES, TABLE_3
from fdrnn.studies.catalogue import find, find_all, name_of, names
from fdrnn.studies.errors import StudyFileError

VALID = """\
data = "bach"
variant = "fast_dropout"
space = "table2"
n_trials = 5
seed = 3
"""

# Chunks of at most 100 frames in each benchmark set's training part.
N_CHUNKS = {"jsb": 243, "piano": 802, "nottingham": 1994, "musedata": 2719}
COMPARISONS = {"compare-jsb": 16, "compare-bach": 4}
"""How many draws each variant has."""

FIGURE_2 = {"figure2-fd", "figure2-plain"}
UNSCENTED = {"bach-melody-unscented"}
HALVING = {f"{data}-wide-halving" for data in TABLE_3}
TUNED = {f"{data}-tuned" for data in TABLE_3}
MIXED = {f"{data}-mixed" for data in TABLE_3}
AUTHORS_CELL = {f"{name}-authors-cell": name for name in (*TABLE_3, "jsb-wide")}
"""Studies by the authors' cell, and those that are the same but for the cell."""
NADE = {f"{data}-nade{suffix}" for data in TABLE_3 for suffix in ("", "-plain")}
NADE_IN = {"jsb-lstm-nade": "jsb-lstm-fast-dropout", "jsb-stacked-nade": "jsb-stacked-fast-dropout"}
"""Studies of NADE in other networks, and the same networks' with independent columns."""
FORMS = ("stacked", "deep_transition", "deep_output")
LP = "deep_output_lp"
DEEP = {
    f"{data}-{variant}".replace("_", "-"): variant
    for data in TABLE_3
    for variant in [*(form + suffix for form in FORMS for suffix in ("", "_fast_dropout")), LP]
}
"""Variants of the studies of several layers."""
PASCANU = {
    f"pascanu-{data}-{variant}".replace("_", "-"): (variant, n_hidden, n_layers)
    for data, stacked in {"jsb": 400, "nottingham": 400, "musedata": 600}.items()
    for variant, n_hidden, n_layers in (
        ("stacked", stacked, 2),
        ("deep_transition", 400, 2),
        ("deep_output", 400, 3),
        (LP, 400, 3),
    )
}
"""Variant, units and layers of the studies of Pascanu et al.'s sizes."""
LSTM_WIDE = {f"{data}-lstm-wide" for data in TABLE_3}
ECHO_STATE = {f"{data}-echo-state" for data in TABLE_3}
TABLE_3_STUDIES = {f"table3-{data}{suffix}" for data in TABLE_3 for suffix in ("", "-authors")}
ONE_QUIRK = {"table3-jsb-authors-mean"}
DEVIATIONS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "nottingham-wide-std": ("nottingham-wide", {}, {"init_scale": "std"}),
    "jsb-wide-2014": ("jsb-wide", {"seed": 2014}, {}),
    **{
        name: (original, {"variant": "authors_cell"}, {}) for name, original in AUTHORS_CELL.items()
    },
}
"""Studies that differ from another in few things: those of the study, those of its training."""


def write(folder: Path, text: str) -> str:
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


def of_variant(variant: str) -> str:
    return f"jsb-{variant.replace('_', '-')}"


OTHER_VARIANTS = [
    name for name in VARIANTS if name not in {"fast_dropout", "plain", *DEEP.values()}
]


def test_every_known_data_set_has_a_study_and_a_plain_counterpart() -> None:
    expected = {name + suffix for name in data_names() for suffix in ("", "-plain")}
    expected |= {f"{name}-wide" for name in TABLE_3}
    others = {of_variant(variant) for variant in OTHER_VARIANTS}
    own = (
        FIGURE_2
        | TABLE_3_STUDIES
        | set(COMPARISONS)
        | UNSCENTED
        | ONE_QUIRK
        | NADE
        | set(NADE_IN)
        | ECHO_STATE
        | LSTM_WIDE
        | HALVING
        | TUNED
        | MIXED
        | set(DEVIATIONS)
    )
    assert set(names()) == expected | others | own | set(DEEP) | set(PASCANU)


@pytest.mark.parametrize("variant", OTHER_VARIANTS)
def test_every_other_variant_has_a_study_paired_with_fast_dropout_s(variant: str) -> None:
    study = find(of_variant(variant))
    assert study.variant == variant
    fd = find("jsb")
    assert replace(study, name=fd.name, variant=fd.variant, space=fd.space) == fd


@pytest.mark.parametrize("name", data_names())
def test_fd_and_plain_differ_in_variant_and_space_alone(name: str) -> None:
    fd, plain = find(name), find(f"{name}-plain")
    assert (fd.name, fd.data, fd.variant, fd.space.name) == (name, name, "fast_dropout", "table2")
    assert replace(fd, name=plain.name, variant="plain", space=SPACES["table2-plain"]) == plain


@pytest.mark.parametrize("name", TABLE_3)
def test_the_wide_study_differs_in_its_space_alone(name: str) -> None:
    wide = find(f"{name}-wide")
    assert replace(find(name), name=wide.name, space=SPACES["table2-wide"]) == wide


@pytest.mark.parametrize("name", sorted(ECHO_STATE))
def test_a_study_of_echo_state_networks_differs_from_plain_in_variant_and_space_alone(
    name: str,
) -> None:
    study = find(name)
    assert study.space.parameters == find("jsb-echo-state").space.parameters
    changed = {"variant": "echo_state", "space": study.space}
    assert study == replace(find(f"{study.data}-plain"), name=name, **changed)


@pytest.mark.parametrize("data", TABLE_3)
def test_the_study_of_more_draws_differs_in_their_number_and_in_halving(data: str) -> None:
    name = f"{data}-wide-halving"
    study, wide = find(name), find(f"{data}-wide")
    assert study.halving == find(f"{data}-nade").halving
    assert study.halving is not None
    assert study == replace(wide, name=name, n_trials=128, halving=study.halving)


@pytest.mark.parametrize("data", TABLE_3)
def test_the_tuned_study_has_the_later_code_s_settings_and_as_many_updates_at_a_rung(
    data: str,
) -> None:
    study, printed = find(f"{data}-tuned"), find(data)
    later: dict[str, Any] = {
        "batch_size": 9,
        "padding_side": "back",
        "output_bias": -8.0,
        "max_incoming_in_out": 15,
        "parameter_average": 0.9933,
    }
    training = replace(printed.training, **later)
    wide = find(f"{data}-wide-halving").halving
    assert study.halving is not None
    assert wide is not None
    # Minibatches of 9 make three times the updates of those of 27.
    assert study.halving.keep == wide.keep
    assert study.halving.rungs[0] == math.ceil(wide.rungs[0] / 3)
    changed = {"variant": "authors_cell_learned_state", "halving": study.halving}
    assert study == replace(printed, name=study.name, training=training, **changed)


@pytest.mark.parametrize("data", TABLE_3)
def test_the_mixed_study_differs_from_the_tuned_one_in_its_space_alone(data: str) -> None:
    mixed = find(f"{data}-mixed")
    assert mixed == replace(find(f"{data}-tuned"), name=mixed.name, space=SPACES["table3-mixed"])


@pytest.mark.parametrize("name", DEVIATIONS)
def test_a_study_of_deviations_differs_in_them_alone(name: str) -> None:
    original, deviations, of_training = DEVIATIONS[name]
    study = find(original)
    training = replace(study.training, **of_training)
    assert find(name) == replace(study, name=name, training=training, **deviations)


def test_the_unscented_study_differs_in_its_output_alone() -> None:
    sampled = find("bach-melody")
    unscented = replace(sampled, name="bach-melody-unscented", output="softmax_unscented")
    assert find("bach-melody-unscented") == unscented


@pytest.mark.parametrize("name", sorted(NADE))
def test_a_study_of_nade_differs_in_output_padding_halving_and_nade_s_part_of_its_space(
    name: str,
) -> None:
    study = find(name)
    other = find(study.data + ("-plain" if name.endswith("-plain") else "-wide"))
    assert study.halving is not None
    assert study.space.parameters == other.space.parameters + SPACES["nade"].parameters
    assert study.space.name == f"{other.space.name}+nade"
    changed = {"output": "nade", "halving": study.halving, "space": study.space}
    training = replace(other.training, padding="masked")
    assert study == replace(other, name=name, training=training, **changed)


@pytest.mark.parametrize("name", NADE_IN)
def test_a_study_of_nade_in_another_network_differs_from_its_study_and_has_its_zeros_at_the_back(
    name: str,
) -> None:
    study, other = find(name), find(NADE_IN[name])
    space = study.space
    assert space.parameters == other.space.parameters + SPACES["nade"].parameters
    assert space.name == f"{other.space.name}+nade"
    training = replace(other.training, padding="masked", padding_side="back")
    changed = {"output": "nade", "halving": find("jsb-nade").halving, "space": space}
    assert study == replace(other, name=name, training=training, **changed)


@pytest.mark.parametrize("name", DEEP)
def test_a_study_of_several_layers_differs_in_variant_space_halving_and_padding(name: str) -> None:
    study, variant = find(name), DEEP[name]
    fast = variant.endswith("_fast_dropout")
    other = find(study.data + ("-wide" if fast else "-plain"))
    assert study.halving is not None
    space = SPACES["deep-wide" if fast else "deep-lp" if variant == LP else "deep-plain"]
    changed = {"variant": variant, "halving": study.halving, "space": space}
    training = replace(other.training, padding="masked", padding_side="back")
    assert study == replace(other, name=name, training=training, **changed)


@pytest.mark.parametrize("name", sorted(LSTM_WIDE))
def test_a_wide_study_of_lstms_differs_from_several_layers_in_variant_and_space_alone(
    name: str,
) -> None:
    study = find(name)
    changed = {"variant": "lstm_fast_dropout", "space": SPACES["lstm-wide"]}
    assert study == replace(find(f"{study.data}-stacked-fast-dropout"), name=name, **changed)


@pytest.mark.parametrize("name", PASCANU)
def test_a_study_of_pascanu_s_sizes_differs_in_them_alone(name: str) -> None:
    study, (variant, n_hidden, n_layers) = find(name), PASCANU[name]
    other = find(f"{study.data}-deep-transition")
    assert study == replace(other, name=name, variant=variant, space=study.space)
    space = SPACES["deep-lp" if variant == LP else "deep-plain"]
    assert study.space.names == space.names
    sizes = {"n_hidden": n_hidden, "n_layers": n_layers}
    for parameter in study.space.parameters:
        drawn = parameter.distribution
        if parameter.name in sizes:
            assert drawn.fixed
            assert drawn.extremes == (sizes[parameter.name],)
        else:
            assert parameter == space[parameter.name]


@pytest.mark.parametrize("name", sorted({*DEEP, *PASCANU, *NADE_IN, *LSTM_WIDE}))
def test_a_file_says_which_setting_followed_a_test_nll(name: str) -> None:
    text = (files("fdrnn.studies") / f"{name}.toml").read_text()
    assert "but for\n# padding and its side: they were set after the test NLL" in text


def test_figure_2_compares_fd_and_plain_and_records_the_test_nll() -> None:
    fd, plain = find("figure2-fd"), find("figure2-plain")
    assert replace(fd, name=plain.name, variant="plain", space=SPACES["table2-plain"]) == plain
    assert fd.training.record == ("test_nll",)
    assert fd.data == "jsb"
    assert fd.seed == find("jsb").seed


@pytest.mark.parametrize("name", sorted(COMPARISONS))
def test_a_comparison_is_a_study_of_every_variant_with_the_same_draws(name: str) -> None:
    studies = find_all(name)
    assert [study.name for study in studies] == [f"{name}.{variant}" for variant in VARIANTS]
    own = find(name.removeprefix("compare-"))
    for study in studies:
        assert (study.data, study.seed, study.n_trials) == (own.data, own.seed, COMPARISONS[name])
        assert "recurrent_norm" in study.training.record
        changed = {
            key: getattr(study.training, key) for key in ("patience", "max_epochs", "record")
        }
        assert replace(own.training, **changed) == study.training


def test_compare_jsb_searches_the_rates_of_its_wide_studies() -> None:
    by_variant = {study.variant: study.space for study in find_all("compare-jsb")}
    for variant in ("fast_dropout", "fast_dropout_sampled", "authors_cell", "rectifier"):
        assert by_variant[variant] == find("jsb-wide").space
    assert by_variant["plain"] == find("jsb-plain").space
    assert by_variant["weight_decay"].name == "weight-decay"


def test_a_comparison_is_not_taken_for_a_study() -> None:
    with pytest.raises(StudyFileError, match="compare-jsb is a comparison, not a study"):
        find("compare-jsb")


def test_one_of_the_authors_quirks_is_trained_on_table_3_s_column_too() -> None:
    both = find("table3-jsb-authors")
    mean = replace(both, name="table3-jsb-authors-mean", variant="authors_mean")
    assert find("table3-jsb-authors-mean") == mean


@pytest.mark.parametrize("data", TABLE_3)
def test_table_3_is_trained_by_both_cells(data: str) -> None:
    fd, authors = find(f"table3-{data}"), find(f"table3-{data}-authors")
    assert replace(fd, name=authors.name, variant="authors_cell") == authors
    assert (fd.variant, fd.data, fd.space.name, fd.n_trials) == (
        "fast_dropout",
        data,
        f"table3-{data}",
        1,
    )
    assert fd.training == find(data).training


@pytest.mark.parametrize(
    "name",
    sorted(
        set(names())
        - FIGURE_2
        - TABLE_3_STUDIES
        - set(COMPARISONS)
        - ONE_QUIRK
        - HALVING
        - TUNED
        - MIXED
        - set(DEVIATIONS)
    ),
)
def test_the_project_s_studies_are_the_paper_s_search(name: str) -> None:
    definition = find(name)
    assert definition.n_trials == 32
    assert definition.seed == 2013
    assert definition.training.batch_size == 27
    # Other outputs and several layers are none of the paper's; padded frames do not count there,
    # and those of several layers, wide LSTMs, and NADE in other networks, follow the sequence.
    back = name in {*DEEP, *PASCANU, *NADE_IN, *LSTM_WIDE}
    counted = definition.output == DEFAULT_OUTPUT and not back
    padding = "counted" if counted else "masked"
    side = "back" if back else "front"
    training = replace(find(definition.data).training, padding=padding, padding_side=side)
    assert definition.training == training


@pytest.mark.parametrize(("name", "n_chunks"), N_CHUNKS.items())
def test_every_data_set_is_allowed_as_many_updates(name: str, n_chunks: int) -> None:
    training = find(name).training
    assert 3600 <= training.max_epochs * math.ceil(n_chunks / training.batch_size) <= 7400


@pytest.mark.parametrize("name", names())
def test_the_keys_that_a_file_shows_as_comments_are_the_defaults(name: str, tmp_path: Path) -> None:
    text = (files("fdrnn.studies") / f"{name}.toml").read_text()
    lines = text.splitlines()
    shown = [i for i, line in enumerate(lines) if line.startswith("# ") and " = " in line]
    settings = [i for i in shown if i > lines.index("[training]")]
    assert settings
    for index in settings:
        lines[index] = lines[index].removeprefix("# ")
    changed = find_all(write(tmp_path, "\n".join(lines)))
    assert [one.training for one in changed] == [one.training for one in find_all(name)]


def test_a_user_s_file_is_named_after_itself(tmp_path: Path) -> None:
    definition = find(write(tmp_path, VALID))
    assert definition.name == "mine"
    assert (definition.n_trials, definition.seed) == (5, 3)


def test_a_relative_path_needs_no_slash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, VALID)
    monkeypatch.chdir(tmp_path)
    assert find("mine.toml").name == "mine"


def test_the_data_s_path_may_begin_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    path = write(tmp_path, VALID.replace('"bach"', '"~/music/mine.npz"'))
    assert find(path).data == "/home/ada/music/mine.npz"


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown study 'jbs'; did you mean 'jsb'"):
        find("jbs")


def test_a_data_file_is_looked_for_beside_the_definition(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    path = write(tmp_path, VALID.replace('"bach"', '"rolls/mine.npz"'))
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert find(path).data == str(tmp_path / "rolls" / "mine.npz")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data = \n", r"mine\.toml: not valid TOML: .*line 1"),
        (VALID + "n_trails = 4\n", r"mine\.toml: .*n_trails.*n_trials"),
        (VALID + "[training]\nbatch_size = 0\n", r"batch_size.*at least 1.*0"),
        (VALID + '[training]\npadding = "none"\n', r"padding.*counted.*none"),
        (VALID.replace("n_trials = 5\n", ""), r"n_trials"),
        (VALID.replace("5", "0"), r"n_trials must be in 1 .*got 0"),
        (VALID.replace("5", "true"), r"n_trials.*integer.*True"),
        (VALID.replace('"table2"', '"table2-plain"'), r"space.*table2"),
        (VALID.replace('"fast_dropout"', '"fast_dropuot"'), r"fast_dropuot.*fast_dropout"),
    ],
)
def test_a_broken_file_is_named_with_key_value_and_rule(
    text: str, expected: str, tmp_path: Path
) -> None:
    with pytest.raises(StudyFileError, match=expected) as caught:
        find(write(tmp_path, text))
    assert str(caught.value).startswith(str(tmp_path / "mine.toml"))


def test_a_missing_file_is_told_from_an_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match=r"there is no study file .*none\.toml; `fdrnn study"):
        find(str(tmp_path / "none.toml"))


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("my study.toml", "my-study"),
        ("étude.toml", "etude"),
        ("lr=1e-3.toml", "lr-1e-3"),
        ("MINE.TOML", "MINE"),
        ("音.toml", "study"),
    ],
)
def test_a_name_is_derived_from_the_file_s(
    file: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = (files("fdrnn.studies") / "bach.toml").read_text()
    (tmp_path / file).write_text(text)
    assert find(file).name == name


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    for path in (tmp_path / "pipe.toml", Path("/dev/zero"), tmp_path):
        with pytest.raises(StudyFileError, match="must be a regular file"):
            find(f"{path}/" if path == tmp_path else str(path))


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 5000])
def test_toml_that_python_cannot_hold_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(StudyFileError, match="no integer of more than 4,300 digits and no deeply"):
        find(write(tmp_path, f"seed = {value}"))


def test_a_file_may_begin_with_the_mark_of_its_encoding(tmp_path: Path) -> None:
    assert find(write(tmp_path, f"\N{BYTE ORDER MARK}{VALID}")).n_trials == 5


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(StudyFileError, match="UTF-8"):
        find(str(path))
    with pytest.raises(StudyFileError, match="is a directory"):
        find(f"{tmp_path}/")


def write_space(folder: Path, name: str, extends: str) -> str:
    text = VALID.replace('space = "table2"\n', "")
    path = folder / f"{name}.toml"
    path.write_text(f'{text}[space]\nextends = "{extends}"\nmomentum = 0.5\n')
    return str(path)


def test_a_space_extends_one_of_another_study_file(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    write_space(tmp_path / "far", "first", "table2-wide")
    write_space(tmp_path / "far", "second", "./first.toml")
    space = find(write_space(tmp_path, "third", "far/second.toml")).space
    assert space.name == "third"
    expected = SPACES["table2-wide"]
    changed = [one.name for one in space.parameters if one not in expected.parameters]
    assert changed == ["momentum"]
    assert space["momentum"].to_data() == 0.5


def test_a_space_extends_that_of_a_file_that_names_one(tmp_path: Path) -> None:
    (tmp_path / "named.toml").write_text(VALID)
    space = find(write_space(tmp_path, "own", "named.toml")).space
    assert space["decay"] == SPACES["table2"]["decay"]


def test_a_list_may_have_a_study_file(tmp_path: Path) -> None:
    (tmp_path / "named.toml").write_text(VALID)
    text = VALID.replace('"table2"', '{ extends = ["named.toml", "nade"] }')
    space = find(write(tmp_path, f'output = "nade"\n{text}[training]\npadding = "masked"\n')).space
    assert space.parameters == SPACES["table2"].parameters + SPACES["nade"].parameters


@pytest.mark.parametrize(
    ("extends", "message"),
    [
        ("own.toml", r"own.toml: space.extends must not be circular, got .*own.toml -> .*own.toml"),
        ("other.toml", r"must not be circular, got .*own.toml -> .*other.toml -> .*own.toml"),
        ("lost.toml", r"lost.toml.*`fdrnn study list` prints the names"),
        ("compared.toml", r"space.extends must be a file with a space, got .*compared.toml"),
        ("broken.toml", r"broken.toml: not valid TOML"),
        ("tabel2", r"unknown space 'tabel2'; did you mean 'table2'"),
    ],
)
def test_a_space_that_extends_none_is_refused(tmp_path: Path, extends: str, message: str) -> None:
    write_space(tmp_path, "other", "own.toml")
    (tmp_path / "compared.toml").write_text(VALID.replace('space = "table2"', 'variants = "all"'))
    (tmp_path / "broken.toml").write_text("=")
    with pytest.raises(StudyFileError, match=message) as raised:
        find(write_space(tmp_path, "own", extends))
    assert "\n" not in str(raised.value)


def test_the_name_of_a_file_is_its_studys(tmp_path: Path) -> None:
    path = tmp_path / "étude 1.toml"
    assert name_of(str(path)) is None
    path.write_text("not TOML")
    assert name_of(str(path)) == "etude-1"
    path.write_text(
        'name = "own"\ndata = "bach"\nvariants = ["plain", "fast_dropout"]\nn_trials = 1\nseed = 0'
    )
    assert name_of(str(path)) == "own"
    assert name_of("~no-such-user/own.toml") is None
    assert name_of(f"{'x' * 300}.toml") is None


def test_an_unknown_name_of_any_length_is_one_line() -> None:
    with pytest.raises(UnknownNameError, match="unknown study 'xxx") as caught:
        find_all("x" * 300)
    assert len(str(caught.value)) < 400
