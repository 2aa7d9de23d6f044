"""From words to masks. Several ways may lead there; `Grounder` is what they have in common."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sam_ros.engine.boxes import Box
from sam_ros.engine.clip import Clip
from sam_ros.engine.clip_folder import find_folder
from sam_ros.engine.clip_pixels import Picture
from sam_ros.engine.embedding import Embedding
from sam_ros.engine.hypothesis import Hypothesis
from sam_ros.engine.phrases import Phrases

Mask = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.float32]
Result = TypeVar("Result")

MARGIN = 0.1  # of the box's longer side, on each side of a crop


@dataclass(frozen=True)
class TextConfig:
    """How sure an answer to a text must be, and how many there may be.

    Attributes:
        threshold: least probability of an instance, its ``label_score``, 0..1.
        overlap: two instances of one text share at most this much of the smaller one, 0..1.
        crops: masks per text that are looked at in a crop of their own.
        instances: most instances of one text.
    """

    threshold: float = 0.5
    overlap: float = 0.5
    crops: int = 24
    instances: int = 20


@dataclass(frozen=True, eq=False)
class TextInstance:
    """One thing that answers a text.

    Attributes:
        text: the words that it answers.
        label_score: probability that it is what the text means, 0..1; each way has its own.
        hypothesis: its mask.
    """

    text: str
    label_score: float
    hypothesis: Hypothesis


Search = Generator[None, None, list[TextInstance]]


class Grounder(Protocol):
    """A way from words to masks."""

    def search(self, rgb: Picture, embedding: Embedding, texts: Sequence[str]) -> Search:
        """Finds what texts name, in steps, so that the model can do other work in between.

        Args:
            rgb: (H, W, 3) uint8.
            embedding: of the same picture.
            texts: what to look for, without doubles.

        Returns:
            Any number of instances of each text, none when nothing of that kind is there; in the
            order of the texts, best first.
        """
        ...


def ground(
    grounder: Grounder, rgb: Picture, embedding: Embedding, texts: Sequence[str]
) -> list[TextInstance]:
    """All steps of a search at once."""
    return finish(grounder.search(rgb, embedding, texts))


def finish(steps: Generator[Any, None, Result]) -> Result:
    """Takes all steps that are left, and what they return."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


class TextScorer:
    """How well masks and texts fit.

    A region competes between the text and the background phrases: the probability is that of a
    softmax over the checkpoint's scaled cosines. SigLIP was trained so that a logit of 0 is as
    likely as not; there, the softmax has one more alternative of logit 0, and is the sigmoid when
    nothing else competes. Other texts are no alternatives: asking for more changes no score.

    Args:
        clip: the checkpoint.
        phrases: its sentences.
    """

    def __init__(self, clip: Clip, phrases: Phrases) -> None:
        self._clip, self._phrases = clip, phrases

    @classmethod
    def load(cls, source: str | Path, device: str | torch.device) -> TextScorer:
        """Loads a checkpoint and its phrases; see `Clip.load`.

        Raises:
            ValueError: it cannot be used; the message names it and the reason.
        """
        folder = find_folder(source)
        return cls(Clip.load(folder, device), Phrases.read(folder))

    def dense(self, rgb: Picture, masks: Sequence[Mask], texts: Sequence[str]) -> Scores:
        """(N, T) probabilities from one pass over the whole picture: fast, coarse."""
        return self._scores(self._clip.dense(rgb, masks), texts)

    def crops(self, rgb: Picture, items: Sequence[Hypothesis], texts: Sequence[str]) -> Scores:
        """(N, T) probabilities from a crop of each mask, all in one batch: accurate."""
        colour = self._clip.pixels.colour
        crops = [masked_crop(rgb, item.mask, item.box, colour) for item in items]
        return self._scores(self._clip.embed_images(crops), texts)

    @torch.inference_mode()
    def _scores(self, images: Tensor, texts: Sequence[str]) -> Scores:
        columns = [self.log_odds(images, text) + self._phrases.bias for text in texts]
        scores: Scores = torch.stack(columns, dim=1).sigmoid().cpu().numpy()
        return scores

    @torch.inference_mode()
    def log_odds(self, images: Tensor, text: str) -> Tensor:
        """(N,) Of the text against all that competes with it, for (N, D) vectors of pictures."""
        rivals = self._clip.logits(images, self.vectors(self._phrases.against(text)))
        if self._clip.has_bias:
            rivals = torch.cat((rivals, rivals.new_zeros(len(rivals), 1)), dim=1)
        wanted = self._clip.logits(images, self.vectors([text]))[:, 0]
        return wanted - rivals.logsumexp(dim=1)

    def vectors(self, texts: Sequence[str]) -> Tensor:
        """(T, D) The mean direction of a text's sentences."""
        sentences = [item for text in texts for item in self._phrases.sentences(text)]
        vectors = self._clip.embed_texts(sentences)  # remembered from the second time on
        means = vectors.unflatten(0, (len(texts), -1)).mean(dim=1)
        return torch.nn.functional.normalize(means, dim=-1)


def masked_crop(rgb: Picture, mask: Mask, box: Box, colour: Sequence[int]) -> Picture:
    """A square around one thing, all else painted over.

    Args:
        rgb: (H, W, 3) uint8.
        mask: (H, W) bool, not empty.
        box: its tight box, x0, y0, x1, y1.
        colour: R, G, B of what is not the thing.
    """
    centre, side = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max()) * (1 + 2 * MARGIN)
    side = max(1, round(side))
    left, top = (round(float(value) + 0.5 - side / 2) for value in centre)
    crop = np.full((side, side, 3), np.array(colour), np.uint8)
    rows = slice(max(0, top), min(mask.shape[0], top + side))
    columns = slice(max(0, left), min(mask.shape[1], left + side))
    inside = mask[rows, columns]
    window = crop[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    window[inside] = rgb[rows, columns][inside]
    return crop
