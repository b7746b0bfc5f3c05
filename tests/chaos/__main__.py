"""The trials by fire in their long form.

    PYTHONPATH=tests python -m chaos                 # all of them: more than an hour
    PYTHONPATH=tests python -m chaos kills restarts  # some
    PYTHONPATH=tests python -m chaos long            # one outage of ten minutes

Needs PostgreSQL as the tests do, and root for the small disk. Ends with a summary; exit code 1
if a promise was broken.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from chaos import claims, disturbances, own_study, study
from chaos.outcome import Outcome
from chaos.stores import BACKENDS, servers
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
}
"""What is disturbed, and on which databases."""


class _Studies:
    """Studies of small trials and their undisturbed numbers, made when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._made: dict[int, tuple[Path, study.Numbers]] = {}
        self._own: own_study.Result | None = None

    def lasting(self, n_epochs: int) -> tuple[Path, study.Numbers]:
        if n_epochs not in self._made:
            folder = self._folder / str(n_epochs)
            folder.mkdir()
            definition = study.write_study(folder, n_trials=32, n_epochs=n_epochs)
            self._made[n_epochs] = definition, study.undisturbed(definition, 2, limit_s=3600.0)
        return self._made[n_epochs]

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
    # A study must outlast its disturbances; through an outage it goes on.
    match scenario:
        case "claims":
            outcome = claims.claims(backend, server, n_processes=8, n_trials=200, n_rounds=20)
        case "starters":
            outcome = claims.starters(backend, server, n_processes=8, n_rounds=20)
        case "latency":
            outcome = claims.claims(
                backend,
                server,
                n_processes=64,
                n_trials=1000,
                n_rounds=1,
                pause_s=5.0,
                median_bar_ms=20.0,
            )
        case "kills":
            lasting = studies.lasting(options.epochs or 110)
            outcome = disturbances.kills(
                backend, server, *lasting, n_kills=100, longest_pause_s=6.0, seed=seed
            )
        case "naps":
            lasting = studies.lasting(options.epochs or 110)
            outcome = disturbances.naps(backend, server, *lasting, n_naps=10, seed=seed)
        case "disk":
            lasting = studies.lasting(options.epochs or 110)
            outcome = disturbances.full_disks(*lasting, n_times=5, longest_s=15.0, seed=seed)
        case "rungs":
            outcome = own_study.killed(backend, server, studies.own(), n_kills=3, seed=seed)
        case _:
            lasting = studies.lasting(options.epochs or 230)
            n_restarts, longest_s = (1, options.long) if scenario == "long" else (10, 60.0)
            outcome = disturbances.restarts(
                server, *lasting, n_restarts=n_restarts, longest_s=longest_s, seed=seed
            )
    return outcome


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
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    unknown = set(options.scenarios) - set(_SCENARIOS)
    if unknown:
        parser.error(f"unknown scenario {', '.join(unknown)}; known: {', '.join(_SCENARIOS)}")
    outcomes = []
    with servers(BACKENDS) as server, tempfile.TemporaryDirectory(prefix="fdrnn-chaos-") as folder:
        assert server is not None
        studies = _Studies(Path(folder))
        for scenario in options.scenarios or _SCENARIOS:
            for backend in _SCENARIOS[scenario]:
                outcomes.append(_run(scenario, backend, server, studies, options))
                print(outcomes[-1], flush=True)
    n_broken = sum(bool(outcome.faults) for outcome in outcomes)
    print(f"{len(outcomes) - n_broken} of {len(outcomes)} trials by fire held")
    return 1 if n_broken else 0


if __name__ == "__main__":
    sys.exit(main())
