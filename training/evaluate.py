"""Measure ``sam_tiny`` and simple peers: ``python -m training.evaluate --photos FOLDER``.

Sets are folders of shards made by the composer (``--scenes``) and folders of photographs
(``--photos``): ``NAME.jpg``, ``NAME_masks.png`` (0 none, 1..K one object each) and ``index.json``
with ``name`` and ``clicks`` (x, y) of people. Every row of the table comes from one run.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from sam_ros.engine.prompt import Prompt
from sam_ros.engine.segmenter import Segmenter
from sam_ros.model import build_sam
from training import baselines
from training.scene import OBJECT, PART, load_shard, pixels

MIN_AREA = 400  # pixels; smaller masks are not asked for
CLICKS = 3


@dataclass(frozen=True)
class Case:
    """One object to find in a picture.

    Attributes:
        target: (H, W) bool.
        clicks: (K, 2) first clicks x, y, each asked on its own.
    """

    target: np.ndarray
    clicks: np.ndarray


@dataclass
class Scores:
    """IoU of every answer by column of the table."""

    columns: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, column: str, answer: np.ndarray, target: np.ndarray) -> None:
        """Record an answer, (H, W) bool, and how well its boundary fits."""
        self.columns[column].append(iou(answer, target))
        self.columns[f"{column} boundary"].append(boundary_iou(answer, target))

    def mean(self, column: str) -> float:
        """Mean IoU of a column."""
        return float(np.mean(self.columns[column]))

    def failed(self, column: str) -> float:
        """Share of the answers with an IoU under 0.5."""
        return float(np.mean(np.array(self.columns[column]) < 0.5))


def iou(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two (H, W) bool masks; 1 when both are empty."""
    union = np.count_nonzero(a | b)
    return float(np.count_nonzero(a & b) / union) if union else 1.0


def boundary_iou(a: np.ndarray, b: np.ndarray) -> float:
    """IoU of the two masks' rims, 2 % of the diagonal wide (Cheng et al. 2021)."""
    width = max(1, round(0.02 * float(np.hypot(*a.shape))))
    return iou(_rim(a, width), _rim(b, width))


def _rim(mask: np.ndarray, width: int) -> np.ndarray:
    inside = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    return mask & (inside <= width)


def centre_click(mask: np.ndarray) -> np.ndarray:
    """The point deepest inside a (H, W) bool mask: x, y."""
    depth = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return np.array([x, y], np.float32)


def tight_box(mask: np.ndarray) -> np.ndarray:
    """First and last row and column of a mask: x0, y0, x1, y1."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return np.array([columns[0], rows[0], columns[-1], rows[-1]], np.float32)


def photographs(folder: Path) -> Iterator[tuple[np.ndarray, list[Case]]]:
    """Pictures with hand-made masks and people's clicks; clicks on no object are left out."""
    for row in json.loads((folder / "index.json").read_text()):
        image = cv2.imread(str(folder / f"{row['name']}.jpg"))[..., ::-1]
        ids = cv2.imread(str(folder / f"{row['name']}_masks.png"), cv2.IMREAD_UNCHANGED)
        clicks = np.array(row["clicks"], int).reshape(-1, 2)
        hit = ids[clicks[:, 1], clicks[:, 0]]
        numbers = range(1, int(ids.max()) + 1)
        yield (
            np.ascontiguousarray(image),
            [Case(ids == n, clicks[hit == n].astype(np.float32)) for n in numbers],
        )


def composed(folder: Path, kind: int, limit: int) -> Iterator[tuple[np.ndarray, list[Case]]]:
    """Composed scenes, the masks of one kind, each clicked at its deepest point."""
    scenes = (scene for path in sorted(folder.glob("*.npz")) for scene in load_shard(path))
    for scene, _ in zip(scenes, range(limit), strict=False):
        ids = scene.ids()
        masks = [pixels(ids, m) for m in scene.masks if m.kind == kind]
        masks = [m for m in masks if np.count_nonzero(m) >= MIN_AREA]
        yield scene.image(), [Case(m, centre_click(m)[None]) for m in masks]


def measure(
    segmenter: Segmenter, pictures: Iterator[tuple[np.ndarray, list[Case]]], peers: bool
) -> Scores:
    """Ask for every case of every picture by click, by three clicks and by box."""
    scores = Scores()
    for image, cases in pictures:
        start = time.perf_counter()
        embedding = segmenter.set_image(image)
        scores.columns["encode ms"].append(1e3 * (time.perf_counter() - start))
        if peers:
            smooth, segments = baselines.smoothed(image), baselines.superpixels(image)
        for case in cases:
            box = tight_box(case.target)
            answer = segmenter.segment(embedding, [Prompt(box=box)])[0].best.mask
            scores.add("box", answer, case.target)
            if peers:
                scores.add("GrabCut box", baselines.grab_cut(image, box), case.target)
                scores.add("whole box", baselines.fill(image, box), case.target)
            for point in case.clicks:
                _clicks(segmenter, embedding, case.target, point, scores)
                if peers:
                    scores.add("flood fill", baselines.flood_fill(smooth, point), case.target)
                    scores.add("superpixel", baselines.superpixel(segments, point), case.target)
    return scores


