from __future__ import annotations

import threading

import pytest

from fdrnn.datasets import CacheError, cache_directory
from fdrnn.datasets.cache import write_atomically


def test_the_environment_names_the_cache_directory(cache):
    assert cache_directory() == cache
    assert not cache.exists()


def test_an_interrupted_write_leaves_the_old_file_and_nothing_else(cache):
    path = cache / "file"
    write_atomically(path, lambda file: file.write(b"old"))

    def fail(file):
        file.write(b"ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, fail)
    assert path.read_bytes() == b"old"
    assert list(cache.iterdir()) == [path]


def test_a_reader_beside_several_writers_only_sees_whole_files(cache):
    path = cache / "file"
    contents = [bytes([letter]) * 200_000 for letter in b"abc"]
    write_atomically(path, lambda file: file.write(contents[0]))

    def write(content):
        for _ in range(30):
            write_atomically(path, lambda file: file.write(content))

    writers = [threading.Thread(target=write, args=(content,)) for content in contents]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        seen.add(path.read_bytes())
    for writer in writers:
        writer.join()
    assert seen | {path.read_bytes()} <= set(contents)
    assert list(cache.iterdir()) == [path]


def test_a_cache_directory_that_cannot_be_made_is_told_with_the_way_out(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CacheError, match="FDRNN_CACHE_DIR") as caught:
        write_atomically(tmp_path / "file" / "below" / "x", lambda file: file.write(b""))
    assert isinstance(caught.value, OSError)
    assert "\n" not in str(caught.value)
