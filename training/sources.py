"""The packages that the training material comes from, downloaded by their own clients."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """One package of training material; licences and attribution are in SOURCES.md.

    Attributes:
        name: folder of the unpacked files below `<work>/raw`.
        client: who downloads it: apt, npm or pip.
        package: its name there.
        version: the version that was used for the released weights.
        keep: only files whose path contains this are unpacked from a wheel.
    """

    name: str
    client: str
    package: str
    version: str
    keep: str = ""


SOURCES = (
    Source("furniture", "apt", "sweethome3d-furniture", "1.8-1"),
    Source("clipart", "apt", "openclipart-png", "1:0.18+dfsg-19"),
    Source("photographs", "apt", "lomiri-wallpapers-16.04", "20.04.0-2"),
    Source("emoji", "npm", "@lobehub/fluent-emoji-3d", "1.1.0"),
    Source("environments", "npm", "@pmndrs/assets", "1.7.0"),
    Source("shapes", "pip", "pybullet", "3.2.7", "random_urdfs/"),
    Source("surfaces", "pip", "robosuite", "1.5.2", "assets/textures/"),
    Source("ground", "pip", "scikit-image", "0.26.0", "skimage/data/"),
)


def fetch(work: Path) -> None:
    """Download and unpack every source below `work`; what is there already is left alone."""
    for source in SOURCES:
        raw = work / "raw" / source.name
        if not raw.is_dir():
            cache = work / "cache" / source.name
            archive = next(cache.glob("*.*"), None) or _download(source, cache)
            partial = raw.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            _unpack(archive, partial, source)
            partial.rename(raw)


def _download(source: Source, cache: Path) -> Path:
    """Let the package's client download one archive into an empty folder."""
    cache.mkdir(parents=True, exist_ok=True)
    commands = {
        "apt": ["apt-get", "download", f"{source.package}={source.version}"],
        "npm": ["npm", "pack", "--silent", f"{source.package}@{source.version}"],
        "pip": [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
                f"{source.package}=={source.version}"],
    }  # fmt: skip
    command = commands[source.client]
    result = subprocess.run(command, cwd=cache, capture_output=True, text=True, check=False)
    archive = next(cache.glob("*.*"), None)
    if result.returncode or archive is None:
        raise RuntimeError(f"{' '.join(command)}: {result.stderr.strip() or 'no file came'}")
    return archive


def _unpack(archive: Path, target: Path, source: Source) -> None:
    """Unpack a .deb, .tgz or .whl, and the furniture libraries inside."""
    target.mkdir(parents=True)
    if archive.suffix == ".deb":
        subprocess.run(["dpkg-deb", "-x", str(archive), str(target)], check=True)
    elif archive.suffix == ".tgz":
        with tarfile.open(archive) as tar:
            tar.extractall(target, filter="data")
    else:
        with zipfile.ZipFile(archive) as wheel:
            wheel.extractall(target, [name for name in wheel.namelist() if source.keep in name])
    for library in sorted(target.rglob("*.sh3f")):
        with zipfile.ZipFile(library) as inner:
            inner.extractall(target / library.stem)
