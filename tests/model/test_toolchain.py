import errno
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from filelock import FileLock

from fdrnn.datasets import cache_directory
from fdrnn.model import OUTPUTS, VARIANTS
from fdrnn.model.errors import ToolchainError
from fdrnn.model.network import Network, network
from fdrnn.model.ops.sources import product_object
from fdrnn.model.toolchain import (
    check_toolchain,
    compile_directory,
    compile_object,
    compiled,
    theano,
)

from .digests import NETWORKS


def test_no_compiler(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ToolchainError, match="no C\\+\\+ compiler: 'no-such-compiler'"):
        check_toolchain()


def test_no_headers(monkeypatch, tmp_path):
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    with pytest.raises(ToolchainError, match="no Python headers"):
        check_toolchain()


@pytest.mark.parametrize("value", ["", "  ", "g++ -m64", "'g++'"])
def test_a_compiler_with_options_or_none(monkeypatch, value):
    monkeypatch.setenv("CXX", value)
    check_toolchain()


def test_a_compiler_whose_quotes_do_not_match(monkeypatch):
    monkeypatch.setenv("CXX", "g++ '-m64")
    with pytest.raises(ToolchainError, match='CXX must be a command, got "g\\+\\+ \'-m64"'):
        check_toolchain()


def run(code, folder, **environment):
    """Return what the code prints, in a process with `folder` as home and cache."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "HOME": str(folder), "FDRNN_CACHE_DIR": str(folder), **environment},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


COMPILE = """
from fdrnn.datasets import FdrnnError
try:
    from fdrnn.model.toolchain import compiled, theano
    x = theano.tensor.fvector()
    print(compiled([x], x + x)([2])[0])
except FdrnnError as error:
    print(type(error).__name__, error)
