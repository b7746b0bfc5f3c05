"""The file format of a study outside a store: a zip archive that other programs can read.

``manifest.json`` has ``format`` (``"fdrnn-study"``), ``format_version``, the writer's description
of the contents, and under ``members`` the SHA-256 of every other member.

The same contents make the same bytes: members have a fixed order and no time, and are compressed
by bzip2, which has one implementation, where zlib has several that differ. (bzip2 also compresses
decimal digits better.) Trained parameters and states hardly shrink, and are only stored. Members
that another program has deflated are read as well.
"""

from __future__ import annotations

import bz2
import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from fdrnn.datasets import open_file, write_atomically
from fdrnn.datasets.errors import FileError
from fdrnn.datasets.files import GIB, size_shown
from fdrnn.search.errors import PortableFileError

FORMAT = "fdrnn-study"
FORMAT_VERSION = 2
"""The version of the archive and of the tables in it; a newer one is refused."""

SIZE_LIMIT = GIB
"""The largest size of all members together, in bytes."""

_MANIFEST = "manifest.json"
_NO_TIME = (1980, 1, 1, 0, 0, 0)
_PERMISSIONS = 0o644 << 16
_LENGTHS_OFFSET = 26  # of the lengths of name and extra field, in the header of a member
_WAY_OUT = "export the study again, or copy the file again"
# What a damaged archive raises beside BadZipFile, by its compression; bzip2 raises OSError.
_DAMAGED = (EOFError, LookupError, OSError, RuntimeError, ValueError, zlib.error)


def write_archive(
    path: Path,
    about: Mapping[str, Any],
    members: Mapping[str, bytes],
    stored: tuple[str, ...] = (),
) -> int:
    """Write an archive, whole or not at all, and return its size in bytes.

    Parameters
    ----------
    path
        The file; its folder is created. A file that is such an archive is replaced.
    about
        What the manifest has beside format and members; JSON values.
    members
        Contents by name, in the order of the archive.
    stored
        Beginnings of the names of members that are not compressed.

    Raises
    ------
    PortableFileError
        If it would be larger than `SIZE_LIMIT`, cannot be written, or would replace another kind
        of file.
    """
    manifest = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        **about,
        "members": {name: _digest(content) for name, content in members.items()},
    }

    size = sum(map(len, members.values()))
    if size > SIZE_LIMIT:
        raise PortableFileError(
            f"an exported study may have at most {size_shown(SIZE_LIMIT)}, {path} would have "
            f"{size_shown(size)}; leave out checkpoints or weights, or keep a copy of the store"
        )

    def write(file: BinaryIO) -> None:
        with zipfile.ZipFile(file, "w") as archive:
            _add(archive, _MANIFEST, json.dumps(manifest, indent=1).encode())
            for name, content in members.items():
                _add(archive, name, content, compressed=not name.startswith(stored))

    try:
        if path.exists() and not _is_archive(path):
            raise PortableFileError(
                f"{path} exists and is no exported study; name another file, or remove it"
            )
        write_atomically(path, write, way_out="name a file elsewhere")
        return path.stat().st_size
    except (FileError, OSError) as error:
        raise PortableFileError(str(error)) from error


def read_archive(path: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Read an archive and check every member; return its manifest, and contents by name.

    Raises
    ------
    PortableFileError
        If it cannot be read, is no such archive, of a newer format or damaged.
    """
    try:
        with open_file(path, what="exported study") as file, zipfile.ZipFile(file) as archive:
            manifest = _manifest(path, file, archive)
            members = {name: _content(file, archive, name) for name in manifest["members"]}
    except PortableFileError:
        raise
    except FileError as error:
        raise PortableFileError(
            f"{error}; `fdrnn study export` writes studies into files"
        ) from error
    except zipfile.BadZipFile as error:
        raise PortableFileError(
            f"{path} is no exported study, or truncated or damaged ({error}); {_WAY_OUT}"
        ) from error
    except _DAMAGED as error:
        reason = error.args[0] if isinstance(error, KeyError) else error
        raise PortableFileError(f"{path} is damaged ({reason}); {_WAY_OUT}") from error
    for name, content in members.items():
        if _digest(content) != manifest["members"][name]:
            raise PortableFileError(
                f"{path} is damaged: {name} has another SHA-256 than its manifest; {_WAY_OUT}"
            )
    return manifest, members


def _content(file: BinaryIO, archive: zipfile.ZipFile, name: str) -> bytes:
    """Return the content of a member, of which no more is decompressed than it announces."""
    info = archive.getinfo(name)
    if info.compress_type in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        with archive.open(info) as member:
            # Without a number it would be decompressed whole, and cut then.
            return member.read(info.file_size)
    if info.compress_type != zipfile.ZIP_BZIP2:
        raise ValueError(f"{name} must be stored, deflated or compressed by bzip2")
    # What `zipfile` reads of such a member it decompresses whole.
    file.seek(info.header_offset + _LENGTHS_OFFSET)
    n_name, n_extra = (int.from_bytes(file.read(2), "little") for _ in range(2))
    file.seek(n_name + n_extra, io.SEEK_CUR)
    compressed = file.read(min(info.compress_size, SIZE_LIMIT))
    content = bz2.BZ2Decompressor().decompress(compressed, info.file_size)
    if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
        raise zipfile.BadZipFile(f"Bad CRC-32 for file {name!r}")
    return content


def _parsed_manifest(path: Path, file: BinaryIO, archive: zipfile.ZipFile) -> Any:
    announced = sum(info.file_size for info in archive.infolist())
    if announced > SIZE_LIMIT:
        raise PortableFileError(
            f"{path} is too large: its members may have {size_shown(SIZE_LIMIT)} in all, got "
            f"{size_shown(announced)}"
        )
    if _MANIFEST not in archive.namelist():
        return None
    return json.loads(_content(file, archive, _MANIFEST))


def _manifest(path: Path, file: BinaryIO, archive: zipfile.ZipFile) -> dict[str, Any]:
    manifest = _parsed_manifest(path, file, archive)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise PortableFileError(
            f"{path} is no exported study; `fdrnn study export STUDY` writes one"
        )
    version = manifest.get("format_version")
    if not isinstance(version, int) or not isinstance(manifest.get("members"), dict):
        raise PortableFileError(f"{path} is damaged: its manifest is incomplete; {_WAY_OUT}")
    if version > FORMAT_VERSION:
        raise PortableFileError(
            f"{path} has format version {version}, this fdrnn reads versions up to "
            f"{FORMAT_VERSION}; a newer fdrnn reads it"
        )
    return manifest


def _is_archive(path: Path) -> bool:
    try:
        with open_file(path) as file, zipfile.ZipFile(file) as archive:
            manifest = _parsed_manifest(path, file, archive)
            return isinstance(manifest, dict) and manifest.get("format") == FORMAT
    except (FileError, zipfile.BadZipFile, *_DAMAGED):
        return False


def _add(archive: zipfile.ZipFile, name: str, content: bytes, *, compressed: bool = True) -> None:
    info = zipfile.ZipInfo(name, _NO_TIME)
    info.compress_type = zipfile.ZIP_BZIP2 if compressed else zipfile.ZIP_STORED
    info.create_system = 3  # Unix, whatever this is
    info.external_attr = _PERMISSIONS
    archive.writestr(info, content)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
