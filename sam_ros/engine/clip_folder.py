"""Where a CLIP lies on the disk, and whether it is one that can be used. Nothing is downloaded."""

from __future__ import annotations

import json
import re
from pathlib import Path

from huggingface_hub import constants, snapshot_download

KINDS = ("clip", "siglip")
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
TOKENIZER = "tokenizer.json"
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


class ClipError(ValueError):
    """A CLIP that cannot be used; the message names it and the reason."""


def find_folder(source: str | Path) -> Path:
    """The folder of a checkpoint.

    Args:
        source: a folder written by ``save_pretrained``, or a name such as
            openai/clip-vit-base-patch32 that is in the hub's cache (HF_HUB_CACHE) already.

    Raises:
        ClipError: it is neither.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    if _HUB_NAME.fullmatch(str(source)):
        try:
            return Path(snapshot_download(str(source), local_files_only=True))
        except (OSError, ValueError):  # not there; no name of the hub
            cache = constants.HF_HUB_CACHE
            raise ClipError(f"{source} is neither a folder nor in the cache {cache}") from None
    raise ClipError(f"{folder} is not a folder")


def kind_of(folder: Path) -> str:
    """The architecture of the checkpoint in a folder, one of ``KINDS``.

    Raises:
        ClipError: it is another one, or files are missing.
    """
    config = folder / "config.json"
    if not config.is_file():
        raise ClipError(f"{folder}: no config.json; expected the files of save_pretrained")
    try:
        kind = json.loads(config.read_text()).get("model_type")
    except (ValueError, AttributeError) as error:
        raise ClipError(f"{config}: {error}") from None
    if kind not in KINDS:
        raise ClipError(f"{config}: model_type {kind!r}; expected {' or '.join(KINDS)}")
    if not (folder / TOKENIZER).is_file():
        raise ClipError(f"{folder}: no {TOKENIZER}; expected the files of save_pretrained")
    if not any((folder / name).is_file() for name in WEIGHTS):
        raise ClipError(f"{folder}: no {WEIGHTS[0]}; pickled weights (.bin, .pt) are not read")
    return str(kind)
