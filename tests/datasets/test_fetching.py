"""Fetching from mirrors on the loopback interface: intact, wrong, truncated, dead ones."""

from __future__ import annotations

import hashlib
import logging
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fdrnn.datasets import Benchmark, BenchmarkFile, CacheError, FetchError
from fdrnn.datasets.cache import data_directory
from fdrnn.datasets.fetching import cached_file, fetch_benchmark

CONTENT = {"mat": b"m" * 50_000, "pickle": b"p" * 30_000}


class Mirror:
    """A server whose answers are (status, body, announced length) by path."""

    def __init__(self):
        self.answers = {}
        self.requests = []
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                mirror.requests.append(self.path)
                status, body, length = mirror.answers.get(self.path, (404, b"", 0))
                self.send_response(status)
                self.send_header("Content-Length", str(length))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def url(self, path):
        return f"http://127.0.0.1:{self.server.server_port}{path}"

    def serve(self, path, body, status=200, length=None):
        self.answers[path] = (status, body, len(body) if length is None else length)
        return self.url(path)

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    mirror = Mirror()
    yield mirror
    mirror.close()


@pytest.fixture
def dead_url() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/x"


def benchmark(mat_urls=(), pickle_urls=()):
    def file(form, urls):
        return BenchmarkFile(f"x.{form}", hashlib.sha256(CONTENT[form]).hexdigest(), tuple(urls))

    return Benchmark("x", "X set", 1.0, file("mat", mat_urls), file("pickle", pickle_urls))


def files_in_cache():
    return {path.name: path.read_bytes() for path in data_directory().iterdir()}


def test_the_first_mirror_that_works_is_taken_and_then_the_cache(mirror):
    x = benchmark([mirror.serve("/a", CONTENT["mat"]), mirror.url("/never")])

    assert cached_file(x) is None
    assert fetch_benchmark(x) == x.mat
    assert fetch_benchmark(x) == x.mat
    assert cached_file(x) == x.mat
    assert mirror.requests == ["/a"]
    assert files_in_cache() == {"x.mat": CONTENT["mat"]}


def test_bad_mirrors_are_passed_over_in_turn_and_leave_nothing(mirror, dead_url):
    x = benchmark(
        [
            dead_url,
            mirror.url("/gone"),
            mirror.serve("/other", b"another file"),
            mirror.serve("/short", CONTENT["mat"][:100], length=len(CONTENT["mat"])),
            mirror.serve("/error", CONTENT["mat"], status=500),
        ],
        [mirror.serve("/good", CONTENT["pickle"])],
    )

    assert fetch_benchmark(x) == x.pickle
    assert mirror.requests == ["/gone", "/other", "/short", "/error", "/good"]
    assert files_in_cache() == {"x.pickle": CONTENT["pickle"]}


def test_when_every_mirror_fails_the_line_says_how_and_what_to_do(mirror, dead_url):
    x = benchmark([dead_url, mirror.url("/gone")], [mirror.serve("/other", b"another file")])

    with pytest.raises(FetchError) as caught:
        fetch_benchmark(x)

    line = str(caught.value)
    assert "\n" not in line
    assert "X set could not be fetched" in line
    assert f"{dead_url}: no connection" in line
    assert f"{mirror.url('/gone')}: HTTP status 404" in line
    assert f"{mirror.url('/other')}: the file received has the wrong checksum" in line
    assert "'x.mat' or 'x.pickle'" in line
    assert "--data-dir" in line
    assert isinstance(caught.value, ConnectionError)
    assert files_in_cache() == {}


def test_a_damaged_cached_file_is_named_and_fetched_again(mirror, caplog):
    x = benchmark([mirror.serve("/a", CONTENT["mat"])])
    fetch_benchmark(x)
    path = data_directory() / "x.mat"
    path.write_bytes(CONTENT["mat"][:-1])

    with caplog.at_level(logging.WARNING):
        assert fetch_benchmark(x) == x.mat
    assert f"{path} is damaged" in caplog.text
    assert files_in_cache() == {"x.mat": CONTENT["mat"]}


def test_a_cached_file_may_be_read_by_every_user(mirror):
    made = benchmark([mirror.serve("/mat", CONTENT["mat"])])
    file = fetch_benchmark(made)
    assert (data_directory() / file.name).stat().st_mode & 0o777 == 0o644


def test_a_cached_file_that_cannot_be_read_is_one_line(dead_url):
    made = benchmark([dead_url])
    (data_directory() / made.mat.name).mkdir(parents=True)
    with pytest.raises(CacheError, match=r"is a directory.*FDRNN_CACHE_DIR"):
        fetch_benchmark(made)


def test_a_damaged_cached_file_does_not_stay_when_no_mirror_answers(dead_url):
    x = benchmark([dead_url])
    data_directory().mkdir(parents=True)
    (data_directory() / "x.mat").write_bytes(b"damaged")

    with pytest.raises(FetchError):
        fetch_benchmark(x)
    assert files_in_cache() == {}


def test_several_at_once_all_end_with_the_whole_file(mirror):
    x = benchmark([mirror.serve("/a", CONTENT["mat"])])
    fetched = []
    threads = [
        threading.Thread(target=lambda: fetched.append(fetch_benchmark(x))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fetched == [x.mat] * 6
    assert files_in_cache() == {"x.mat": CONTENT["mat"]}


def test_the_progress_bar_goes_to_standard_error_and_only_on_demand(mirror, capfd):
    x = benchmark([mirror.serve("/a", CONTENT["mat"])])
    fetch_benchmark(x)
    assert capfd.readouterr() == ("", "")

    (data_directory() / "x.mat").unlink()
    fetch_benchmark(x, progress=True)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "100%" in shown.err
