"""Measure both ways from words to masks: `python -m training.text_prompt.evaluate`.

Labelled photographs (`--photos FOLDER`, `training/eval_labels.json`) and composed scenes are asked
for what is in them and for what is not. Every row of the table comes from one run with one
`sam_tiny` and one CLIP.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from sam_ros.engine.config import EverythingConfig
from sam_ros.engine.everything import everything_steps
from sam_ros.engine.prompt_token import PromptToken
from sam_ros.engine.propose_and_rank import ProposeAndRank
from sam_ros.engine.segmenter import Segmenter
from sam_ros.engine.text import TextConfig, TextInstance, TextScorer, ground
from sam_ros.model import build_sam
from training.clip.evaluate import ABSENT, LABELS, photographs, questions
from training.clip.vocabulary import Vocabulary
from training.scene import OBJECT, load_shard, pixels

FOUND = 0.5  # IoU from which an answer is an object
SMALLEST = 400  # pixels of a scene's object that is asked for
WAYS = ("propose_and_rank", "prompt_token")
# As the node asks: what its parameters are by default, and lenient where words choose.
EVERYTHING = EverythingConfig(
    points_per_side=16, pred_iou_thresh=0.5, stability_score_thresh=0.6, mask_nms_thresh=0.85,
    min_mask_region_area=64, min_mask_area=64,
)  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """What is asked of one picture.

    Attributes:
        rgb: (H, W, 3) uint8.
        asked: texts and the (H, W) bool masks that each may mean.
        present: words that mean something in it.
        absent: texts that mean nothing in it.
    """

    rgb: np.ndarray
    asked: list[tuple[str, list[np.ndarray]]]
    present: set[str]
    absent: list[str]


@dataclass
class Tally:
    """What became of the questions, one value for each."""

    columns: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def answer(self, found: list[TextInstance], right: list[np.ndarray], prefix: str) -> None:
        """Record the best instance of a text that means one of some masks."""
        best = found[0].hypothesis.mask if found else np.zeros(right[0].shape, bool)
        overlap = max(iou(best, mask) for mask in right)
        self.columns[f"{prefix}right"].append(overlap >= FOUND)
        self.columns[f"{prefix}wrong"].append(bool(found) and overlap < FOUND)
        self.columns[f"{prefix}iou"].append(overlap)

    def mean(self, column: str) -> float:
        """Of a column; NaN when nothing was recorded."""
        return float(np.mean(self.columns[column])) if self.columns[column] else float("nan")


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Of two (H, W) bool masks."""
    return float((a & b).sum() / max(1, (a | b).sum()))


def from_photographs(folder: Path) -> Iterator[Picture]:
    """The labelled photographs, with the texts that do not fit all of their objects."""
    labels = json.loads(LABELS.read_text())
    asked = questions(labels)
    for photograph in photographs(folder, labels):
        masks = dict(zip(photograph.numbers, photograph.masks, strict=True))
        texts = [
            (question.text, [masks[number] for number in question.right])
            for question in asked
            if question.scene == photograph.name
        ]
        yield Picture(photograph.rgb, texts, {text for text, _ in texts}, list(ABSENT))


def from_scenes(shards: list[Path], count: int) -> Iterator[Picture]:
    """Composed scenes in which some, but not all objects are what a word means."""
    vocabulary = Vocabulary.read()
    scenes = (scene for path in shards for scene in load_shard(path))
    for scene in scenes:
        ids = scene.ids()
        objects = [
            (vocabulary.index(item.name) if item.name else -1, pixels(ids, item))
            for item in scene.masks
            if item.kind == OBJECT
        ]
        objects = [(label, mask) for label, mask in objects if mask.sum() >= SMALLEST]
        labels = sorted({label for label, _ in objects if label >= 0})
        if not labels or len(objects) < 2:
            continue
        asked = []
        for label in labels:
            name = vocabulary.concepts[label].name
            right = [mask for other, mask in objects if other in vocabulary.phrases[name]]
            if len(right) < len(objects):
                asked.append((name, right))
        present = {
            word for word, meant in vocabulary.phrases.items() if not meant.isdisjoint(labels)
        }
        absent = [word for word in ABSENT if word not in present]
        yield Picture(scene.image(), asked[:4], present, absent)
        count -= 1
        if not count:
            return


