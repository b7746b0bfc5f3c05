"""The state of a training run between two epochs, and its form as bytes.

The bytes are a SHA-256 digest and a NumPy ``.npz`` archive, read without pickle: arrays named
``group/parameter`` and the counters and identity as JSON. The archive's own CRC-32 does not cover
its directory, where a flipped bit renames an array.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import math
import zipfile
from dataclasses import dataclass

import numpy as np

from fdrnn.model.errors import CheckpointError
from fdrnn.model.initialization import Parameters

_HEADER = "header"
_FORMAT = 2
_DIGEST_BYTES = 32


@dataclass(frozen=True)
class Progress:
    """Counters of a run.

    Attributes
    ----------
    epoch
        Epochs finished.
    updates
        Parameter updates made.
    best_epoch
        Epoch of the lowest validation NLL under the study's padding rule, 0 before there is one.
    best_valid_nll, best_valid_nll_counted, best_valid_nll_masked
        At that epoch, in nats per predicted step; infinite before there is one.
    diverged
        Whether the run has ended by divergence.
    """

    epoch: int = 0
    updates: int = 0
    best_epoch: int = 0
    best_valid_nll: float = math.inf
    best_valid_nll_counted: float = math.inf
    best_valid_nll_masked: float = math.inf
    diverged: bool = False


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Everything that a run needs to resume with the same bits.

    Attributes
    ----------
    progress
        The counters.
    parameters, velocity, mean_square
        The parameters and the optimizer's state.
    average
        The exponential average of the parameters; empty when the setting is off.
    best
        The best-validation parameters; empty before there are any.
    """

    progress: Progress
    parameters: Parameters
    velocity: Parameters
    mean_square: Parameters
    average: Parameters
    best: Parameters

    def to_bytes(self, identity: str) -> bytes:
        """Serialize the state of the run `identity`."""
        header = {
            "format": _FORMAT,
            "identity": identity,
            "progress": dataclasses.asdict(self.progress),
        }
        arrays = {
            f"{group}/{name}": value
            for group in _GROUPS
            for name, value in getattr(self, group).items()
        }
        buffer = io.BytesIO()
        np.savez(buffer, **{_HEADER: np.array(json.dumps(header))}, **arrays)
        archive = buffer.getvalue()
        return hashlib.sha256(archive).digest() + archive

    @classmethod
    def from_bytes(cls, data: bytes, identity: str) -> Checkpoint:
        """Read what `to_bytes` wrote for the run `identity`.

        Raises
        ------
        CheckpointError
            If the bytes are damaged, of another format, or of another run.
        """
        digest, archived = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if hashlib.sha256(archived).digest() != digest:
            raise CheckpointError(
                "the checkpoint is damaged (its digest differs); the run must restart"
            )
        try:
            with np.load(io.BytesIO(archived), allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
            header = json.loads(str(arrays.pop(_HEADER)))
            written = (header["format"], header["identity"])
            progress = Progress(**header["progress"])
        except (ValueError, KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise CheckpointError(
                f"the checkpoint is damaged ({error}); the run must restart"
            ) from error
        if written != (_FORMAT, identity):
            raise CheckpointError(
                f"the checkpoint is of run {written[1]!r} (format {written[0]}), "
                f"not of {identity!r} (format {_FORMAT}); the run must restart"
            )
        groups: dict[str, Parameters] = {group: {} for group in _GROUPS}
        for key, value in arrays.items():
            group, name = key.split("/")
            groups[group][name] = value
        return cls(progress=progress, **groups)


_GROUPS = tuple(field.name for field in dataclasses.fields(Checkpoint) if field.name != "progress")
