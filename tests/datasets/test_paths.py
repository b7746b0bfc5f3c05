"""Paths as users give them."""

from __future__ import annotations

from pathlib import Path

import pytest

from fdrnn.datasets import PathError, load, user_path


def test_home_and_relative_paths_become_absolute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.chdir(tmp_path)
    assert user_path("~/music") == Path("/home/ada/music")
    assert user_path("music.npz") == tmp_path / "music.npz"


@pytest.mark.parametrize("text", ["~nobody-of-that-name/x.npz", "a\0.npz", "x" * 300 + ".npz"])
def test_what_is_no_path_is_one_line(text: str) -> None:
    for use in (user_path, load):
        with pytest.raises(PathError) as caught:
            use(text)
        assert "\n" not in str(caught.value)
