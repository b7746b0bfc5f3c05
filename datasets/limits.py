"""Limits of data files, checked on announced sizes before anything is allocated.

A small file can announce, compress or repeat a content that fills the memory. Every reader
therefore takes the bytes that it is about to allocate from a `Budget`; the size of the file itself
is checked by `fdrnn.datasets.files.open_file`. Depth needs no limit, because no reader descends
further than the format has levels.
"""

from __future__ import annotations

from fdrnn.datasets.errors import DataError
from fdrnn.datasets.files import MIB, size_shown

DATA_LIMIT = 384 * MIB
"""Bytes of a data file, of its unpacked content, and of the data set made of it: enough for
50 million real values."""

MOST_SEQUENCES = 2**18
"""Sequences of a data set, or cells of a file."""

MOST_SYMBOLS = 2**16
"""Symbols of categorical data."""


class Budget:
    """Bytes that the content of one data file may still take.

    Parameters
    ----------
    source
        What an error calls the file, usually its path.
    n_bytes
        Bytes in all.
    way_out
        What an error advises.
    """

    def __init__(
        self,
        source: str,
        n_bytes: int = DATA_LIMIT,
        way_out: str = "leave sequences out, or store integers in fewer bytes",
    ) -> None:
        self._source, self._way_out = source, way_out
        self._total = self.left = n_bytes

    def take(self, n_bytes: int) -> None:
        """Subtract bytes that are about to be allocated, DataError if fewer are left."""
        self.left -= n_bytes
        if self.left < 0:
            raise DataError(
                f"{self._source}: the content takes more than {size_shown(self._total)} in "
                f"memory, which is the limit; {self._way_out}"
            )


def require_few_sequences(n_sequences: int, where: str) -> None:
    """Raise DataError for more than `MOST_SEQUENCES` sequences."""
    if n_sequences > MOST_SEQUENCES:
        raise DataError(
            f"{where} must hold at most {MOST_SEQUENCES:,} sequences, got {n_sequences:,}"
        )
