"""Exported studies: one file each, from one store into another without loss.

The file is a zip archive that needs no fdrnn to be read (`fdrnn.search.portable.archive`). Beside
``manifest.json`` it holds

- ``study.json``: the definition (without the name, which the manifest has), the data's
  description, the version of fdrnn that created the study and when (seconds since 1970);
- ``trials.jsonl``, ``epochs.jsonl``, ``measurements.jsonl``, ``test_sequences.jsonl``,
  ``samples.jsonl``, ``parameters.jsonl`` (with weights) and ``checkpoints.jsonl`` (with
  checkpoints), the tables of `fdrnn.search.store.tables` in the form of
  `fdrnn.search.portable.codec`;
- the arrays and trainers' states that these name.

Without fdrnn::

    with zipfile.ZipFile("jsb.fdrnn.zip") as archive:
        columns, *rows = map(json.loads, archive.read("epochs.jsonl").splitlines())
        curves = pandas.DataFrame(rows, columns=columns)

A trial that has not ended waits in the file, because no lease is valid in another store, under the
number of its last attempt. It keeps its checkpoint and the epochs up to it; where the file has no
checkpoint of it, it restarts, and its epochs are left out. A failed trial stays failed.
"""

from fdrnn.search.portable.archive import FORMAT_VERSION
from fdrnn.search.portable.study import PortableStudy

__all__ = ["FORMAT_VERSION", "PortableStudy"]
