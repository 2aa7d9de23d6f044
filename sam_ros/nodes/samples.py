"""The pictures of the demo and what is asked about each, from a folder with a prompts.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from sam_ros.engine.prompt import Prompt
from sam_ros.resources import find_resource

PROMPTS_FILE = "prompts.yaml"


@dataclass(frozen=True, eq=False)
class Question:
    """One prompt to try.

    Attributes:
        picture: file with the picture.
        title: what a person would say, such as "a click on the cup".
        prompt: in pixels of the picture.
        ambiguous: the prompt may mean several things on purpose.
    """

    picture: Path
    title: str
    prompt: Prompt
    ambiguous: bool = False


def default_folder() -> Path:
    """The samples that come with the package: beside the sources, or installed.

    Raises:
        FileNotFoundError: they are in neither place.
    """
    try:
        return find_resource("samples", PROMPTS_FILE).parent
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}; pass --samples FOLDER") from None


def read_questions(folder: Path) -> dict[Path, list[Question]]:
    """Reads prompts.yaml: picture file -> questions about it, in the file's order.

    Raises:
        ValueError: the file does not say what it should; names the entry.
        OSError: there is no such file.
    """
    file = folder / PROMPTS_FILE
    try:
        entries = yaml.safe_load(file.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{file}: not YAML ({error})") from error
    if not isinstance(entries, dict) or not entries:
        raise ValueError(f"{file}: expected picture names with lists of prompts")
    return {folder / name: _questions(folder / name, items) for name, items in entries.items()}


def _questions(picture: Path, items: Any) -> list[Question]:
    try:
        return [_question(picture, item) for item in items]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{PROMPTS_FILE}: {picture.name}: {error!r}") from error


def _question(picture: Path, item: dict[str, Any]) -> Question:
    clicks = np.array(item.get("points", []), np.float32).reshape(-1, 3)
    box = np.array(item["box"], np.float32).reshape(4) if "box" in item else None
    prompt = Prompt(points=clicks[:, :2], labels=clicks[:, 2].astype(np.int32), box=box)
    return Question(picture, str(item["title"]), prompt, bool(item.get("ambiguous", False)))