"""


def test_an_error_of_the_system_is_said_in_words(monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "mod.cpp")

    monkeypatch.setattr(theano, "function", full)
    with pytest.raises(ToolchainError, match=r"No space left on device: 'mod\.cpp'"):
        compiled([], [])


def test_an_error_in_building_the_expressions_is_no_trouble_of_the_machine(monkeypatch):
    # That of a plug-in, say: the trial fails with its traceback.
    def broken(*_):
        raise RuntimeError("oops")

    monkeypatch.setattr(type(VARIANTS["plain"]), "activations", broken)
    with pytest.raises(RuntimeError, match="oops"):
        Network(VARIANTS["plain"], OUTPUTS["bernoulli"])


def test_a_compiler_behind_a_wrapper_compiles(tmp_path):
    wrapper = tmp_path / "my wrapper"
    wrapper.write_text('#!/bin/sh\necho "$1" >> "$0.used"\nexec "$@"\n')
    wrapper.chmod(0o755)
    assert run(COMPILE, tmp_path, CXX=f"'{wrapper}' g++") == "4.0"
    assert set((tmp_path / "my wrapper.used").read_text().split()) == {"g++"}


@pytest.mark.parametrize("name", ["a cache", 'it\'s a "cache", #1'])
def test_a_cache_whose_path_has_a_space_and_quotes(tmp_path, name):
    assert run(COMPILE, tmp_path / name) == "4.0"
    assert list((tmp_path / name / "compile").glob("compiledir_*"))
    assert not list(tmp_path.rglob("*.gch"))


def test_headers_are_parsed_once_and_no_process_waits_for_the_lock_of_all_modules(tmp_path):
    run(COMPILE, tmp_path)
    assert len(list((tmp_path / "compile").glob("headers-*.h.gch"))) == 1
    (folder,) = (tmp_path / "compile").glob("compiledir_*")
    with FileLock(folder / ".lock"):
        # At its end a process waits for it, to clean up.
        code = COMPILE.replace("x + x", "x * x") + "import os, sys; sys.stdout.flush(); os._exit(0)"
        assert run(code, tmp_path) == "4.0"


def test_headers_are_parsed_anew_for_another_numpy(tmp_path):
    run(COMPILE, tmp_path)
    assert run("import numpy; numpy.__version__ += '.post1'\n" + COMPILE, tmp_path) == "4.0"
    assert len(list((tmp_path / "compile").glob("headers-*.h.gch"))) == 2


@pytest.mark.skipif(shutil.which("clang++") is None, reason="no clang++")
@pytest.mark.parametrize("choice", [{"CXX": "clang++"}, {"THEANO_FLAGS": "cxx=clang++"}])
def test_clang_which_refuses_headers_of_another_time_gets_none(tmp_path, choice):
    assert run(COMPILE, tmp_path, **choice) == "4.0"
    assert not list(tmp_path.rglob("*.gch"))


@pytest.fixture
def empty_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FDRNN_CACHE_DIR", str(tmp_path))
    compile_directory().mkdir()


@pytest.mark.usefixtures("empty_cache")
def test_who_need_an_object_at_once_compile_it_once(monkeypatch):
    commands = []

    def counted(command, run=subprocess.run, **options):
        commands.append(command)
        return run(command, **options)

    monkeypatch.setattr("subprocess.run", counted)
    with ThreadPoolExecutor(4) as pool:
        paths = set(pool.map(lambda _: compile_object("one", "int one() { return 1; }"), range(4)))
    assert len(paths) == len(commands) == 1
    assert paths.pop().stat().st_size > 0
    assert [path.suffix for path in compile_directory().iterdir()].count(".o") == 1


@pytest.mark.usefixtures("empty_cache")
def test_another_source_or_other_flags_are_another_object(monkeypatch):
    source = "int one() { return 1; }"
    paths = [compile_object("one", source), compile_object("one", source.replace("1", "2"))]
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    paths.append(compile_object("one", source))
    assert len(set(paths)) == 3


@pytest.mark.usefixtures("empty_cache")
def test_an_object_that_does_not_compile():
    with pytest.raises(ToolchainError, match=r"compilation failed: .*nothing"):
        compile_object("one", "int one() { return nothing; }")
    assert [path.suffix for path in compile_directory().iterdir()] == [".lock"]


def test_products_of_the_two_types_are_two_objects():
    assert product_object("float32") != product_object("float64")


@pytest.mark.parametrize("named", [False, True], ids=["~/.theanorc", "THEANORC"])
def test_configuration_files_of_theano_are_ignored(tmp_path, named):
    (tmp_path / ".theanorc").write_text("[global]\nmode = FAST_COMPILE\nopenmp = True\n")
    environment = {"THEANORC": str(tmp_path / ".theanorc")} if named else {}
    # Nothing is compiled but what Theano needs for itself, which is there.
    cache = {"FDRNN_CACHE_DIR": str(cache_directory())}
    code = (
        "import os; from fdrnn.model.toolchain import theano\n"
        "print(theano.config.mode, theano.config.openmp, os.environ.get('THEANORC'))"
    )
    assert (
        run(code, tmp_path, **environment, **cache) == f"Mode False {environment.get('THEANORC')}"
    )


def test_flags_of_the_user_are_named_where_compilation_fails(tmp_path):
    message = run(COMPILE, tmp_path, THEANO_FLAGS="gcc__cxxflags=-fno-such-option")
    assert message.startswith("ToolchainError ")
    assert "THEANO_FLAGS='gcc__cxxflags=-fno-such-option'" in message


def test_training_never_turns_into_double_precision():
    # In a separate process: the tests of the model lift the flag.
    code = (
        "from fdrnn.model.toolchain import theano\n"
        "try: theano.tensor.dmatrix()\n"
        "except Exception as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "float64" in done.stdout


def test_flags_of_the_user_are_kept():
    code = "from fdrnn.model.toolchain import theano; print(theano.config.allow_gc)"
    environment = {**os.environ, "THEANO_FLAGS": "allow_gc=True"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True"


WARM = """
from theano.link.c.basic import CLinker

def refused(linker, location=None):
    raise SystemExit(f"compiles {[node.op for node in linker.node_order]}")

CLinker.compile_cmodule = refused
"""
N_PROCESSES = 2


def test_a_warm_process_compiles_nothing():
    """Every variant and every output, after this process has compiled them."""
    for names in NETWORKS:
        network(*names)
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"from fdrnn.model.toolchain import theano\n{WARM}\n"
                "from fdrnn.model.network import network\n"
                f"for names in {NETWORKS[part::N_PROCESSES]}: network(*names)\n",
            ]
        )
        for part in range(N_PROCESSES)
    ]
    assert [process.wait() for process in processes] == [0] * N_PROCESSES


def test_names_and_hyperparameters_need_no_theano():
    code = "import sys, fdrnn.model; sys.exit('theano' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_compiler_that_does_not_work_is_one_line(tmp_path):
    compiler = tmp_path / "g++"
    compiler.write_text("#!/bin/sh\necho 'internal compiler error' >&2\nexit 1\n")
    compiler.chmod(0o755)
    code = (
        "from fdrnn.datasets import FdrnnError\n"
        "try:\n"
        "    from fdrnn.model.network import network\n"
        "    network('plain', 'bernoulli')\n"
        "except FdrnnError as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    environment = {**os.environ, "CXX": str(compiler), "FDRNN_CACHE_DIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("ToolchainError the network cannot be compiled: ")
    assert "internal compiler error" in done.stdout
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr
