"""Settings of a worker: intervals of its leases and writes, threads, and what it trains."""

from __future__ import annotations

from dataclasses import dataclass, field

from fdrnn.search.work.training import Training


@dataclass(frozen=True, kw_only=True)
class WorkerSettings:
    """Settings of a worker, none of which changes a number.

    Attributes
    ----------
    lease_s
        Seconds after which another worker may claim a trial whose lease is not renewed.
    checkpoint_interval_s
        Seconds between two checkpoints; there is one more when the worker is stopped.
    write_interval_s
        Seconds for which epochs may be collected before they are written.
    wait_s
        Largest number of seconds between two reads of the other workers' trials.
    patience_s
        Seconds for which a store that is unavailable at the start of the workers is waited for.
    threads
        Threads of the matrix products, at least 1.
    training
        The functions that load data and create trainers.

    Raises
    ------
    ValueError
        If a number is not positive (`write_interval_s`, `checkpoint_interval_s` and `patience_s`
        may be 0).
    """

    lease_s: float = 60.0
    checkpoint_interval_s: float = 60.0
    write_interval_s: float = 2.0
    wait_s: float = 2.0
    patience_s: float = 0.0
    threads: int = 1
    training: Training = field(default_factory=Training)

    def __post_init__(self) -> None:
        for key, positive in (
            ("lease_s", True),
            ("wait_s", True),
            ("checkpoint_interval_s", False),
            ("write_interval_s", False),
            ("patience_s", False),
        ):
            value = getattr(self, key)
            if value < 0 or (positive and value == 0):
                rule = "positive" if positive else "at least 0"
                raise ValueError(f"{key} must be {rule}, got {value!r}")
        if self.threads < 1:
            raise ValueError(f"threads must be at least 1, got {self.threads}")
