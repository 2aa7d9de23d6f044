"""The folder of fetched weights: what lies there, and whether it is what it should be."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from sam_ros.models.catalogue import CATALOGUE, Entry, File

VARIABLE = "SAM_ROS_MODELS"
BLOCK = 1 << 20


def folder() -> Path:
    """``$SAM_ROS_MODELS``, else ``sam_ros/models`` in the user's cache by the XDG rules.

    A relative ``XDG_CACHE_HOME`` is passed over, as the XDG Base Directory Specification wants.
    """
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser()
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "sam_ros" / "models"


def place(entry: Entry) -> Path:
    """The folder of an entry's files, whether it is there or not."""
    return folder() / entry.name


def find(name: str) -> Path | None:
    """What to load for a name of the catalogue.

    Returns:
        The file of a checkpoint, the folder of a CLIP; None unless all of it has been fetched. A
        download that was cut short has other names than the files, and is not found.
    """
    entry = CATALOGUE.get(name)
    if entry is None or not all(path_of(entry, file).is_file() for file in entry.files):
        return None
    return path_of(entry, entry.files[0]) if len(entry.files) == 1 else place(entry)


def path_of(entry: Entry, file: File) -> Path:
    """Where a file lies when it has been fetched."""
    return place(entry) / file.name


def part_of(entry: Entry, file: File) -> Path:
    """Where a file grows while it is fetched."""
    return place(entry) / f"{file.name}.part"


def present(entry: Entry) -> int:
    """Bytes of an entry that are on the disk, partial downloads included."""
    pairs = [(path_of(entry, file), part_of(entry, file)) for file in entry.files]
    return sum(size(whole) or size(part) for whole, part in pairs)


def verify(entry: Entry) -> list[str]:
    """Reads every file of an entry; returns what is wrong with them, nothing when all is well."""
    problems = []
    for file in entry.files:
        path = path_of(entry, file)
        if not path.is_file():
            problems.append(f"{path}: missing")
        elif (found := sha256(path)) != file.sha256:
            problems.append(f"{path}: SHA-256 is {found}; expected {file.sha256}")
    return problems


def remove(entry: Entry) -> int:
    """Deletes the files of an entry, partial ones too; returns how many bytes that freed."""
    freed = present(entry)
    if place(entry).exists():
        shutil.rmtree(place(entry))
    return freed


def size(path: Path) -> int:
    """Bytes of a file, 0 without one."""
    return path.stat().st_size if path.exists() else 0


def sha256(path: Path) -> str:
    """64 hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()
