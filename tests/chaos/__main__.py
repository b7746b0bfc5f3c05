"""The trials by fire in their long form.

    PYTHONPATH=tests python -m chaos                 # all of them: about an hour
    PYTHONPATH=tests python -m chaos kills restarts  # some
    PYTHONPATH=tests python -m chaos --long 600      # one outage of ten minutes

Needs PostgreSQL as the tests do, and root for the small disk. Ends with a summary; exit code 1
if a promise was broken.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from chaos import claims, disturbances, study
from chaos.outcome import Outcome
from chaos.stores import BACKENDS, servers
from postgres import PostgresServer

_SCENARIOS = ("claims", "starters", "latency", "kills", "naps", "restarts", "disk")
_OF_STUDIES = ("kills", "naps", "restarts", "disk", "long")


def _outcomes(
    wanted: list[str], long_s: float, n_epochs: int, seed: int, server: PostgresServer
) -> Iterator[Callable[[], Outcome]]:
    if "claims" in wanted:
        for backend in BACKENDS:
            yield lambda backend=backend: claims.claims(  # type: ignore[misc]
                backend, server, n_processes=8, n_trials=200, n_rounds=20
            )
    if "starters" in wanted:
        for backend in BACKENDS:
            yield lambda backend=backend: claims.starters(  # type: ignore[misc]
                backend, server, n_processes=8, n_rounds=20
            )
    if "latency" in wanted:
        yield lambda: claims.claims(
            "postgresql",
            server,
            n_processes=64,
            n_trials=1000,
            n_rounds=1,
            pause_s=5.0,
            median_bar_ms=20.0,
        )
    if not set(wanted) & set(_OF_STUDIES):
        return
    with tempfile.TemporaryDirectory(prefix="fdrnn-chaos-") as folder:
        definition = study.write_study(Path(folder), n_trials=32, n_epochs=n_epochs)
        expected = study.undisturbed(definition, 2, limit_s=3600.0)
        for backend in BACKENDS:
            if "kills" in wanted:
                yield lambda backend=backend: disturbances.kills(  # type: ignore[misc]
                    backend,
                    server,
                    definition,
                    expected,
                    n_kills=100,
                    longest_pause_s=6.0,
                    seed=seed,
                )
            if "naps" in wanted:
                yield lambda backend=backend: disturbances.naps(  # type: ignore[misc]
                    backend, server, definition, expected, n_naps=10, seed=seed
                )
        if "restarts" in wanted:
            yield lambda: disturbances.restarts(
                server, definition, expected, n_restarts=10, longest_s=60.0, seed=seed
            )
        if "long" in wanted:
            yield lambda: disturbances.restarts(
                server, definition, expected, n_restarts=1, longest_s=long_s, seed=seed
            )
        if "disk" in wanted:
            yield lambda: disturbances.full_disks(
                definition, expected, n_times=5, longest_s=15.0, seed=seed
            )


def main() -> int:
    """Run the scenarios named on the command line."""
    parser = argparse.ArgumentParser(
        description="Trials by fire of the store and the workers, in their long form."
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=", ".join(_SCENARIOS))
    parser.add_argument("--long", type=float, default=0.0, help="seconds of one long outage")
    parser.add_argument("--epochs", type=int, default=60, help="epochs of each small trial")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    wanted = options.scenarios or ([] if options.long else list(_SCENARIOS))
    if options.long:
        wanted.append("long")
    unknown = set(wanted) - {*_SCENARIOS, "long"}
    if unknown:
        parser.error(f"unknown scenario {', '.join(unknown)}; known: {', '.join(_SCENARIOS)}")
    outcomes = []
    with servers(BACKENDS) as server:
        assert server is not None
        for run in _outcomes(wanted, options.long, options.epochs, options.seed, server):
            outcomes.append(run())
            print(outcomes[-1], flush=True)
    n_broken = sum(bool(outcome.faults) for outcome in outcomes)
    print(f"{len(outcomes) - n_broken} of {len(outcomes)} trials by fire held")
    return 1 if n_broken else 0


if __name__ == "__main__":
    sys.exit(main())
