"""Work on the study "noise" and print every event: run_script.py URL N_WORKERS LEASE_S [STOP_S].

A request to stop takes STOP_S seconds to be shown.
"""

from __future__ import annotations

import sys
import time

import fake_study

from fdrnn.datasets import FdrnnError
from fdrnn.search import WorkerEvent, run_workers


def show(event: WorkerEvent) -> None:
    pid = event.worker.rpartition("-")[2]
    print(pid, event.kind, event.config_index, event.epoch, event.text, sep="|", flush=True)


if __name__ == "__main__":
    url, n_workers, lease_s, *stop_s = sys.argv[1:]
    try:
        stopped = run_workers(
            url,
            "noise",
            int(n_workers),
            on_event=show,
            on_stop=lambda: time.sleep(float(*stop_s)),
            settings=fake_study.settings(lease_s=float(lease_s)),
        )
    except FdrnnError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(130 if stopped else 0)
