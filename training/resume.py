"""What a stopped run needs to go on, kept in one file."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch


class Resumable:
    """The state of a run: parts with a ``state_dict``, the steps and the seconds so far.

    Attributes:
        PARTS: names of the attributes that are kept.
        step: optimizer steps taken.
        seconds: of the run's time that are used.
    """

    PARTS: ClassVar[tuple[str, ...]]
    step: int
    seconds: float

    def save(self, path: Path) -> None:
        """Write the state; the file is complete whenever it exists."""
        partial = path.with_suffix(".partial")
        content = {k: getattr(self, k).state_dict() for k in self.PARTS}
        torch.save({**content, "step": self.step, "seconds": self.seconds}, partial)
        partial.rename(path)

    def load(self, path: Path) -> None:
        """Read a state that :meth:`save` wrote."""
        content = torch.load(path, weights_only=True)
        for key in self.PARTS:
            getattr(self, key).load_state_dict(content[key])
        self.step, self.seconds = content["step"], content["seconds"]
