"""Where the files are that come with the package: weights, sample pictures."""

from __future__ import annotations

from pathlib import Path


def find_resource(*parts: str) -> Path:
    """Locate a file or folder of ``resource/``, beside the sources or installed.

    Args:
        parts: path below ``resource/``, such as ``"models", "sam_tiny.safetensors"``.

    Raises:
        FileNotFoundError: it is in neither place; names where it was looked for first.
    """
    here = Path(__file__)
    beside_sources = here.resolve().parents[1] / "resource"
    installed = [folder / "share" / "sam_ros" / "resource" for folder in here.parents]
    for root in (beside_sources, *installed):
        found = root.joinpath(*parts)
        if found.exists():
            return found
    raise FileNotFoundError(
        f"{beside_sources.joinpath(*parts)} is missing, and no installation has it"
    )
