"""A learned vector for every concept and colour; what a caption means is made of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from training.clip.captions import Caption
from training.clip.vocabulary import COLOURS, Vocabulary


class Meanings(nn.Module):
    """The target that both towers learn to meet.

    Two towers that start from noise have nothing to agree on, and stay at chance for hundreds of
    steps. With a table between them each has a plain task: pictures are told apart by the table,
    sentences are turned into what the table says.

    Args:
        vocabulary: its concepts get a row each.
        width: of the common space.
    """

    def __init__(self, vocabulary: Vocabulary, width: int) -> None:
        super().__init__()
        self.concepts = nn.Parameter(F.normalize(torch.randn(len(vocabulary.concepts), width)))
        self.colours = nn.Parameter(F.normalize(torch.randn(len(COLOURS), width)))
        self.others = nn.Parameter(F.normalize(torch.randn(3, width)))  # object, ground, nonsense

    def forward(self, captions: list[Caption]) -> Tensor:
        """(N, D) of unit length: the mean of the concepts that fit, and the colour."""
        what = torch.zeros(len(captions), len(self.concepts) + 3)
        hue = torch.zeros(len(captions), len(self.colours))
        for row, caption in enumerate(captions):
            if caption.concepts:
                what[row, list(caption.concepts)] = 1.0
            else:
                other = 1 if caption.ground else 0 if caption.concepts is None else 2
                what[row, len(self.concepts) + other] = 1.0
            if caption.colour >= 0:
                hue[row, caption.colour] = 1.0
        things = F.normalize(what @ torch.cat([self.concepts, self.others]), dim=-1)
        return F.normalize(things + hue @ F.normalize(self.colours, dim=-1), dim=-1)
