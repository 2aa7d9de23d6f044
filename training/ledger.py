"""The account of a scene's leaf regions while it is composed, and the masks they make up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from training.scene import GROUP, OBJECT, PART, Mask

MIN_PIXELS = 60  # at 512 px; smaller masks teach nothing
MIN_VISIBLE = 0.18  # an object that is hidden more than that is not asked for
MAX_SHARE = 0.93  # a part that is nearly its whole object would be the same mask again


@dataclass
class Thing:
    """One object: leaf `base` is its body, `base + k` its k-th part (in part `parents[k - 1]`)."""

    base: int
    source: str
    name: str
    parents: tuple[int, ...]
    part_names: tuple[str, ...]
    area: float = 0.0

    def leaves(self, part: int = 0) -> tuple[int, ...]:
        """The leaf ids below one part (0: the whole object)."""
        kept = {part}
        for child, parent in enumerate(self.parents, start=1):
            if parent in kept:
                kept.add(child)
        return tuple(self.base + k for k in sorted(kept))


@dataclass
class Ledger:
    """Leaf ids are handed out object by object; `masks` is the table at the end."""

    things: list[Thing] = field(default_factory=list)
    groups: list[tuple[list[Thing], str]] = field(default_factory=list)
    next_leaf: int = 1

    def add(
        self,
        source: str,
        name: str,
        parents: Sequence[int] = (),
        part_names: Sequence[str] = (),
        area: float = 0.0,
    ) -> Thing:
        """Register an object with its parts.

        Args:
            source: the identity of the object.
            name: an English word for it, or empty.
            parents: for each part, the part it lies in (0: the body); a parent precedes its child.
            part_names: for each part, a word or nothing.
            area: pixels the object would cover were nothing in front of it.
        """
        names = tuple(part_names) or ("",) * len(parents)
        thing = Thing(self.next_leaf, source, name, tuple(parents), names, area)
        self.things.append(thing)
        self.next_leaf += 1 + len(thing.parents)
        return thing

    def group(self, members: Sequence[Thing], name: str = "") -> None:
        """Register a set of objects that also make sense as one."""
        self.groups.append((list(members), name))

    def masks(self, ids: np.ndarray) -> tuple[Mask, ...]:
        """The table of masks worth asking for, given the (H, W) map of visible leaves."""
        counts = np.bincount(ids.ravel(), minlength=self.next_leaf)
        table: list[Mask] = []
        shown: set[int] = set()
        for thing in self.things:
            visible = int(counts[list(thing.leaves())].sum())
            if visible >= max(MIN_PIXELS, MIN_VISIBLE * thing.area):
                shown.add(thing.base)
                table.append(Mask(thing.leaves(), OBJECT, thing.source, thing.name))
                table += self._parts(thing, counts, visible)
        for members, name in self.groups:
            seen = [member for member in members if member.base in shown]
            if len(seen) > 1:
                leaves = tuple(leaf for member in seen for leaf in member.leaves())
                table.append(Mask(leaves, GROUP, "+".join(m.source for m in seen), name))
        return tuple(table)

    def _parts(self, thing: Thing, counts: np.ndarray, visible: int) -> list[Mask]:
        """The masks of an object's parts."""
        found = []
        for part, name in enumerate(thing.part_names, start=1):
            leaves = thing.leaves(part)
            if MIN_PIXELS <= counts[list(leaves)].sum() <= MAX_SHARE * visible:
                found.append(Mask(leaves, PART, thing.source, name))
        return found
