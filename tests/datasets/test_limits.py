"""Small files that announce, compress, repeat or nest too much, and sparse matrices."""

from __future__ import annotations

import io
import pickle
import re
import struct
import sys
import zipfile
import zlib

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from fdrnn.datasets import SPLITS, DataError, Dataset, load, write_npz
from fuzz.reading import read_all
from oracles.data_files import cells, write_mat


def npz(path, **changes):
    """A valid file of two columns, with arrays replaced."""
    arrays = {split: np.eye(2, dtype=np.uint8) for split in SPLITS}
    arrays |= {f"{split}_lengths": np.array([2]) for split in SPLITS}
    np.savez_compressed(path, **arrays | changes)


def npy_header(shape, dtype="|u1"):
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text + b"\n"


def zip_bomb(path):
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("train.npy", "w", force_zip64=True) as member,
    ):
        member.write(npy_header((5 * 10**6, 100)))
        for _ in range(500):
            member.write(bytes(10**6))


def lying_headers(path):
    with zipfile.ZipFile(path, "w") as archive:
        for name in (*SPLITS, *(f"{split}_lengths" for split in SPLITS)):
            archive.writestr(f"{name}.npy", npy_header((10**11, 88)) + bytes(100))


def brackets_for_a_header(path):
    with zipfile.ZipFile(path, "w") as archive:
        text = b"[" * 9000
        archive.writestr("train.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text)


def many_members(path):
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(50_000):
            archive.writestr(f"{index}", b"")


def many_symbols(path):
    zeros = np.zeros(10**6, np.uint8)
    npz(path, kind="categorical", n_symbols=65536, train=zeros, train_lengths=[len(zeros)])


def many_sequences(path):
    npz(path, train=np.ones((10**7, 1), np.uint8), train_lengths=np.ones(10**7, np.uint8))


def wide_reals(path):
    npz(path, kind="real", train=np.zeros((3 * 10**6, 100), np.int8))


def largest_reals(path):
    ramp = np.zeros((10**6, 45))
    ramp[0] = 1.0
    others = {split: np.zeros((2, 45)) for split in SPLITS[1:]}
    npz(path, kind="real", train=ramp, train_lengths=[len(ramp)], **others)


def empty_items(path):
    with zipfile.ZipFile(path, "w") as archive:
        for name in SPLITS:
            archive.writestr(f"{name}.npy", npy_header((10**15,), "|S0"))


def sparse_on_disk(path):
    with path.open("wb") as file:
        file.truncate(5 * 10**9)


def mat_header():
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"


def element(kind, content):
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def matrix(name, matrix_class, shape, *parts):
    return element(14, b"".join((
        element(6, struct.pack("<II", matrix_class, 0)),
        element(5, struct.pack(f"<{len(shape)}i", *shape)),
        element(1, name),
        *parts,
    )))  # fmt: skip


def nested_cells(path, levels=200_000):
    # Each level is a header of 48 bytes: written from the inside, by their sizes alone.
    head = matrix(b"", 1, (1, 1))[8:]
    sizes = [len(head)]
    for _ in range(levels):
        sizes.append(len(head) + 8 + sizes[-1])
    nested = b"".join(struct.pack("<II", 14, size) + head for size in reversed(sizes))
    path.write_bytes(mat_header() + matrix(b"traindata", 1, (1, 1), nested))


def inflated_mat(path):
    compressor = zlib.compressobj(1)
    pieces = [compressor.compress(struct.pack("<II", 14, 2**31))]
    pieces += [compressor.compress(bytes(10**6)) for _ in range(450)]
    content = b"".join(pieces) + compressor.flush()
    path.write_bytes(mat_header() + struct.pack("<II", 15, len(content)) + content)


def announced_cells(path):
    path.write_bytes(mat_header() + matrix(b"traindata", 1, (2**31 - 1, 2**31 - 1)))


def announced_sparse(path):
    indices = element(5, bytes(4)), element(5, bytes(4 * 3001)), element(9, bytes(8))
    sparse = matrix(b"", 5, (2**31 - 1, 3000), *indices)
    path.write_bytes(mat_header() + matrix(b"traindata", 1, (1, 1), sparse))


def many_cells(path):
    empty = struct.pack("<II", 14, 0)
    path.write_bytes(mat_header() + matrix(b"traindata", 1, (1, 2 * 10**6), empty * 2 * 10**6))


def many_variables(path):
    path.write_bytes(mat_header() + struct.pack("<II", 14, 0) * 10**7)


def repeated_frame(path, n_notes=20_000, n_repeats=20_000):
    frame = [60 + index % 12 for index in range(n_notes)]
    sequence = [frame] * n_repeats
    path.write_bytes(pickle.dumps({split: [sequence] for split in SPLITS}, 4))


def repeated_sequence(path):
    path.write_bytes(pickle.dumps({split: [[[60]] * 5000] * 5000 for split in SPLITS}, 4))


def deep_lists(path):
    path.write_bytes(b"\x80\x02" + b"]" * 2 * 10**6 + b"a" * (2 * 10**6 - 1) + b".")


def deep_key(path):
    path.write_bytes(b"\x80\x02})" + b"\x85" * 2 * 10**6 + b"K\x01s.")


def repeated_calls(path):
    text = b"X" + struct.pack("<I", 10**6) + b"x" * 10**6 + b"q\x00"
    call = b"c_codecs\nencode\nh\x00X\x06\x00\x00\x00latin1\x86R"
    path.write_bytes(b"\x80\x02(" + text + call * 10**5 + b"t.")


def announced_memo(path):
    path.write_bytes(b"\x80\x02}r\xff\xff\xff\xfe.")


def announced_bytes(path):
    path.write_bytes(b"\x80\x04\x8e" + struct.pack("<Q", 2**62) + b"x.")


TOO_LARGE = "takes more than 384 MiB in memory, which is the limit; leave sequences out, or"

HOSTILE = [
    (".npz", zip_bomb, TOO_LARGE),
    (".npz", lying_headers, "is damaged"),
    (".npz", brackets_for_a_header, "is damaged"),
    (".npz", many_members, "at most 1000 arrays"),
    (".npz", many_symbols, TOO_LARGE),
    (".npz", many_sequences, "at most 262,144 sequences, got 10,000,000"),
    (".npz", wide_reals, TOO_LARGE),
    (".npz", empty_items, "must be a matrix (n_frames, n_features) of numbers"),
    (".npz", sparse_on_disk, "may have at most 384 MiB, got 4.657 GiB"),
    (".mat", nested_cells, "sequence 0 of traindata must be a matrix"),
    (".mat", inflated_mat, TOO_LARGE),
    (".mat", announced_cells, "at most 262,144 sequences, got 4,611,686,014,132,420,609"),
    (".mat", announced_sparse, TOO_LARGE),
    (".mat", many_cells, "at most 262,144 sequences, got 2,000,000"),
    (".mat", many_variables, "more than 1000 variables"),
    (".pickle", repeated_frame, "at most 8,388,608 notes"),
    (".pickle", repeated_sequence, TOO_LARGE),
    (".pickle", deep_lists, "more than 3,000,000 instructions"),
    (".pickle", deep_key, "a key must be a text"),
    (".pickle", repeated_calls, "not allowed for such a text"),
    (".pickle", announced_memo, "must hold a dict"),
    (".pickle", announced_bytes, "is damaged"),
]


def announce(path, size, content):
    """Make the one member of an archive, of `size` bytes, announce what begins it."""
    data = bytearray(path.read_bytes())
    # In the header of the member and in its entry of the directory.
    places = [match.start() for match in re.finditer(re.escape(struct.pack("<I", size)), data)]
    assert len(places) == 2
    for place in places:
        data[place - 8 : place - 4] = struct.pack("<I", zlib.crc32(content))
        data[place : place + 4] = struct.pack("<I", len(content))
    path.write_bytes(data)


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_array_of_more_bytes_than_announced_takes_no_memory(tmp_path, compression):
    n_bytes, paths = 128 * 2**20, []
    long_header = b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31 - 1)
    for begin in (npy_header((n_bytes,)), long_header, b"no array"):
        paths.append(tmp_path / f"{len(paths)}.npz")
        content = begin + bytes(n_bytes)
        with zipfile.ZipFile(paths[-1], "w", compression) as archive:
            archive.writestr("train.npy", content)
        announce(paths[-1], len(content), content[: 10**6])
    for outcome in read_all("npz", paths):
        assert "the .npz file is damaged" in (outcome.error or "")
        assert outcome.is_ours
        assert outcome.n_bytes < n_bytes / 4


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What became of the hostile files, by name; one process reads those of a format."""
    folder, paths = tmp_path_factory.mktemp("hostile"), {}
    for suffix, write, _ in HOSTILE:
        path = folder / f"{write.__name__}{suffix}"
        write(path)
        paths.setdefault(suffix, []).append(path)
    return {
        outcome.path.stem: outcome
        for suffix, of_format in paths.items()
        for outcome in read_all(suffix.removeprefix("."), of_format)
    }


@pytest.mark.parametrize(("write", "message"), [entry[1:] for entry in HOSTILE])
def test_hostile_files_are_refused_within_seconds_and_a_gigabyte(outcomes, write, message):
    outcome = outcomes[write.__name__]
    assert not outcome.fault
    assert message in (outcome.error or "")


def test_the_largest_data_are_read_within_the_same_bounds(tmp_path):
    path = tmp_path / "mine.npz"
    largest_reals(path)
    (outcome,) = read_all("npz", [path])
    assert (outcome.error, outcome.fault) == (None, "")


def test_numbers_of_thousands_of_digits_are_described(tmp_path):
    path = tmp_path / "mine.pickle"
    path.write_bytes(pickle.dumps({split: [[[10**5000]]] for split in SPLITS}))
    with pytest.raises(DataError, match="from 21 to 108, got an integer of about 5001 digits"):
        load(str(path))


def test_values_nested_thousands_deep_are_described(tmp_path):
    path = tmp_path / "mine.pickle"
    deep = 60
    for _ in range(5000):
        deep = [deep]
    with_limit = sys.getrecursionlimit()
    sys.setrecursionlimit(100_000)
    try:
        path.write_bytes(pickle.dumps({split: [[[deep]]] for split in SPLITS}))
    finally:
        sys.setrecursionlimit(with_limit)
    with pytest.raises(DataError, match=r"got \[\[\[\[\.\.\.\]\]\]\]"):
        load(str(path))


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize("dtype", [bool, np.float64])
def test_sparse_matrices_in_cells_are_those_matrices(small, tmp_path, dtype, compress):
    sparse = {
        f"{split}data": cells([scipy.sparse.csc_matrix(roll.astype(dtype)) for roll in rolls])
        for split, rolls in ((split, small.split(split)) for split in SPLITS)
    }
    scipy.io.savemat(tmp_path / "mine.mat", sparse, do_compression=compress)
    assert load(str(tmp_path / "mine.mat")).fingerprint == small.fingerprint


def test_sparse_real_matrices_keep_their_values(tmp_path):
    reals = [np.round(np.random.default_rng(1).standard_normal((6, 3)), 1) for _ in range(2)]
    reals[1][2:] = 0
    variables = {
        f"{split}data": cells([scipy.sparse.csc_matrix(m) for m in reals]) for split in SPLITS
    }
    scipy.io.savemat(tmp_path / "mine.mat", {**variables, "kind": "real"})
    for read, real in zip(load(str(tmp_path / "mine.mat")).valid, reals, strict=True):
        np.testing.assert_array_equal(read, real)


@pytest.mark.parametrize(
    ("rows", "starts"),
    [((5,), (0, 1)), ((-1,), (0, 1)), ((0,), (0, 2)), ((0,), (1, 1)), ((0,), (0,))],
)
def test_sparse_matrices_with_indices_out_of_range_are_refused(tmp_path, rows, starts):
    sparse = matrix(
        b"", 5, (3, 1), element(5, struct.pack(f"<{len(rows)}i", *rows)),
        element(5, struct.pack(f"<{len(starts)}i", *starts)), element(9, struct.pack("<d", 1)),
    )  # fmt: skip
    path = tmp_path / "mine.mat"
    path.write_bytes(mat_header() + matrix(b"traindata", 1, (1, 1), sparse))
    with pytest.raises(DataError, match="damaged or of another format"):
        load(str(path))


def test_other_variables_of_a_file_are_ignored(small, tmp_path):
    write_mat(
        tmp_path / "mine.mat", small, more={"a": 1}, deep=cells([cells([1])]), text="x" * 5000
    )
    assert load(str(tmp_path / "mine.mat")).fingerprint == small.fingerprint
    buffer = io.BytesIO()
    write_npz(buffer, small)
    arrays = dict(np.load(io.BytesIO(buffer.getvalue())))
    np.savez(tmp_path / "mine.npz", **arrays, objects=np.array([{}], object))
    assert load(str(tmp_path / "mine.npz")).fingerprint == small.fingerprint


@pytest.mark.parametrize("value", [np.eye(2) * 1j, {"a": 1}, np.array([[1, "a"]], object)])
def test_matrices_of_other_classes_are_refused(tmp_path, value):
    scipy.io.savemat(tmp_path / "mine.mat", {f"{split}data": cells([value]) for split in SPLITS})
    with pytest.raises(DataError, match="sequence 0 of traindata must be a matrix"):
        load(str(tmp_path / "mine.mat"))


def test_a_split_that_is_no_cells_is_refused(tmp_path):
    scipy.io.savemat(tmp_path / "mine.mat", {f"{split}data": {"a": 1} for split in SPLITS})
    with pytest.raises(DataError, match="traindata must be a row of cells, one matrix in each"):
        load(str(tmp_path / "mine.mat"))


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_of_a_mat_file(tmp_path, order):
    small = Dataset("x", "X", **{s: (np.array([[0, 1], [1, 0]], np.uint8),) for s in SPLITS})

    def part(kind, content):
        return struct.pack(f"{order}II", kind, len(content)) + content + bytes(-len(content) % 8)

    def named(name, kind, content):
        flags = struct.pack(f"{order}II", kind, 0)
        shape = struct.pack(f"{order}ii", *((1, 1) if kind == 1 else (2, 2)))
        return part(14, part(6, flags) + part(5, shape) + part(1, name) + content)

    numbers = part(9, struct.pack(f"{order}4d", 0, 1, 1, 0))
    variables = [named(f"{s}data".encode(), 1, named(b"", 6, numbers)) for s in SPLITS]
    header = b"MATLAB 5.0".ljust(124) + (b"\x00\x01IM" if order == "<" else b"\x01\x00MI")
    (tmp_path / "mine.mat").write_bytes(header + b"".join(variables))
    assert load(str(tmp_path / "mine.mat")).fingerprint == small.fingerprint
