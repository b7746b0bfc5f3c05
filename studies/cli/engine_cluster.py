"""Clusters of Dask: a scheduler's address, or jobs of a queueing system by dask-jobqueue."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from fdrnn.datasets.errors import one_line, shown
from fdrnn.studies.errors import OptionError

JOBQUEUE = "jobqueue:"
"""Begins the address of a cluster that is made by dask-jobqueue."""

_INSTALL = (
    "not installed; in fdrnn's repository `python3.11 -m pip --python "
    f"{shlex.quote(sys.executable)} install '.[dask]'` installs it"
)

_SHORTEST_WALL_S = 120

_QUEUES = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "sge": "SGECluster",
    "lsf": "LSFCluster",
    "htcondor": "HTCondorCluster",
    "oar": "OARCluster",
    "moab": "MoabCluster",
    "local": "LocalCluster",
}


def require_cluster(address: str, n_workers: int | None, adapt: tuple[int, int] | None) -> None:
    """Check options of a cluster; parameters are those of `cluster_of`.

    Raises
    ------
    OptionError
        If Dask or dask-jobqueue is not installed, dask-jobqueue knows no such system, or the
        number of jobs is missing.
    """
    if find_spec("distributed") is None:
        raise OptionError(f"--dask needs Dask, which is {_INSTALL}")
    if not address.startswith(JOBQUEUE):
        if adapt is not None:
            raise OptionError(f"--adapt needs a cluster that is made: --dask {JOBQUEUE}slurm")
        return
    name = address.removeprefix(JOBQUEUE)
    if name not in _QUEUES:
        raise OptionError(
            f"--dask {JOBQUEUE}NAME must name one of {', '.join(_QUEUES)}, got {shown(name)}"
        )
    if find_spec("dask_jobqueue") is None:
        raise OptionError(f"--dask {JOBQUEUE}{name} needs dask-jobqueue, which is {_INSTALL}")
    if n_workers is None and adapt is None:
        raise OptionError("--dask jobqueue needs the number of jobs: add --workers or --adapt")


@contextlib.contextmanager
def cluster_of(
    address: str, n_workers: int | None, adapt: tuple[int, int] | None
) -> Iterator[tuple[Any, int | None]]:
    """Yield what a client connects to, and the number of tasks.

    Parameters
    ----------
    address
        The address of a scheduler, or `JOBQUEUE` and the name of a queueing system. A cluster of
        the user's own Dask configuration is then made, and closed at the end. Dask's workers
        leave before the wall time of their jobs, one after the other.
    n_workers
        Tasks, and jobs of a cluster that is made.
    adapt
        Fewest and most jobs of a cluster that follows the number of tasks; None for a fixed one.
    """
    if not address.startswith(JOBQUEUE):
        yield address, n_workers
        return
    name = address.removeprefix(JOBQUEUE)
    fewest, most = adapt or (n_workers, n_workers)
    import dask  # noqa: PLC0415
    import dask_jobqueue  # noqa: PLC0415
    from dask_jobqueue.local import LocalCluster  # noqa: PLC0415

    arguments = _lifetime(name)
    made = LocalCluster if name == "local" else getattr(dask_jobqueue, _QUEUES[name])
    # A task lasts as long as the study: the cluster is to grow to all of them at once.
    tasks = {"distributed.scheduler.default-task-durations": {"train": "1h"}}
    with dask.config.set(tasks), contextlib.ExitStack() as stack:
        try:
            cluster = stack.enter_context(made(worker_extra_args=arguments))
            # A cluster that adapts only logs that its jobs are refused.
            cluster.worker_spec.update(cluster.new_worker_spec())
            cluster.sync(_submit, cluster)
        except (OSError, RuntimeError, ValueError) as error:
            # What a command of the queue has printed last, or a missing key with an example.
            lines = str(error).strip().splitlines()
            reason = lines[0 if isinstance(error, ValueError) else -1].removesuffix(
                ", for example:"
            )
            raise OptionError(
                f"--dask {address}: the first job cannot be submitted: {one_line(reason)}; check "
                f"the queue, and jobqueue.{name} of your Dask configuration"
            ) from error
        # A fixed number adapts, too: `scale` replaces no job that has ended.
        cluster.adapt(minimum_jobs=fewest, maximum_jobs=most)
        yield cluster, most


async def _submit(cluster: Any) -> None:
    import distributed  # noqa: PLC0415

    try:
        await cluster
    except BaseException:
        # The cluster must not wait for their end when it closes.
        for job in cluster.workers.values():
            job.status = distributed.Status.failed
        cluster.workers.clear()
        raise


def _lifetime(name: str) -> list[str]:
    """Return the options of Dask's workers that have them leave before the wall time.

    Raises
    ------
    OptionError
        If the wall time is shorter than `_SHORTEST_WALL_S`.
    """
    import dask  # noqa: PLC0415

    given = dask.config.get(f"jobqueue.{name}.worker-extra-args", None) or []
    walltime = dask.config.get(f"jobqueue.{name}.walltime", None)
    if not walltime or any(word.partition("=")[0] == "--lifetime" for word in given):
        return list(given)
    try:
        hours, minutes, seconds = map(int, str(walltime).split(":"))
    except ValueError:
        # Queueing systems have forms of their own: Slurm's days, LSF's hours and minutes.
        return list(given)
    wall_s = 3600 * hours + 60 * minutes + seconds
    if wall_s < _SHORTEST_WALL_S:
        raise OptionError(
            f"--dask {JOBQUEUE}{name}: jobqueue.{name}.walltime of your Dask configuration must be "
            "at least 00:02:00, because Dask's workers leave a minute before it, got "
            f"{shown(walltime)}; raise it, or set --lifetime in worker-extra-args"
        )
    stagger_s = wall_s // 20
    lifetime_s = wall_s - 2 * stagger_s - 60
    return [*given, "--lifetime", f"{lifetime_s}s", "--lifetime-stagger", f"{stagger_s}s"]
