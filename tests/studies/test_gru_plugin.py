"""The how-to's plug-in: built as a wheel, installed in a fresh environment, trained."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fdrnn.datasets import REAL, Dataset, write_npz
from fdrnn.search import ForeignStudyError, open_store

EXAMPLE = Path(__file__).parents[2] / "docs" / "how-to" / "gru"


@pytest.fixture
def python(tmp_path: Path) -> Path:
    """A fresh environment's interpreter, with this one's packages and the plug-in's wheel."""
    source = tmp_path / "source"
    shutil.copytree(EXAMPLE, source)
    code = "from setuptools import build_meta; build_meta.build_wheel('.')"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    (wheel,) = source.glob("*.whl")
    venv.create(tmp_path / "env", with_pip=False)
    interpreter = tmp_path / "env" / "bin" / "python"
    (site,) = (tmp_path / "env" / "lib").glob("python*/site-packages")
    here = sysconfig.get_path("purelib")
    (site / "beside.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    zipfile.ZipFile(wheel).extractall(site)
    return interpreter


def test_the_plugin_trains_and_its_store_names_the_package(python: Path, tmp_path: Path) -> None:
    def fdrnn(*arguments: str) -> str:
        done = subprocess.run(
            [python, "-m", "fdrnn.studies.cli", *arguments],
            cwd=tmp_path,
            env=os.environ | {"FDRNN_STORAGE": "sqlite:///gru.sqlite3"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = fdrnn("study", "list", "--variants").splitlines()
    assert ["variant", "gru", "GRU", "fdrnn-gru", "0.1"] in [line.split() for line in listed]
    # The example's data take seconds of the loop in Python that theano.scan is.
    random = np.random.default_rng(0)
    train, valid, test = (
        tuple(random.normal(size=(length, 2)) for length in (6, 4)) for _ in range(3)
    )
    few = Dataset(name="few", title="Few", kind=REAL, train=train, valid=valid, test=test)
    write_npz(tmp_path / "few.npz", few)
    definition = (EXAMPLE / "gru.toml").read_text()
    assert definition.startswith('data = "waves"\n')
    (tmp_path / "gru.toml").write_text(definition.replace('"waves"', '"few.npz"', 1))
    fdrnn("run", "gru.toml", "--trials", "1", "--epochs", "1", "--workers", "1")
    assert "1 of 1 trials finished" in fdrnn("study", "status", "gru")
    store = open_store(f"sqlite:///{tmp_path / 'gru.sqlite3'}")
    with pytest.raises(
        ForeignStudyError,
        match=r"variant 'gru' is a plug-in of package fdrnn-gru 0.1, which is",
    ):
        store.study("gru")
    store.close()
