"""When a running trial writes: epochs in batches, checkpoints at intervals."""

from __future__ import annotations

import time

from fdrnn.model import EpochRecord
from fdrnn.search.lease import Lease
from fdrnn.search.training import Trainer


class TrialJournal:
    """Collects a trial's epochs and writes them, and the trainer's state, through its lease.

    Parameters
    ----------
    lease
        The trial's lease.
    trainer
        Its trainer; a checkpoint is its state.
    write_interval_s
        Seconds for which epochs may be collected.
    checkpoint_interval_s
        Seconds between two checkpoints.
    """

    def __init__(
        self,
        lease: Lease,
        trainer: Trainer,
        write_interval_s: float,
        checkpoint_interval_s: float,
    ) -> None:
        self._lease = lease
        self._trainer = trainer
        self._write_interval_s = write_interval_s
        self._checkpoint_interval_s = checkpoint_interval_s
        self._records: list[EpochRecord] = []
        self._written_at = self._checkpointed_at = time.monotonic()
        self._checkpointed_epoch = trainer.epoch

    def add(self, record: EpochRecord) -> None:
        """Take the epoch just finished; write if it is time."""
        self._records.append(record)
        now = time.monotonic()
        if now - self._checkpointed_at >= self._checkpoint_interval_s:
            self.checkpoint()
        elif now - self._written_at >= self._write_interval_s:
            self.flush()

    def flush(self) -> None:
        """Write the epochs collected.

        Raises
        ------
        LeaseLostError
            If another worker has taken the trial over.
        StoreError
            If the store fails; the epochs stay collected.
        """
        self._write(checkpoint=None)

    def checkpoint(self) -> None:
        """Write the epochs collected and the trainer's state, unless that stands there already.

        Raises
        ------
        LeaseLostError
            If another worker has taken the trial over.
        StoreError
            If the store fails; the epochs stay collected.
        """
        if self._trainer.epoch > self._checkpointed_epoch:
            self._write(self._trainer.state())
            self._checkpointed_epoch = self._trainer.epoch
            self._checkpointed_at = time.monotonic()

    def _write(self, checkpoint: bytes | None) -> None:
        if self._records or checkpoint is not None:
            self._lease.write(self._records, checkpoint)
            self._records = []
            self._written_at = time.monotonic()
