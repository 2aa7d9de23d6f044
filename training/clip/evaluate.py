"""Measure `clip_tiny`: `python -m training.clip.evaluate --photos FOLDER`.

Held-out pictures: which of all the vocabulary's words is a picture nearest to? Photographs
(`NAME.jpg`, `NAME_masks.png` with 1..K one object each): does a word of `eval_labels.json` pick
the right object first, and do absent and invented words find nothing? Words and crops are made as
the engine makes them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch

from sam_ros.engine.clip import Clip
from sam_ros.engine.phrases import Phrases
from sam_ros.engine.text import TextScorer, masked_crop
from training.clip.colours import named
from training.clip.crops import GROUND
from training.clip.pictures import Pictures, on_plain
from training.clip.vocabulary import COLOURS, Vocabulary

LABELS = Path(__file__).parents[1] / "eval_labels.json"
ABSENT = (
    "bicycle", "banana", "dog", "chair", "hammer", "umbrella", "guitar", "pizza", "toothbrush",
    "scissors", "clock", "tree", "airplane", "keyboard", "cat", "balloon", "carrot", "ladder",
    "trumpet", "helicopter",
)  # fmt: skip
INVENTED = (
    "zorblax", "quendrifal", "mipsolarn", "wubbelink", "grintoph", "florpish", "vexquin",
    "drozzle", "kaplinder", "snurfwick", "blenthor", "xyqqz", "prandiwok", "tulkebane",
    "jorvapple", "hgfdjkl", "oomptree", "zzzzzz", "brimsqual", "cravodent",
)  # fmt: skip


@dataclass(frozen=True)
class Question:
    """Which object of a photograph does a text mean?

    Attributes:
        scene: name of the picture.
        text: what is asked for.
        kind: nouns or phrases.
        right: numbers of the objects that it may be said of.
    """

    scene: str
    text: str
    kind: str
    right: frozenset[int]


@dataclass(frozen=True)
class Photograph:
    """A picture and its labelled objects: numbers, (H, W) bool masks."""

    name: str
    rgb: np.ndarray
    numbers: tuple[int, ...]
    masks: tuple[np.ndarray, ...]


def photographs(folder: Path, labels: dict[str, dict[str, object]]) -> Iterator[Photograph]:
    """The pictures that have labels."""
    for name, objects in sorted(labels.items()):
        rgb = cv2.imread(str(folder / f"{name}.jpg"))[..., ::-1]
        ids = cv2.imread(str(folder / f"{name}_masks.png"), cv2.IMREAD_UNCHANGED)
        numbers = tuple(sorted(map(int, objects)))
        masks = tuple(ids == number for number in numbers)
        yield Photograph(name, np.ascontiguousarray(rgb), numbers, masks)


def questions(labels: dict[str, dict[str, dict[str, list[str]]]]) -> list[Question]:
    """Every text of a scene that does not fit all of its objects."""
    found = []
    for scene, objects in sorted(labels.items()):
        for kind in ("nouns", "phrases"):
            texts = dict.fromkeys(text for row in objects.values() for text in row[kind])
            for text in texts:
                right = frozenset(int(k) for k, row in objects.items() if text in row[kind])
                if len(right) < len(objects):
                    found.append(Question(scene, text, kind, right))
    return found


def crops(clip: Clip, photograph: Photograph) -> list[np.ndarray]:
    """The objects as the engine shows them to CLIP."""
    found = []
    for mask in photograph.masks:
        x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
        box = np.array([x, y, x + w - 1, y + h - 1], np.float32)
        found.append(masked_crop(photograph.rgb, mask, box, clip.pixels.colour))
    return found


def scores(
    scorer: TextScorer, clip: Clip, pictures: Sequence[np.ndarray], texts: Sequence[str]
) -> np.ndarray:
    """(N, T) probabilities of texts against the background phrases, as the engine gives them."""
    return np.asarray(scorer._scores(clip.embed_images(pictures), texts))


def at_least(hits: int, chances: Sequence[float]) -> float:
    """The probability that guessing answers so many of the questions, or more."""
    distribution = np.ones(1)
    for chance in chances:
        distribution = np.convolve(distribution, [1 - chance, chance])
    return float(distribution[hits:].sum())


def name_vectors(clip: Clip, phrases: Phrases, names: Sequence[str]) -> np.ndarray:
    """(N, D) the mean directions of names in the templates."""
    vectors = clip.embed_texts([s for name in names for s in phrases.sentences(name)])
    means = vectors.unflatten(0, (len(names), -1)).mean(1)
    return torch.nn.functional.normalize(means, dim=-1).cpu().numpy()


def retrieval(clip: Clip, phrases: Phrases, pictures: Pictures, masked: bool) -> str:
    """Table rows: which concept is nearest to a held-out picture, by source."""
    vocabulary = Vocabulary.read()
    texts = name_vectors(clip, phrases, [concept.name for concept in vocabulary.concepts])
    rows = np.flatnonzero(pictures.labels >= 0)
    nearest = np.argsort(-(embed(clip, pictures, rows, masked) @ texts.T), axis=1)
    right = nearest[:, :5] == pictures.labels[rows][:, None]
    origin = np.array([source.split("/")[0] for source in pictures.sources[rows]])
    lines = []
    for name in (*sorted(set(origin)), "all"):
        chosen = right[(origin == name) | (name == "all")]
        concepts = len(set(pictures.labels[rows][(origin == name) | (name == "all")]))
        lines.append(
            f"| {name} | {'grey' if masked else 'its own'} | {len(chosen)} | {concepts} | "
            f"{chosen[:, 0].mean():.1%} | {chosen.any(1).mean():.1%} |"
        )
    return "\n".join(lines)


def embed(clip: Clip, pictures: Pictures, rows: np.ndarray, masked: bool) -> np.ndarray:
    """(N, D) of held-out crops on the mean colour, or as they are."""
    grey = np.array(clip.pixels.colour)
    shown = [pictures.rgba(int(row)) for row in rows]
    shown = [on_plain(c, grey) if masked else np.ascontiguousarray(c[..., :3]) for c in shown]
    return clip.embed_images(shown).cpu().numpy()


def colours(clip: Clip, phrases: Phrases, pictures: Pictures) -> str:
    """How often the nearest of the eleven colours is one that the held-out object has."""
    rows = np.flatnonzero((pictures.labels > GROUND) & pictures.colours.any(1))
    texts = name_vectors(clip, phrases, [f"{colour} object" for colour in COLOURS])
    nearest = (embed(clip, pictures, rows, True) @ texts.T).argmax(1)
    right = pictures.colours[rows, nearest]
    chance = np.mean([len(named(share)) for share in pictures.shares[rows]]) / len(COLOURS)
    return f"colours: {right.mean():.1%} of {len(rows)} right (chance {chance:.1%})"


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=Path("resource/models/clip_tiny"))
    parser.add_argument("--pictures", type=Path, default=Path("training/data/clip/val"))
    parser.add_argument("--photos", type=Path, help="folder of the labelled photographs")
    parser.add_argument("--threshold", type=float, default=0.5)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    clip, phrases = Clip.load(options.model, "cpu"), Phrases.read(options.model)
    if options.pictures.is_dir():
        pictures = Pictures(options.pictures)
        print("| source | background | pictures | concepts | top-1 | top-5 |")
        print("|---|---|---|---|---|---|")
        for masked in (True, False):
            print(retrieval(clip, phrases, pictures, masked))
        print(colours(clip, phrases, pictures))
    if options.photos:
        report(clip, phrases, options.photos, options.threshold)


def report(clip: Clip, phrases: Phrases, folder: Path, threshold: float) -> None:
    """Print what texts find in the photographs."""
    labels = json.loads(LABELS.read_text())
    scorer = TextScorer(clip, phrases)
    shown = {p.name: (p, crops(clip, p)) for p in photographs(folder, labels)}
    asked = questions(labels)
    results = []
    print("\n| scene | text | right objects | chance | picked | first | score |")
    print("|---|---|---|---|---|---|---|")
    for question in asked:
        photograph, pictures = shown[question.scene]
        column = scores(scorer, clip, pictures, [question.text])[:, 0]
        picked = photograph.numbers[int(column.argmax())]
        chance = len(question.right) / len(photograph.numbers)
        results.append((question.kind, picked in question.right, chance, column.max()))
        print(
            f"| {question.scene} | {question.text} | {sorted(question.right)} | {chance:.2f} | "
            f"{picked} | {'yes' if picked in question.right else 'no'} | {column.max():.2f} |"
        )
    for kind in ("nouns", "phrases", "all"):
        some = [row for row in results if kind in (row[0], "all")]
        hits, chances = sum(row[1] for row in some), [row[2] for row in some]
        print(
            f"{kind}: {hits}/{len(some)} = {hits / len(some):.1%} first; chance "
            f"{np.mean(chances):.1%}, as many by guessing: p = {at_least(hits, chances):.1g}; "
            f"{np.mean([row[3] >= threshold for row in some]):.0%} reach {threshold}"
        )
    for name, texts in (("absent", ABSENT), ("invented", INVENTED)):
        table = np.concatenate([scores(scorer, clip, p, texts) for _, p in shown.values()])
        print(
            f"{name} words: {np.mean(table >= threshold):.1%} of {table.size} pairs of object and "
            f"word reach {threshold}; median score {np.median(table):.3f}"
        )


if __name__ == "__main__":
    main()
