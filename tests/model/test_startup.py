import json
import os
import shutil
import subprocess
import sys

import pytest


def started(code, folder, **environment):
    """Return what the code prints after Theano has started in a process with a cache of its own."""
    done = subprocess.run(
        [sys.executable, "-c", f"from fdrnn.model.toolchain import theano\n{code}"],
        env={**os.environ, "FDRNN_CACHE_DIR": str(folder), **environment},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


FLAGS = "from theano.link.c.cmodule import GCC_compiler; print(GCC_compiler.compile_args())"


def test_the_second_process_takes_the_flags_of_the_cpu_from_the_first(tmp_path):
    calls = tmp_path / "calls"
    compiler = tmp_path / "logging-g++"
    compiler.write_text(f'#!/bin/sh\necho "$@" >> {calls}\nexec g++ "$@"\n')
    compiler.chmod(0o755)
    first = started(FLAGS, tmp_path, CXX=str(compiler))
    assert "-march=native -E -v -" in calls.read_text()
    calls.write_text("")
    assert started(FLAGS, tmp_path, CXX=str(compiler)) == first
    assert calls.read_text().splitlines() == ["-dumpversion"]


@pytest.mark.parametrize("command", ["c++", "env g++", "clang++"])
def test_a_compiler_of_another_name_or_with_options_has_the_flags_of_the_cpu(tmp_path, command):
    if shutil.which(command.split()[0]) is None:
        pytest.skip(f"no {command}")
    first = started(FLAGS, tmp_path, CXX=command)
    assert "-march=" in first
    assert started(FLAGS, tmp_path, CXX=command) == first
    assert len(list((tmp_path / "compile").glob("cpu-flags-*.json"))) == 1


def test_a_cpu_that_the_compiler_command_names_is_kept(tmp_path):
    assert "-march=" not in started(FLAGS, tmp_path, CXX="g++ -march=x86-64")


def test_a_damaged_file_is_written_anew(tmp_path):
    first = started(FLAGS, tmp_path)
    (file,) = (tmp_path / "compile").glob("cpu-flags-*.json")
    kept = json.loads(file.read_text())
    for damaged in ("", "{}", "[1]"):
        file.write_text(damaged)
        assert started(FLAGS, tmp_path) == first
        assert json.loads(file.read_text()) == kept


def test_flags_of_the_user_precede_those_of_the_cpu(tmp_path):
    started("", tmp_path)
    flags = started(FLAGS, tmp_path, THEANO_FLAGS="gcc__cxxflags=-march=x86-64")
    assert "march=x86-64" in flags
    assert flags.count("-march=") == 1


def test_a_failure_of_the_compiler_is_not_remembered(tmp_path):
    broken, compiler = tmp_path / "broken", tmp_path / "failing-g++"
    compiler.write_text(f'#!/bin/sh\ntest -e {broken} && exit 1\nexec g++ "$@"\n')
    compiler.chmod(0o755)
    broken.touch()
    assert "-march=" not in started(FLAGS, tmp_path, CXX=str(compiler))
    broken.unlink()
    assert "-march=" in started(FLAGS, tmp_path, CXX=str(compiler))


def test_what_theano_does_not_import_can_be_imported_and_used(tmp_path):
    code = (
        "import sys; print('scipy.stats' in sys.modules)\n"
        "from theano.scalar.basic_scipy import chi2sf; print(chi2sf.impl(0.0, 2.0))\n"
        "import scipy.stats, scipy.signal.signaltools; print(scipy.stats.norm.cdf(0.0))"
    )
    assert started(code, tmp_path).split() == ["False", "1.0", "0.5"]
