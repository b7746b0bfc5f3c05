"""States whose digest is valid and whose members are not those of the run."""

import hashlib
import io
import json
import math
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from fdrnn.model.checkpoint import Checkpoint, Progress
from fdrnn.model.errors import CheckpointError

PARAMETERS = {"W": np.ones((2, 3), np.float32), "b": np.zeros(3, np.float32)}


def state(**changes):
    groups = {"parameters": PARAMETERS, "velocity": PARAMETERS, "mean_square": PARAMETERS}
    fields = {
        "progress": Progress(epoch=2, best_epoch=1, best_valid_nll=0.5),
        **groups,
        "average": {},
        "best": PARAMETERS,
    }
    return Checkpoint(**{**fields, **changes})


WRITTEN = state().to_bytes("a run")


def sealed(members, compression=zipfile.ZIP_STORED):
    """Return an archive of these members, names and bytes, with its digest before it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue()


def members(data=WRITTEN):
    with zipfile.ZipFile(io.BytesIO(data[32:])) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def header(**changes):
    written = json.loads(str(np.load(io.BytesIO(members()["header.npy"]))))
    return {"header.npy": npy(np.array(json.dumps({**written, **changes})))}


def progress(**changes):
    written = json.loads(str(np.load(io.BytesIO(members()["header.npy"]))))["progress"]
    return header(progress={**written, **changes})


def test_a_state_is_read_as_it_was_written():
    read = Checkpoint.from_bytes(sealed(members()), "a run", state())
    assert read.progress == Progress(epoch=2, best_epoch=1, best_valid_nll=0.5)
    np.testing.assert_array_equal(read.best["W"], PARAMETERS["W"])
    assert read.average == {}


HUGE = (
    np.lib.format.magic(1, 0)
    + b"\x80\x00"
    + (b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }".ljust(127) + b"\n")
)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"parameters.npy": npy(np.ones(3))}, id="no slash"),
        pytest.param({"parameters/W/b.npy": npy(np.ones(3))}, id="two slashes"),
        pytest.param({"weights/W.npy": npy(np.ones(3))}, id="unknown group"),
        pytest.param({"progress/epoch.npy": npy(np.ones(3))}, id="progress as a group"),
        pytest.param({"best/W": b"no array"}, id="a member that is no array"),
        pytest.param({"best/W.npy": b"no array"}, id="an array that is damaged"),
        pytest.param({"best/W.npy": HUGE}, id="an array beyond the memory"),
        pytest.param({"best/W.npy": npy(np.ones((2, 3)))}, id="another dtype"),
        pytest.param({"best/W.npy": npy(np.ones((3, 2), np.float32))}, id="another shape"),
        pytest.param({"best/V.npy": npy(np.ones((2, 3), np.float32))}, id="another name"),
        pytest.param({"average/W.npy": npy(np.ones((2, 3), np.float32))}, id="half an average"),
        pytest.param({"velocity/b.npy": None}, id="a missing array"),
        pytest.param({"header.npy": None}, id="no header"),
        pytest.param({"header.npy": npy(np.array("[" * 100_000))}, id="a deep header"),
        pytest.param({"header.npy": npy(np.array("[]"))}, id="a list as header"),
        pytest.param(header(format=None), id="another format"),
        pytest.param(header(progress=[]), id="a list as progress"),
        pytest.param(progress(epoch="2"), id="a text as epoch"),
        pytest.param(progress(epoch=-1), id="a negative epoch"),
        pytest.param(progress(epoch=10**30), id="an epoch beyond 64 bits"),
        pytest.param(progress(updates=1.5), id="half an update"),
        pytest.param(progress(best_epoch=3), id="a best epoch that is to come"),
        pytest.param(progress(best_valid_nll=None), id="no NLL"),
        pytest.param(progress(diverged=1), id="a number as a flag"),
        pytest.param(progress(epochs=2), id="an unknown counter"),
    ],
)
def test_wrong_members_are_refused(changes):
    changed = {name: data for name, data in {**members(), **changes}.items() if data is not None}
    with pytest.raises(CheckpointError, match="the run must restart") as error:
        Checkpoint.from_bytes(sealed(changed), "a run", state())
    assert len(str(error.value)) < 400
    assert "\n" not in str(error.value)


def test_infinite_nll_and_an_average_are_kept():
    first = state(progress=Progress(), average=PARAMETERS, best={})
    read = Checkpoint.from_bytes(first.to_bytes("a run"), "a run", first)
    assert read.progress.best_valid_nll == math.inf
    assert set(read.average) == set(PARAMETERS)
    assert read.best == {}
    with pytest.raises(CheckpointError):
        Checkpoint.from_bytes(WRITTEN, "a run", first)


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compressed_state_is_refused_before_it_fills_the_memory(compression):
    n_bytes = 64 * 2**20
    bomb = {**members(), "best/V.npy": npy(np.zeros(n_bytes // 4, np.float32))}
    data, like = sealed(bomb, compression), state()
    tracemalloc.start()
    with pytest.raises(CheckpointError, match=r"compressed or overlap.*the run must restart"):
        Checkpoint.from_bytes(data, "a run", like)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < n_bytes / 4


def test_arrays_that_overlap_are_refused():
    archive = sealed(members())[32:]
    entries, end = archive.index(b"PK\1\2"), archive.index(b"PK\5\6")
    twice = archive[:end] + archive[entries:]
    # The numbers of entries and the length of the directory are in its end record.
    at = len(archive[:end]) + end - entries
    n_entries, length = 2 * len(members()), 2 * (end - entries)
    counts = struct.pack("<HHI", n_entries, n_entries, length)
    overlapping = twice[: at + 8] + counts + twice[at + 16 :]
    assert len(zipfile.ZipFile(io.BytesIO(overlapping)).infolist()) == n_entries
    with pytest.raises(CheckpointError, match="compressed or overlap"):
        Checkpoint.from_bytes(hashlib.sha256(overlapping).digest() + overlapping, "a run", state())
