"""Text to masks by way of everything in view: propose all masks, keep those that fit the words."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence

import numpy as np

from sam_ros.engine.boxes import intersect, pixels_of
from sam_ros.engine.clip_pixels import Picture
from sam_ros.engine.embedding import Embedding
from sam_ros.engine.hypothesis import Hypothesis
from sam_ros.engine.text import Scores, Search, TextConfig, TextInstance, TextScorer

Propose = Callable[[Picture, Embedding], Generator[float, None, Sequence[Hypothesis]]]


class ProposeAndRank:
    """A `Grounder` that works with every SAM checkpoint.

    Args:
        propose: finds all masks of a picture, in steps.
        scorer: says how well they fit words.
        config: may be replaced at any time through the attribute of this name.
    """

    def __init__(
        self, propose: Propose, scorer: TextScorer, config: TextConfig | None = None
    ) -> None:
        self._propose, self._scorer = propose, scorer
        self.config = config or TextConfig()
        self._proposals: tuple[Embedding, Sequence[Hypothesis]] | None = None

    def search(self, rgb: Picture, embedding: Embedding, texts: Sequence[str]) -> Search:
        """See `Grounder`: dense scores choose the masks that are looked at in crops.

        The masks of the last picture are remembered: other texts on it cost their scores alone.
        """
        if self._proposals is None or self._proposals[0] is not embedding:
            masks = yield from self._all_masks(rgb, embedding)
            self._proposals = embedding, masks
        proposals = self._proposals[1]
        if not proposals:
            return []
        dense = self._scorer.dense(rgb, [item.mask for item in proposals], texts)
        yield
        chosen = [proposals[index] for index in best_rows(dense, self.config.crops)]
        return select(chosen, self._scorer.crops(rgb, chosen, texts), texts, self.config)

    def _all_masks(
        self, rgb: Picture, embedding: Embedding
    ) -> Generator[None, None, list[Hypothesis]]:
        masks = self._propose(rgb, embedding)
        while True:
            try:
                next(masks)
            except StopIteration as end:
                return [item for item in end.value if item.area]
            yield


def best_rows(scores: Scores, count: int) -> list[int]:
    """The rows of (N, T) scores that are among the ``count`` best of any column."""
    best = np.argsort(-scores, axis=0, kind="stable")[:count]
    return sorted({int(index) for index in best.flat})


def select(
    items: Sequence[Hypothesis], scores: Scores, texts: Sequence[str], config: TextConfig
) -> list[TextInstance]:
    """The masks that answer a text surely enough, each for the text that it fits best.

    Args:
        items: N masks.
        scores: (N, T) probabilities.
        texts: T of them.
        config: threshold, overlap and number of instances are used.
    """
    found: list[TextInstance] = []
    best = scores.argmax(axis=1)
    for column, text in enumerate(texts):
        mine = [
            TextInstance(text, float(score), item)
            for item, score, owner in zip(items, scores[:, column], best, strict=True)
            if owner == column and score >= config.threshold
        ]
        mine.sort(key=lambda one: one.label_score * one.hypothesis.score, reverse=True)
        found += _thinned(mine, config.overlap)[: config.instances]
    return found


def _thinned(instances: Sequence[TextInstance], limit: float) -> list[TextInstance]:
    """Without those that share too much with a better one."""
    kept: list[TextInstance] = []
    for one in instances:
        if all(shared(one.hypothesis, other.hypothesis) <= limit for other in kept):
            kept.append(one)
    return kept


def shared(a: Hypothesis, b: Hypothesis) -> float:
    """The share of the smaller mask that lies in the other, 0..1: a part shares all with it."""
    window = pixels_of(intersect(a.box, b.box))
    common = int(np.count_nonzero(a.mask[window] & b.mask[window]))
    return common / min(a.area, b.area) if common else 0.0
