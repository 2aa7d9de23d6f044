"""The words that `clip_tiny` learns, and which of the library's objects each of them names."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

IGNORED = "-"
WORDS = Path(__file__).with_name("words.txt")
GENERIC = ("object", "thing", "item")
GROUND = ("background", "surface", "texture", "empty table", "floor", "wall", "nothing")
COLOURS = (
    "black", "white", "grey", "red", "orange", "yellow", "green", "blue", "purple", "pink",
    "brown",
)  # fmt: skip


@dataclass(frozen=True)
class Concept:
    """One everyday thing.

    Attributes:
        name: the word it is listed under.
        others: words that mean the same, or nearly.
        kinds: words for what it is one of.
        patterns: names in the library; a leading `=` asks for the whole name.
    """

    name: str
    others: tuple[str, ...]
    kinds: tuple[str, ...]
    patterns: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """All its own words."""
        return (self.name, *self.others)


@dataclass(frozen=True)
class Vocabulary:
    """All concepts; an object's concept is the one whose longest pattern its name contains.

    Attributes:
        concepts: in the order of the table; their indices are the training's labels.
        ignored: patterns of names whose words would mislead.
    """

    concepts: tuple[Concept, ...]
    ignored: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path = WORDS) -> Vocabulary:
        """From a table of `name; other names; kinds; patterns`; `#` starts a remark.

        Raises:
            ValueError: a row that has not four fields, or a name listed twice.
        """
        rows = [line for line in path.read_text().splitlines() if line and line[0] != "#"]
        table = [_concept(row) for row in rows]
        ignored = tuple(p for row in table if row.name == IGNORED for p in row.patterns)
        concepts = tuple(row for row in table if row.name != IGNORED)
        names = [concept.name for concept in concepts]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{path.name}: {', '.join(twice)} more than once, expected one row")
        return cls(concepts, ignored)

    @functools.cached_property
    def kinds(self) -> tuple[str, ...]:
        """Every kind, once."""
        return tuple(sorted({kind for concept in self.concepts for kind in concept.kinds}))

    @functools.cached_property
    def phrases(self) -> dict[str, frozenset[int]]:
        """For every name and kind, the concepts it may be said of."""
        said: dict[str, set[int]] = {}
        for index, concept in enumerate(self.concepts):
            for phrase in (*concept.names, *concept.kinds):
                said.setdefault(phrase, set()).add(index)
        return {phrase: frozenset(indices) for phrase, indices in said.items()}

    @functools.cached_property
    def _patterns(self) -> list[tuple[re.Pattern[str], int]]:
        """Patterns and their concepts, whole names first, then the longest first."""
        pairs = [(p, i) for i, concept in enumerate(self.concepts) for p in concept.patterns]
        pairs += [(p, -1) for p in self.ignored]
        pairs.sort(key=lambda pair: (pair[0][0] != "=", -len(pair[0])))
        return [(_pattern(text), index) for text, index in pairs]

    @functools.lru_cache(None)  # noqa: B019 - one vocabulary lives as long as the program
    def index(self, name: str) -> int:
        """The concept of an object with this name in the library, -1 if it has none."""
        return next((index for pattern, index in self._patterns if pattern.search(name)), -1)

    def words(self) -> Iterable[str]:
        """Everything a caption may be made of, for the tokenizer."""
        yield from self.phrases
        yield from (*GENERIC, *GROUND, *COLOURS)


def _concept(row: str) -> Concept:
    """A row of the table."""
    fields = [tuple(p.strip() for p in f.split(",") if p.strip()) for f in row.split(";")]
    if len(fields) != 4 or len(fields[0]) != 1:
        raise ValueError(f"words: {row!r}, expected `name; other names; kinds; patterns`")
    return Concept(fields[0][0], *fields[1:])


def _pattern(text: str) -> re.Pattern[str]:
    """A pattern of the table as a regular expression."""
    if text.startswith("="):
        return re.compile(rf"^{re.escape(text[1:])}$")
    return re.compile(rf"(?<!\w){re.escape(text)}(?!\w)")


__all__ = ["COLOURS", "GENERIC", "GROUND", "Concept", "Vocabulary"]
