"""Paths as users give them, reading of regular files, atomic writing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from fdrnn.datasets import FileError, MissingFileError, PathError, load, read_file, user_path
from fdrnn.datasets.files import size_shown, write_atomically


def test_home_and_relative_paths_become_absolute(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.chdir(tmp_path)
    assert user_path("~/music") == Path("/home/ada/music")
    assert user_path("music.npz") == tmp_path / "music.npz"
    (tmp_path / "below").mkdir()
    assert user_path("below/../music.npz") == tmp_path / "music.npz"
    # By way of a link, the folder above is another one.
    (tmp_path / "below" / "deep").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "below" / "deep")
    assert user_path("link/../music.npz") == tmp_path / "link" / ".." / "music.npz"


@pytest.mark.parametrize(
    "text", ["~nobody-of-that-name/x.npz", "a\0.npz", "\ud800.npz", "x" * 300 + ".npz"]
)
def test_a_text_that_is_no_path_is_one_line(text):
    for use in (user_path, load):
        with pytest.raises(PathError) as caught:
            use(text)
        assert "\n" not in str(caught.value)


def test_a_relative_path_without_a_current_directory_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(PathError, match="write it out in full"):
        user_path("mine.npz")


@pytest.fixture(params=["pipe", "device", "directory", "socket"])
def irregular(request, tmp_path):
    """A path of something other than a regular file, and what a message calls it."""
    path = tmp_path / "thing.npz"
    if request.param == "pipe":
        os.mkfifo(path)
        yield path, "a named pipe"
    elif request.param == "device":
        path.symlink_to("/dev/zero")
        yield path, "a device"
    elif request.param == "directory":
        path.mkdir()
        yield path, "a directory"
    else:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
            yield path, "a socket"


@pytest.mark.parametrize("use", [read_file, lambda path: load(str(path))])
def test_only_regular_files_are_read_and_nothing_is_waited_for(irregular, use):
    path, name = irregular
    with pytest.raises(FileError, match=f"is {name}; a (data )?file must be a regular file"):
        use(path)


def test_a_path_that_becomes_a_pipe_after_the_check_is_not_waited_for(tmp_path, monkeypatch):
    regular = tmp_path / "regular"
    regular.write_bytes(b"x")
    os.mkfifo(tmp_path / "pipe")
    status = regular.stat()
    monkeypatch.setattr(Path, "stat", lambda _: status)
    with pytest.raises(FileError, match="is a named pipe"):
        read_file(tmp_path / "pipe")


def test_a_size_limit_is_part_of_the_message(tmp_path):
    path = tmp_path / "big"
    path.write_bytes(b"x" * 3000)
    assert read_file(path, limit_bytes=3000) == b"x" * 3000
    with pytest.raises(FileError, match=r"a thing may have at most 2 KiB, got 2\.93 KiB"):
        read_file(path, limit_bytes=2048, what="thing")
    # Its size is announced as 0.
    with pytest.raises(FileError, match="may have at most 5 bytes"):
        read_file(Path("/proc/self/status"), limit_bytes=5)
    assert size_shown(5 * 2**30) == "5 GiB"


def test_a_missing_file_is_named_with_what_it_should_be(tmp_path):
    with pytest.raises(MissingFileError, match=r"there is no checkpoint .*nothing"):
        read_file(tmp_path / "nothing", what="checkpoint")
    with pytest.raises(FileError, match="cannot be read: Not a directory"):
        read_file(Path("/etc/hostname/x"))


def test_a_new_file_has_the_permissions_of_the_umask_in_a_new_folder(tmp_path):
    path = tmp_path / "new" / "folder" / ("x" * 250)
    before = os.umask(0o027)
    try:
        write_atomically(path, b"content")
    finally:
        os.umask(before)
    assert path.read_bytes() == b"content"
    assert path.stat().st_mode & 0o777 == 0o640
    assert list(path.parent.iterdir()) == [path]


def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_devices_pipes_and_directories_are_not_replaced(irregular):
    path, name = irregular
    kind = path.stat().st_mode
    with pytest.raises(FileError, match=f"is {name}; a file to write must be a regular file"):
        write_atomically(path, b"x")
    assert path.stat().st_mode == kind


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(file):
        file.write(b"ne")
        raise error

    with pytest.raises(error):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    code = (
        "import os, signal, sys, pathlib\n"
        "from fdrnn.datasets.files import write_atomically\n"
        "def write(file):\n"
        "    file.write(b'n' * 10**6)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_atomically(pathlib.Path(sys.argv[1]), write)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, path], check=False)
    assert ended.returncode == -9
    assert path.read_bytes() == b"old"


def test_a_reader_beside_several_writers_only_sees_whole_files(tmp_path):
    path = tmp_path / "file"
    contents = [bytes([letter]) * 200_000 for letter in b"abc"]
    write_atomically(path, contents[0])

    def write(content):
        for _ in range(30):
            write_atomically(path, content)

    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        seen.add(path.read_bytes())
    for writer in writers:
        writer.join()
    assert seen | {path.read_bytes()} <= set(contents)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("place", "reason"), [("file/below/x", "Not a directory"), ("y" * 300, "File name too long")]
)
def test_a_path_that_cannot_be_written_is_one_line_with_the_way_out(tmp_path, place, reason):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileError, match=f"cannot be written: {reason}; name a better one"):
        write_atomically(tmp_path / place, b"", way_out="name a better one")


def test_a_full_disk_is_one_line(tmp_path):
    def write(file):
        with Path("/dev/full").open("wb", buffering=0) as full:
            full.write(b"x")

    with pytest.raises(FileError, match="cannot be written: No space left on device"):
        write_atomically(tmp_path / "x", write)
    assert not list(tmp_path.iterdir())