def _clicks(
    segmenter: Segmenter, embedding: object, target: np.ndarray, point: np.ndarray, scores: Scores
) -> None:
    """One click, then corrections at the deepest point of the largest error."""
    points, labels = point[None], np.array([1], np.int32)
    start = time.perf_counter()
    first = segmenter.segment(embedding, [Prompt(points=points, labels=labels)])[0]
    scores.columns["click ms"].append(1e3 * (time.perf_counter() - start))
    scores.add("click", first.best.mask, target)
    of_each = [iou(h.mask, target) for h in first]
    scores.columns["click oracle"].append(max(of_each))
    trusted = max(range(len(first)), key=lambda i: first[i].predicted_iou)
    scores.columns["click by predicted IoU"].append(of_each[trusted])
    scores.columns["right"].append(of_each[0] == max(of_each))
    scores.columns["right by predicted IoU"].append(of_each[trusted] == max(of_each))
    answer = first.best
    for count in range(2, CLICKS + 1):
        missed = target & ~answer.mask
        extra = answer.mask & ~target
        correct = max((missed, extra), key=lambda m: _depth(m))
        if not correct.any():
            break
        points = np.concatenate([points, centre_click(correct)[None]])
        labels = np.append(labels, np.int32(correct is missed))
        prompt = Prompt(points=points, labels=labels, logits=answer.logits)
        answer = segmenter.segment(embedding, [prompt])[0].best
        scores.add(f"{count} clicks", answer.mask, target)
    for left in range(len(points) + 1, CLICKS + 1):
        scores.add(f"{left} clicks", answer.mask, target)


def _depth(mask: np.ndarray) -> float:
    padded = np.pad(mask, 1).astype(np.uint8)
    return float(cv2.distanceTransform(padded, cv2.DIST_L2, 3).max())


COLUMNS = ("click", "click by predicted IoU", "click oracle", "2 clicks", "3 clicks", "box")
PEERS = ("GrabCut box", "whole box", "flood fill", "superpixel")


def table(results: dict[str, Scores], peers: bool) -> str:
    """Markdown: mean IoU of every column for every set."""
    columns = COLUMNS + (PEERS if peers else ())
    lines = ["| set | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name, scores in results.items():
        row = " | ".join(f"{scores.mean(c):.3f}" for c in columns)
        lines.append(f"| {name} | {row} |")
    lines += ["", "| set | " + " | ".join(f"{c}: boundary IoU, under 0.5" for c in _MAIN) + " |"]
    lines.append("|---" * (len(_MAIN) + 1) + "|")
    for name, scores in results.items():
        row = (f"{scores.mean(f'{c} boundary'):.3f}, {scores.failed(c):.0%}" for c in _MAIN)
        lines.append(f"| {name} | " + " | ".join(row) + " |")
    return "\n".join(lines)


_MAIN = ("click", "3 clicks", "box")


def main() -> None:
    """Parse the command line, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--weights", type=Path, help="default: the embedded ones")
    parser.add_argument("--scenes", type=Path, default=Path("training/data/scenes/val"))
    parser.add_argument("--limit", type=int, default=100, help="composed scenes to use")
    parser.add_argument("--photos", type=Path, nargs="*", default=[])
    parser.add_argument("--no-peers", action="store_true", help="leave out GrabCut and the others")
    args = parser.parse_args()
    segmenter = Segmenter(build_sam("sam_tiny", args.weights))
    sets = {p.name: lambda p=p: photographs(p) for p in args.photos}
    if args.scenes.exists():
        sets["unseen objects"] = lambda: composed(args.scenes, OBJECT, args.limit)
        sets["unseen parts"] = lambda: composed(args.scenes, PART, args.limit)
    results = {k: measure(segmenter, make(), not args.no_peers) for k, make in sets.items()}
    print(table(results, not args.no_peers))
    for name, scores in results.items():
        encode, click = (np.median(scores.columns[c]) for c in ("encode ms", "click ms"))
        print(f"{name}: {encode:.0f} ms to encode, {click:.1f} ms for a click (medians)")
        right, trusted = (f"{scores.mean(c):.1%}" for c in ("right", "right by predicted IoU"))
        print(f"{name}: the best of three is first for {right}, by predicted IoU for {trusted}")


if __name__ == "__main__":
    main()
