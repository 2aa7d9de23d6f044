"""What a scene is asked while the text prompt is trained: CLIP vectors, and what they mean."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from sam_ros.engine.clip import Clip
from training.clip.captions import Caption, Speaker, fits
from training.clip.colours import named
from training.clip.vocabulary import COLOURS, Vocabulary
from training.text_prompt.scenes import Encoded

Asked = tuple[Tensor, np.ndarray, bool]  # a vector, (K,) the objects it may mean, made of words


@dataclass(frozen=True)
class Mixture:
    """What prompts are made of; shares of all prompts.

    Attributes:
        prompts: of a scene.
        words: words that fit an object.
        absent: words for what is not there.
        taken: prompts that some other object was an answer to before.
    """

    prompts: int = 8
    words: float = 0.5
    absent: float = 0.15
    taken: float = 0.3


@dataclass(frozen=True)
class Prompts:
    """B prompts of one scene with K objects.

    Attributes:
        vectors: (B, D) of unit length.
        fitting: (B, K) bool, the objects that each may mean; none: the thing is absent.
        taken: (B, K) bool, objects that were an answer before.
        by_words: (B,) bool.
    """

    vectors: Tensor
    fitting: Tensor
    taken: Tensor
    by_words: Tensor


class Asker:
    """Makes prompts for scenes.

    Args:
        clip: whose vectors the prompts are.
        mixture: of pictures and words.
        rng: chooses.
    """

    def __init__(self, clip: Clip, mixture: Mixture, rng: np.random.Generator) -> None:
        self._clip, self._mixture, self._rng = clip, mixture, rng
        self._vocabulary = Vocabulary.read()
        self._speaker = Speaker(self._vocabulary, rng)

    def __call__(self, scene: Encoded, pictures: Tensor) -> Prompts:
        """Prompts for a scene whose objects have (K, D) vectors of their pictures."""
        count, mixture = len(scene.labels), self._mixture
        vectors, right, by_words = zip(
            *(self._prompt(scene, pictures) for _ in range(mixture.prompts)), strict=True
        )
        taken = torch.zeros(mixture.prompts, count, dtype=torch.bool)
        for row in np.flatnonzero(self._rng.random(mixture.prompts) < mixture.taken):
            taken[row, int(self._rng.integers(count))] = True
        fitting = torch.from_numpy(np.stack(right)) & ~taken
        return Prompts(torch.stack(vectors), fitting, taken, torch.tensor(by_words))

    def _prompt(self, scene: Encoded, pictures: Tensor) -> Asked:
        draw, index = self._rng.random(), int(self._rng.integers(len(scene.labels)))
        if draw < self._mixture.absent:
            return self._said(scene, self._anything())
        caption = self._description(scene, index)
        if caption is None or draw > self._mixture.absent + self._mixture.words:
            return pictures[index], np.arange(len(pictures)) == index, False
        return self._said(scene, caption)

    def _anything(self) -> Caption:
        """A word that most likely fits nothing."""
        if self._rng.random() < 0.2:
            return self._speaker.nonsense()
        return self._speaker.of(int(self._rng.integers(len(self._vocabulary.concepts))))

    def _description(self, scene: Encoded, index: int) -> Caption | None:
        """Colour, kind or name of an object; None for one that has nothing of these."""
        label, colours = int(scene.labels[index]), named(scene.colours[index].numpy())
        if colours and self._rng.random() < 0.5:
            return self._speaker.coloured(label, int(self._rng.choice(colours)))
        if label < 0:
            return None
        kinds = self._vocabulary.concepts[label].kinds
        if kinds and self._rng.random() < 0.15:
            return self._speaker.kind(str(self._rng.choice(kinds)))
        return self._speaker.of(label)

    def _said(self, scene: Encoded, caption: Caption) -> Asked:
        colours = np.zeros((len(scene.labels), len(COLOURS)), bool)
        for row, share in enumerate(scene.colours.numpy()):
            colours[row, named(share)] = True
        right = fits([caption], scene.labels.numpy(), colours)[:, 0] > 0
        # A copy: what comes from inference mode cannot take part in a backward pass.
        return self._clip.embed_texts([caption.text])[0].clone(), right, True
