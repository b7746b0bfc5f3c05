"""The trials by fire in their long form.

    PYTHONPATH=tests python -m chaos                 # all of them: hours
    PYTHONPATH=tests python -m chaos kills restarts  # some
    PYTHONPATH=tests python -m chaos long            # one outage of ten minutes

Needs PostgreSQL as the tests do, root for the small disk and for Slurm, which is Debian's
`slurm-wlm` and `munge`, and dask-jobqueue for `jobqueue`. Ends with a summary; exit code 1 if a
promise was broken.
"""

from __future__ import annotations

import argparse
import math
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from chaos import claims, conditions, crowd, disturbances, engines, own_study, slurm, study
from chaos.outcome import Outcome
from chaos.stores import BACKENDS
from postgres import PostgresServer

_SCENARIOS = {
    "claims": BACKENDS,
    "starters": BACKENDS,
    "latency": ("postgresql",),
    "kills": BACKENDS,
    "naps": BACKENDS,
    "restarts": ("postgresql",),
    "disk": ("sqlite",),
    "long": ("postgresql",),
    "rungs": BACKENDS,
    "signals": ("sqlite",),
    "clocks": ("sqlite",),
    "caches": ("sqlite",),
    "disks": ("sqlite",),
    "limits": ("sqlite",),
    "twins": ("sqlite",),
    "lost": ("postgresql",),
    "hangs": ("postgresql",),
    "crowd": ("postgresql",),
    "sizes": ("postgresql",),
    "dask": ("postgresql",),
    "slurm": ("postgresql",),
    "jobqueue": ("postgresql",),
}
"""What is disturbed, and on which databases."""

_SHORT = ("caches", "disks", "limits", "twins")
"""Scenarios that need no study that lasts."""


_CROWDS = {"crowd": (200, 10, 3.0, 50.0), "sizes": (4, 300, 0.0, math.inf)}
"""Workers, epochs of a trial, seconds of an epoch, and milliseconds for the median claim."""

# Room for the crowd, and a disk that is waited for, as on a server that people rely on.
_SETTINGS = {"max_connections": "700", "fsync": "on", "full_page_writes": "on"}


class _Studies:
    """Studies of small trials and their undisturbed numbers, made when they are asked for."""

    def __init__(self, folder: Path, n_trials: int) -> None:
        self._folder, self._n_trials = folder, n_trials
        self._made: dict[tuple[int, int], tuple[Path, study.Numbers]] = {}
        self._own: own_study.Result | None = None

    def lasting(self, n_epochs: int, n_trials: int | None = None) -> tuple[Path, study.Numbers]:
        size = n_trials or self._n_trials, n_epochs
        if size not in self._made:
            folder = self._folder / f"{size[0]}x{size[1]}"
            folder.mkdir()
            definition = study.write_study(folder, *size)
            self._made[size] = definition, study.undisturbed(definition, 2, limit_s=3600.0)
        return self._made[size]

    def own(self) -> own_study.Result:
        self._own = self._own or own_study.undisturbed()
        return self._own


