"""What may be said of a picture, and the tokenizer for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from training.clip.vocabulary import COLOURS, GENERIC, GROUND, Vocabulary

TEMPLATES = (
    "{}", "{}", "a {}", "a {}", "the {}", "some {}", "a photo of a {}", "a photo of the {}",
    "a photo of {}", "a picture of a {}", "an image of a {}", "a cropped photo of a {}",
    "a close-up photo of a {}", "a bad photo of a {}", "a blurry photo of a {}",
    "a photo of a small {}", "a photo of a large {}", "a {} on a table", "a {} in the picture",
    "there is a {}", "this is a {}", "my {}", "a rendering of a {}", "a drawing of a {}",
    "a good photo of a {}", "a photo of one {}", "a toy {}",
)  # fmt: skip
LONGEST = 24  # tokens
TOKENS = 2048
CONSONANTS, VOWELS = "bcdfghjklmnpqrstvwxz", "aeiouy"


@dataclass(frozen=True)
class Caption:
    """A sentence and what it may be said of.

    Attributes:
        text: the sentence.
        concepts: indices of the concepts it fits; None: every object.
        colour: index of the colour it states, -1 for none.
        ground: whether it speaks of the background instead of an object.
        weight: how much of a picture's probability it deserves beside the other fitting ones.
    """

    text: str
    concepts: frozenset[int] | None = frozenset()
    colour: int = -1
    ground: bool = False
    weight: float = 1.0


class Speaker:
    """Makes captions at random."""

    def __init__(self, vocabulary: Vocabulary, rng: np.random.Generator) -> None:
        self.vocabulary, self.rng = vocabulary, rng

    def of(self, concept: int) -> Caption:
        """A concept by one of its names."""
        names = self.vocabulary.concepts[concept].names
        name = names[0] if self.rng.random() < 0.5 else self._one(names)
        return Caption(self._said(name), self.vocabulary.phrases[name])

    def coloured(self, concept: int, colour: int) -> Caption:
        """A concept, a kind of it, or any object, with a colour."""
        options = self.vocabulary.concepts[concept] if concept >= 0 else None
        draw = self.rng.random()
        if options is None or draw < 0.25:
            return Caption(self._said(f"{COLOURS[colour]} {self._one(GENERIC)}"), None, colour)
        names = options.kinds if options.kinds and draw < 0.35 else options.names
        name = self._one(names)
        fits = self.vocabulary.phrases[name]
        return Caption(self._said(f"{COLOURS[colour]} {name}"), fits, colour)

    def kind(self, kind: str) -> Caption:
        """A kind, fitting many concepts."""
        return Caption(self._said(kind), self.vocabulary.phrases[kind], weight=0.4)

    def generic(self) -> Caption:
        """An object of whatever kind."""
        return Caption(self._said(self._one(GENERIC)), None, weight=0.15)

    def ground(self) -> Caption:
        """What is no object."""
        return Caption(self._said(self._one(GROUND)), ground=True)

    def nonsense(self) -> Caption:
        """A word that nobody has heard of; it fits nothing."""
        word = "".join(
            self._one(CONSONANTS) + self._one(VOWELS) for _ in range(int(self.rng.integers(2, 5)))
        )
        if self.rng.random() < 0.4:
            letters = self.rng.permutation(list(CONSONANTS + VOWELS))
            word = "".join(letters[: int(self.rng.integers(3, 9))])
        return Caption(self._said(word))

    def _one(self, options: Sequence[str]) -> str:
        return options[int(self.rng.integers(len(options)))]

    def _said(self, phrase: str) -> str:
        return self._one(TEMPLATES).format(phrase)


def fits(captions: list[Caption], labels: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """How much of each picture's probability each caption deserves.

    Args:
        captions: N sentences.
        labels: (B,) concepts; -1 an object without a name, -2 ground.
        colours: (B, 11) bool, colours that each picture's object may be called by.

    Returns:
        (B, N) float32 weights, 0 where a caption does not fit.
    """
    table = np.zeros((len(labels), len(captions)), np.float32)
    for k, caption in enumerate(captions):
        if caption.ground:
            right = labels == -2
        elif caption.concepts is None:
            right = labels > -2
        else:
            right = np.isin(labels, list(caption.concepts))
        if caption.colour >= 0:
            right = right & colours[:, caption.colour]
        table[:, k] = right * caption.weight
    return table


def phrases() -> dict[str, list[object]]:
    """What the engine says around a word and compares it with, for `phrases.json`.

    Pictures of a thing were taught that the plain word for any object deserves 0.15 of what its
    name does: against that word alone, a name that is likelier than this passes the middle.
    """
    return {
        "templates": ["{}", "a {}", "a photo of a {}", "a photo of the {}"],
        "background": [["object"], ["background"]],
    }


def make_tokenizer(vocabulary: Vocabulary) -> PreTrainedTokenizerFast:
    """A byte-level BPE trained on the vocabulary in its templates; lower case."""
    tokenizer = Tokenizer(models.BPE(unk_token=None))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=TOKENS, min_frequency=2, show_progress=False,
        special_tokens=["<pad>", "<end>", "<start>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    sentences = [t.format(word) for word in vocabulary.words() for t in TEMPLATES]
    tokenizer.train_from_iterator(sentences, trainer)
    start, end = (tokenizer.token_to_id(token) for token in ("<start>", "<end>"))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", start), ("<end>", end)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<start>", eos_token="<end>",
        model_max_length=LONGEST, clean_up_tokenization_spaces=False,
    )  # fmt: skip
