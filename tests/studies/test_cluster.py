"""The manifests for Kubernetes and the script for Slurm, without either."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from fdrnn.search.errors import PatienceError

CLUSTER = Path(__file__).parents[2] / "studies" / "cluster"
SLURM = CLUSTER / "slurm.sh"
SETUP = "kubernetes-setup.yaml"
WORKERS = "kubernetes-workers.yaml"
MANIFESTS = (SETUP, WORKERS)
KUBERNETES = ("1.28", kubernetes_validate.latest_version())


def manifest(name: str) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load((CLUSTER / name).read_text())
    return parsed


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests_are_kubernetes_own(name: str, version: str) -> None:
    kubernetes_validate.validate(manifest(name), version, strict=True)


@pytest.mark.parametrize("name", MANIFESTS)
def test_pods_keep_to_the_restricted_standard(name: str) -> None:
    pod = manifest(name)["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert {next(iter(volume.keys() - {"name"})) for volume in pod["volumes"]} == {
        "secret",
        "emptyDir",
    }


@pytest.mark.parametrize("name", MANIFESTS)
def test_the_url_comes_from_the_secret(name: str) -> None:
    pod = manifest(name)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "store-url"]
    assert container["env"] == [{"name": "FDRNN_STORAGE", "value": f"@{mount['mountPath']}/url"}]


def test_workers_train_the_study_that_setup_creates() -> None:
    setup, workers = (
        manifest(name)["spec"]["template"]["spec"]["containers"][0] for name in MANIFESTS
    )
    assert setup["image"] == workers["image"]
    assert setup["args"][:2] == ["study", "create"]
    assert workers["args"] == ["worker", setup["args"][2]]


def test_workers_are_a_work_queue() -> None:
    job = manifest(WORKERS)["spec"]
    assert job["parallelism"] > 1
    assert "completions" not in job
    assert job["template"]["spec"]["terminationGracePeriodSeconds"] > 10
    ignored = [rule.get("onExitCodes") for rule in job["podFailurePolicy"]["rules"]]
    assert {"operator": "In", "values": [PatienceError.exit_code]} in ignored


@pytest.mark.parametrize("check", [("bash", "-n"), (Path(sys.executable).with_name("shellcheck"),)])
def test_the_slurm_script_is_sound(check: tuple[str | Path, ...]) -> None:
    checked = subprocess.run([*check, SLURM], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize(
    ("code", "requeued"),
    [(0, ""), (1, ""), (2, ""), *((code, "requeue 7_3\n") for code in (75, 130, 143))],
)
def test_a_stopped_task_is_queued_again_and_no_other(
    code: int, requeued: str, tmp_path: Path
) -> None:
    commands = {
        "fdrnn": "exit 9",
        "srun": f'echo "$*|$FDRNN_STORAGE|$FDRNN_DATA_DIR|$FDRNN_CACHE_DIR"; exit {code}',
        "scontrol": f'echo "$*" >> {tmp_path}/requeued',
    }
    for name, line in commands.items():
        command = tmp_path / "bin" / name
        command.parent.mkdir(exist_ok=True)
        command.write_text(f"#!/bin/sh\n{line}\n")
        command.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}/bin:{os.environ['PATH']}",
        "HOME": "/home/ada",
        "SCRATCH": "/scratch/ada",
        "SLURM_ARRAY_JOB_ID": "7",
        "SLURM_ARRAY_TASK_ID": "3",
    }
    task = subprocess.run(
        ["bash", SLURM, "jsb"], env=environment, capture_output=True, text=True, check=False
    )
    assert task.returncode == code
    assert task.stdout.strip() == "|".join(
        (
            "fdrnn worker jsb",
            "@/home/ada/.fdrnn-url",
            "/scratch/ada/fdrnn/data",
            f"/tmp/fdrnn-cache-{os.getuid()}",
        )
    )
    requests = tmp_path / "requeued"
    assert (requests.read_text() if requests.exists() else "") == requeued


def test_a_task_without_fdrnn_is_one_line(tmp_path: Path) -> None:
    task = subprocess.run(
        ["/bin/bash", SLURM, "jsb"],
        env={"PATH": str(tmp_path), "HOME": "/home/ada"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert task.returncode == 2
    assert task.stderr == (
        "slurm.sh: fdrnn is not on the PATH: activate its environment before sbatch\n"
    )