def _run(
    scenario: str,
    backend: str,
    server: PostgresServer,
    studies: _Studies,
    options: argparse.Namespace,
) -> Outcome:
    seed = options.seed
    if scenario == "claims":
        return claims.claims(backend, server, n_processes=8, n_trials=200, n_rounds=20)
    if scenario == "starters":
        return claims.starters(backend, server, n_processes=8, n_rounds=20)
    if scenario == "latency":
        return claims.claims(
            backend,
            server,
            n_processes=64,
            n_trials=1000,
            n_rounds=1,
            pause_s=5.0,
            median_bar_ms=20.0,
        )
    if scenario in _CROWDS:
        n_workers, n_epochs, epoch_s, median_bar_ms = _CROWDS[scenario]
        return crowd.crowd(
            server,
            n_workers=n_workers,
            n_trials=1000,
            n_epochs=n_epochs,
            epoch_s=epoch_s,
            median_bar_ms=median_bar_ms,
        )
    if scenario == "rungs":
        return own_study.killed(backend, server, studies.own(), n_kills=3, seed=seed)
    # A study must outlast its disturbances; through an outage it goes on.
    n_epochs = {"restarts": 230, "long": 230, "signals": 800, "hangs": 1200, "slurm": 330}.get(
        scenario, 20 if scenario in _SHORT else 110
    )
    # A trial that ends while the server hangs waits for it; training is to continue meanwhile.
    n_trials = 8 if scenario == "hangs" else None
    lasting = studies.lasting(options.epochs or n_epochs, n_trials)
    run: Callable[[], Outcome] = {
        "kills": lambda: disturbances.kills(
            backend, server, *lasting, n_kills=100, longest_pause_s=6.0, seed=seed
        ),
        "naps": lambda: disturbances.naps(backend, server, *lasting, n_naps=10, seed=seed),
        "disk": lambda: disturbances.full_disks(*lasting, n_times=5, longest_s=15.0, seed=seed),
        "restarts": lambda: disturbances.restarts(
            server, *lasting, n_restarts=10, longest_s=60.0, seed=seed
        ),
        "long": lambda: disturbances.restarts(
            server, *lasting, n_restarts=1, longest_s=options.long, seed=seed
        ),
        "signals": lambda: conditions.signals(
            *lasting, n_signals=20, longest_pause_s=options.pause, seed=seed
        ),
        "clocks": lambda: conditions.clocks(*lasting, n_jumps=20, seed=seed),
        "lost": lambda: conditions.lost_stores(server, *lasting, pause_s=10.0),
        "hangs": lambda: disturbances.hangs(
            server, *lasting, stopped_s=120.0, n_cuts=20, seed=seed
        ),
        "dask": lambda: engines.dask(backend, server, *lasting, pause_s=20.0, seed=seed),
        "slurm": lambda: slurm.arrays(server, *lasting),
        "jobqueue": lambda: slurm.jobqueue(server, *lasting),
        "caches": lambda: conditions.caches(*lasting, seed=seed),
        "disks": lambda: conditions.disks(*lasting),
        "limits": lambda: conditions.limits(*lasting),
        "twins": lambda: conditions.twins(*lasting),
    }[scenario]
    return run()


def main() -> int:
    """Run the scenarios named on the command line."""
    parser = argparse.ArgumentParser(
        description="Trials by fire of the store and the workers, in their long form."
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(_SCENARIOS))
    parser.add_argument(
        "--long", type=float, default=600.0, help="seconds of the one outage of `long`"
    )
    parser.add_argument("--epochs", type=int, help="epochs of each small trial")
    parser.add_argument("--trials", type=int, default=32, help="trials of each study")
    parser.add_argument("--pause", type=float, default=30.0, help="most seconds before a signal")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    unknown = set(options.scenarios) - set(_SCENARIOS)
    if unknown:
        parser.error(f"unknown scenario {', '.join(unknown)}; known: {', '.join(_SCENARIOS)}")
    # nohup ignores SIGHUP, and all commands that it starts would; they do as on a terminal.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    outcomes = []
    with (
        PostgresServer(settings=_SETTINGS) as server,
        tempfile.TemporaryDirectory(prefix="fdrnn-chaos-") as folder,
    ):
        studies = _Studies(Path(folder), options.trials)
        for scenario in options.scenarios or _SCENARIOS:
            for backend in _SCENARIOS[scenario]:
                outcomes.append(_run(scenario, backend, server, studies, options))
                print(outcomes[-1], flush=True)
    n_broken = sum(bool(outcome.faults) for outcome in outcomes)
    print(f"{len(outcomes) - n_broken} of {len(outcomes)} trials by fire held")
    return 1 if n_broken else 0


if __name__ == "__main__":
    sys.exit(main())
