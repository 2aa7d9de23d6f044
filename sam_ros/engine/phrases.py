"""What is said around a word, and what else a thing in a picture could be."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

FILE = "phrases.json"

TEMPLATES = ("a photo of a {}", "a photo of the {}", "a close-up photo of a {}", "a {}")

# Groups of one meaning. Rooms and nature, then things that stand about where robots work.
BACKGROUND: tuple[tuple[str, ...], ...] = (
    ("background", "blurry background"), ("wall",), ("floor", "ground", "carpet"),
    ("ceiling",), ("table", "desk", "tabletop", "counter"), ("shelf", "rack"), ("window",),
    ("door",), ("curtain",), ("sky",), ("grass", "lawn"), ("tree", "bush"), ("road", "street"),
    ("water",), ("shadow",), ("texture", "pattern"), ("something", "object", "thing"),
    ("person", "man", "woman", "child"), ("face",), ("hand", "arm", "finger"),
    ("shirt", "jacket", "clothes"), ("trousers", "jeans"), ("shoe", "boot"), ("hat", "cap"),
    ("bag", "backpack", "handbag"), ("mug", "cup", "coffee cup"), ("glass", "wine glass"),
    ("bottle", "flask"), ("can", "tin"), ("bowl",), ("plate", "dish"), ("tray",), ("pot", "pan"),
    ("fork", "knife", "spoon", "cutlery"), ("fruit", "apple", "banana", "orange"),
    ("bread", "cake", "food"), ("box", "carton", "package"), ("basket", "bucket", "bin"),
    ("book", "notebook", "magazine"), ("paper", "sheet of paper"), ("pen", "pencil"),
    ("scissors",), ("hammer", "screwdriver", "pliers", "wrench", "tool"), ("drill",),
    ("cable", "wire", "rope"), ("phone", "mobile phone"), ("remote control", "remote"),
    ("keyboard",), ("computer mouse",), ("screen", "monitor", "television"), ("laptop",),
    ("camera",), ("clock", "watch"), ("lamp", "light"), ("chair", "stool"), ("sofa", "couch"),
    ("bed", "pillow", "blanket"), ("towel", "cloth"), ("toy", "doll", "figurine"), ("ball",),
    ("plant", "flower", "vase"), ("cat",), ("dog",), ("bird",), ("car", "truck", "bus"),
    ("bicycle", "motorcycle"), ("sign",), ("picture frame", "painting", "poster"),
)  # fmt: skip


@dataclass(frozen=True)
class Phrases:
    """The sentences of a checkpoint.

    Attributes:
        templates: sentences with one {} for the words that are looked for; a text's vector is the
            mean over them.
        background: groups of phrases of about one meaning, for what else could be there.
        bias: added to a text's log odds against the background: how much rather than the phrases
            a text is believed, measured on pictures that the checkpoint never saw. 0: no more.
    """

    templates: tuple[str, ...] = TEMPLATES
    background: tuple[tuple[str, ...], ...] = BACKGROUND
    bias: float = 0.0

    def __post_init__(self) -> None:
        for template in self.templates:
            if template.count("{}") != 1:
                raise ValueError(f"templates: {template!r}; expected one {{}} in each")
        if not self.templates or not any(self.background):
            raise ValueError("templates and background: expected at least one of each")
        if not math.isfinite(self.bias):
            raise ValueError(f"bias: {self.bias}; expected a finite number")

    @classmethod
    def read(cls, folder: Path) -> Phrases:
        """Those that a checkpoint brings along in ``phrases.json``, else the ones of this module.

        Raises:
            ValueError: the file is not what it should be.
        """
        path = folder / FILE
        if not path.is_file():
            return cls()
        try:
            values = json.loads(path.read_text())
            groups = tuple(tuple(map(str, group)) for group in values["background"])
            bias = float(values.get("bias", 0.0))
            return cls(tuple(map(str, values["templates"])), groups, bias)
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path}: {error}; expected templates and background") from error

    def sentences(self, text: str) -> list[str]:
        """One for each template."""
        return [template.replace("{}", text) for template in self.templates]

    def against(self, text: str) -> list[str]:
        """What competes with a text: the background less all groups that may mean the same.

        A group may mean the same when the words of one of its phrases are among those of the text,
        or the other way round: nothing is "red mug" less for being a "cup", which stands beside
        "mug".
        """
        wanted = words(text)
        return [
            phrase
            for group in self.background
            if not any(wanted <= words(item) or words(item) <= wanted for item in group)
            for phrase in group
        ]


def words(text: str) -> frozenset[str]:
    """The words of a text, in lower case and without the s of the plural."""
    found: Iterable[str] = re.findall(r"\w+", text.lower())
    return frozenset(word.removesuffix("s") or word for word in found)
