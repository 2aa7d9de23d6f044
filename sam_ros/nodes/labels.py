"""Class names and the numbers that stand for them in ~/label_mask."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

UNNAMED = "object"
LAST_ID = 255


class LabelIds:
    """Gives every class name a number 1..255, in order of first appearance; 0 means nothing.

    A number once given stays, so that label masks of different times agree. An object with no
    label counts as class "object". Names that come after number 255 was given share it.

    Args:
        known: names to number first, such as those of a labels file.
    """

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._ids: dict[str, int] = {}
        self.update(known)

    @property
    def ids(self) -> Mapping[str, int]:
        """Name to number, as published in ~/label_info."""
        return MappingProxyType(self._ids)

    def of(self, label: str) -> int:
        """The number of a name that ``update`` has seen.

        Raises:
            KeyError: the name was never passed to ``update``.
        """
        return self._ids[label or UNNAMED]

    def update(self, labels: Iterable[str]) -> bool:
        """Numbers the names not seen before; true when there were any."""
        before = len(self._ids)
        for label in labels:
            self._ids.setdefault(label or UNNAMED, min(len(self._ids) + 1, LAST_ID))
        return len(self._ids) > before
