"""The long form: mutated files through every reader.

    PYTHONPATH=tests python -m fuzz                       # 20,000 inputs in all
    PYTHONPATH=tests python -m fuzz npz mat --inputs 500  # some readers, inputs of each

Ends with a table; exit code 1 if a reader let through another error than the project's, died, or
took more than `fuzz.reading.LIMIT_S` seconds or `fuzz.reading.LIMIT_BYTES` bytes. The inputs that
did are kept in the folder that is named.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from fuzz.mutations import write_mutated
from fuzz.readers import READERS
from fuzz.reading import Outcome, read_all


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m fuzz")
    parser.add_argument("readers", nargs="*", metavar="READER", help=", ".join(READERS))
    parser.add_argument("--inputs", type=int, help="of each reader (20,000 in all)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    names = options.readers or list(READERS)
    n_inputs = options.inputs or -(-20_000 // len(names))
    faults: list[Outcome] = []
    for name in names:
        folder = Path(tempfile.mkdtemp(prefix=f"fuzz-{name}-"))
        paths = write_mutated(READERS[name], folder, n_inputs, options.seed)
        outcomes = read_all(name, paths)
        bad = [outcome for outcome in outcomes if outcome.fault]
        accepted = sum(outcome.error is None for outcome in outcomes)
        print(
            f"{name}: {len(outcomes):,} inputs, {accepted:,} read, "
            f"{len(outcomes) - accepted - len(bad):,} refused, {len(bad)} faults; at most "
            f"{max(outcome.seconds for outcome in outcomes):.2f} s and "
            f"{max(outcome.n_bytes for outcome in outcomes) / 2**20:.0f} MiB",
            flush=True,
        )
        faults += bad
        kept = {outcome.path for outcome in bad}
        for path in set(paths) - kept:
            path.unlink()
        if not kept:
            folder.rmdir()
    for outcome in faults:
        print(f"{outcome.path}: {outcome.fault}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
