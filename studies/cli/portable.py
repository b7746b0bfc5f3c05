"""``fdrnn study export`` and ``import``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import typer

from fdrnn.search import PortableStudy, default_storage_url, open_store
from fdrnn.search.store.frames import chosen_studies
from fdrnn.studies.cli.exports import SUFFIX, exported_files
from fdrnn.studies.cli.units import file_size
from fdrnn.studies.errors import OptionError


def export_studies(
    studies: Sequence[str], folder: Path, weights: bool, checkpoints: bool, storage: str | None
) -> None:
    """Write studies of a store into a file each and say what is in it.

    Parameters
    ----------
    studies
        Names in the store, or of comparisons; all of it if there are none.
    folder
        Folder of the files, made where it is missing.
    weights, checkpoints
        Whether to take along trained parameters, and the states of unfinished trials.
    storage
        URL of the store; None for the default.

    Raises
    ------
    OptionError
        If the store holds no study.
    """
    store = open_store(storage or default_storage_url())
    names = chosen_studies(store, studies)
    if not names:
        raise OptionError(
            f"store {store.database.shown} holds no study to export; `fdrnn run STUDY` makes one"
        )
    for study in names:
        portable = PortableStudy.from_store(store, study, weights=weights, checkpoints=checkpoints)
        path = folder / f"{study}{SUFFIX}"
        size = portable.write(path)
        left_out = ""
        if portable.n_epochs_left_out:
            left_out = (
                f"; left out {portable.n_epochs_left_out} epochs of unfinished trials, "
                "which no checkpoint in the file covers"
            )
        typer.echo(f"{path}, {file_size(size)}: {_contents(portable)}{left_out}")


def import_files(paths: Sequence[Path], name: str | None, storage: str | None) -> None:
    """Add the studies of files to a store and say what it now holds.

    Parameters
    ----------
    paths
        Files, or folders of them; all are read before the store is touched.
    name
        Name of the study in the store, where there is one file; None for the one it had.
    storage
        URL of the store; None for the default. It is made where it is missing.

    Raises
    ------
    OptionError
        If a name is to be given to several studies, or a folder holds none.
    """
    files = exported_files(paths)
    if name is not None and len(files) > 1:
        raise OptionError(f"--name names one study, got {len(files)} files; import them singly")
    studies = [PortableStudy.read(file) for file in files]
    store = open_store(storage or default_storage_url(), create=True)
    for portable in studies:
        added = portable.insert(store, name)
        already = "" if added else "; it was there already, and the same"
        typer.echo(f"store {store.database.shown}: {_contents(portable, name)}{already}")


def _contents(portable: PortableStudy, name: str | None = None) -> str:
    counts = portable.counts
    parts = [f"{count} {state}" for state, count in sorted(counts.items())]
    starts = [
        f"{number} {what}"
        for number, what in (
            (portable.n_resumed, "from its checkpoint"),
            (portable.n_restarted, "begun and to begin anew"),
        )
        if number
    ]
    waiting = f" (of these {', '.join(starts)})" if starts else ""
    weights = "with weights" if portable.weights else "without weights"
    return (
        f"study {name or portable.name}, {counts.total()} trials, {', '.join(parts)}{waiting}, "
        f"{weights}"
    )
