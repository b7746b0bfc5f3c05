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
import re
import zipfile
from dataclasses import dataclass

import numpy as np

from fdrnn.datasets.errors import shown
from fdrnn.model.errors import CheckpointError
from fdrnn.model.initialization import Parameters
from fdrnn.model.settings import require

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

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            require(type(value) is type(field.default), field.name, value, f"of type {field.type}")
        require(0 <= self.epoch < 2**63, "epoch", self.epoch, "in [0, 2^63)")
        require(0 <= self.updates < 2**63, "updates", self.updates, "in [0, 2^63)")
        require(0 <= self.best_epoch <= self.epoch, "best_epoch", self.best_epoch, "up to epoch")


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
    def from_bytes(cls, data: bytes, identity: str, like: Checkpoint) -> Checkpoint:
        """Read what `to_bytes` wrote for the run `identity`.

        Parameters
        ----------
        data
            The bytes.
        identity
            The run, whose limits on epochs and patience may be others than it was written with.
        like
            A state of the run, whose arrays have the names and shapes to expect.

        Raises
        ------
        CheckpointError
            If the bytes are damaged, of another format, or of another run.
        """
        archived = require_intact(data)
        try:
            with np.load(io.BytesIO(archived), allow_pickle=False) as archive:
                _require_stored(archive.zip.infolist(), len(archived))
                arrays = {name: archive[name] for name in archive.files}
            header = json.loads(str(arrays.pop(_HEADER)))
            written = (header["format"], header["identity"])
            progress = Progress(**header["progress"])
        except Exception as error:  # a foreign archive fails in as many ways as NumPy has
            raise CheckpointError(
                f"the checkpoint is damaged ({shown(error)}); the run must restart"
            ) from error
        if (written[0], _without_limits(str(written[1]))) != (_FORMAT, _without_limits(identity)):
            raise CheckpointError(
                f"the checkpoint is of run {shown(written[1])} (format {shown(written[0])}), "
                f"not of {identity!r} (format {_FORMAT}); the run must restart"
            )
        present = {"average": bool(like.average), "best": progress.best_epoch > 0}
        groups: dict[str, Parameters] = {group: {} for group in _GROUPS}
        for group in _GROUPS:
            for name, value in like.parameters.items() if present.get(group, True) else ():
                array = arrays.pop(f"{group}/{name}", None)
                if getattr(array, "dtype", None) != np.float32 or array.shape != value.shape:
                    raise CheckpointError(
                        f"the checkpoint must have a float32 array {group}/{name} of shape "
                        f"{value.shape}; the run must restart"
                    )
                groups[group][name] = array
        if arrays:
            raise CheckpointError(
                f"the checkpoint has an unknown member {shown(min(arrays))}; the run must restart"
            )
        return cls(progress=progress, **groups)


def require_intact(data: bytes) -> bytes:
    """Return the archive of a checkpoint's bytes.

    Raises
    ------
    CheckpointError
        If it has another digest than when it was written.
    """
    digest, archived = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
    if hashlib.sha256(archived).digest() != digest:
        raise CheckpointError(
            "the checkpoint is damaged (its digest differs); the run must restart"
        )
    return archived


def _require_stored(members: list[zipfile.ZipInfo], n_bytes: int) -> None:
    # Otherwise a few bytes may fill the memory.
    compressed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
    if compressed or sum(member.file_size for member in members) > n_bytes:
        raise ValueError("its arrays are compressed or overlap")


def _without_limits(identity: str) -> str:
    return re.sub(r"\b(max_epochs|patience)=\d+", r"\1", identity)


_GROUPS = tuple(field.name for field in dataclasses.fields(Checkpoint) if field.name != "progress")
