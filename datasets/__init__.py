"""Data sets: the paper's benchmarks, Bach chorales, generated waves, and a user's own files.

`load` returns a `Dataset` by name or path; `chunk` cuts its training and validation sequences
as the paper does. `fdrnn.datasets.dataset` defines the kinds of frames, `BENCHMARKS` lists the
files of the benchmarks, `fdrnn.datasets.formats` documents the formats of data files,
`fdrnn.datasets.midi` reads MIDI files. `fdrnn.datasets.drawing`, which loads matplotlib, draws
a sequence.

>>> from fdrnn.datasets import load
>>> load("bach").n_features
88
"""

from fdrnn.datasets.benchmarks import BENCHMARKS, Benchmark, BenchmarkFile
from fdrnn.datasets.cache import cache_directory
from fdrnn.datasets.chunking import Chunks, chunk
from fdrnn.datasets.dataset import (
    BINARY,
    CATEGORICAL,
    KINDS,
    REAL,
    SPLITS,
    DataDescription,
    Dataset,
    Frames,
    Sequences,
)
from fdrnn.datasets.errors import (
    CacheError,
    DataError,
    FdrnnError,
    FetchError,
    FileError,
    MissingFileError,
    PathError,
    UnknownNameError,
    shown,
)
from fdrnn.datasets.files import open_file, read_file, user_path, write_atomically
from fdrnn.datasets.formats import write_npz
from fdrnn.datasets.midi import MidiImport, MidiOptions, import_midi
from fdrnn.datasets.sources import KnownDataset, describe, fetch, is_path, load, names
from fdrnn.datasets.standardisation import (
    deviations_in_units,
    in_units,
    log_scale,
    standardised,
)
from fdrnn.datasets.statistics import DatasetStatistics, SplitStatistics, describe_statistics

__all__ = [
    "BENCHMARKS",
    "BINARY",
    "CATEGORICAL",
    "KINDS",
    "REAL",
    "SPLITS",
    "Benchmark",
    "BenchmarkFile",
    "CacheError",
    "Chunks",
    "DataDescription",
    "DataError",
    "Dataset",
    "DatasetStatistics",
    "FdrnnError",
    "FetchError",
    "FileError",
    "Frames",
    "KnownDataset",
    "MidiImport",
    "MidiOptions",
    "MissingFileError",
    "PathError",
    "Sequences",
    "SplitStatistics",
    "UnknownNameError",
    "cache_directory",
    "chunk",
    "describe",
    "describe_statistics",
    "deviations_in_units",
    "fetch",
    "import_midi",
    "in_units",
    "is_path",
    "load",
    "log_scale",
    "names",
    "open_file",
    "read_file",
    "shown",
    "standardised",
    "user_path",
    "write_atomically",
    "write_npz",
]