def measure(
    way: str,
    pictures: list[Picture],
    segmenter: Segmenter,
    scorer: TextScorer,
    token: PromptToken | None,
) -> Tally:
    """Ask everything in one of the two ways."""
    everything = ProposeAndRank(
        lambda rgb, embedding: everything_steps(segmenter, rgb, EVERYTHING, embedding), scorer
    )
    grounder = token if token and way == "prompt_token" else everything
    tally = Tally()
    for picture in pictures:
        embedding = segmenter.set_image(picture.rgb)
        began = time.process_time()
        for number, (text, right) in enumerate(picture.asked):
            for prefix, threshold in (("any ", 0.0), ("", TextConfig.threshold)):
                grounder.config = replace(grounder.config, threshold=threshold)
                found = ground(grounder, picture.rgb, embedding, [text])
                tally.answer(found, right, prefix)
                if not number and not threshold:
                    tally.columns["seconds"].append(time.process_time() - began)
        for text in picture.absent[:10]:
            found = ground(grounder, picture.rgb, embedding, [text])
            tally.columns["absent"].append(bool(found))
    return tally


def parser_of(description: str, count: int) -> argparse.ArgumentParser:
    """What is said of models and composed scenes; so many scenes by default."""
    parser = argparse.ArgumentParser(description=description)
    models = Path("resource/models")
    parser.add_argument("--sam", type=Path, default=models / "sam_tiny.safetensors")
    parser.add_argument("--clip", type=Path, default=models / "clip_tiny")
    parser.add_argument("--prompt", type=Path, default=models / "sam_tiny_text.safetensors")
    parser.add_argument("--scenes", type=Path, default=Path("training/data/scenes/val"))
    parser.add_argument(
        "--count", type=int, default=count, help="composed scenes to ask about (%(default)s)"
    )
    return parser


def load(
    options: argparse.Namespace, token: bool
) -> tuple[Segmenter, TextScorer, PromptToken | None]:
    """The models that the options name, on one thread; the way by a token if it is wanted."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    segmenter = Segmenter(build_sam("sam_tiny", options.sam))
    scorer = TextScorer.load(options.clip, "cpu")
    if not token:
        return segmenter, scorer, None
    files = options.prompt, options.sam, options.clip
    return segmenter, scorer, PromptToken.load(segmenter, scorer, *files)


def main() -> None:
    """Print the table."""
    parser = parser_of(__doc__.split("\n\n")[0], count=30)
    parser.add_argument("--photos", type=Path, help="folder of the labelled photographs")
    parser.add_argument("--ways", nargs="+", default=WAYS, choices=WAYS)
    options = parser.parse_args()
    segmenter, scorer, token = load(options, "prompt_token" in options.ways)
    sets = {"photographs": list(from_photographs(options.photos))} if options.photos else {}
    if options.count:
        shards = sorted(options.scenes.glob("*.npz"))
        sets["composed"] = list(from_scenes(shards, options.count))
    print("| set | way | asked | first right | IoU | right | wrong | nothing | absent found | s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, pictures in sets.items():
        for way in options.ways:
            tally = measure(way, pictures, segmenter, scorer, token)
            right, wrong = tally.mean("right"), tally.mean("wrong")
            asked = len(tally.columns["right"])
            print(
                f"| {name} | {way} | {asked} | {tally.mean('any right'):.0%} "
                f"| {tally.mean('any iou'):.2f} | {right:.0%} | {wrong:.0%} "
                f"| {1 - right - wrong:.0%} | {tally.mean('absent'):.0%} "
                f"| {tally.mean('seconds'):.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
