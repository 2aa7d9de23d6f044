"""Pictures of a run: learning curves, and a contact sheet of predictions on unseen scenes."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import cv2
import matplotlib
import numpy as np

from sam_ros.engine.prompt import Prompt
from sam_ros.engine.segmenter import Segmenter
from sam_ros.model import build_sam
from training.evaluate import Case, composed, iou, photographs
from training.scene import OBJECT
from training.train import COLUMNS

matplotlib.use("Agg")
from matplotlib import pyplot as plt

TILE = 256


def curves(log: Path, out: Path, window: int = 25) -> None:
    """Draw the log of :mod:`training.train`: training IoU by round of prompts, and the losses."""
    with log.open(newline="") as stream:
        rows = list(csv.DictReader(stream, COLUMNS))
    minutes = np.array([float(r["seconds"]) / 60 for r in rows])
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), constrained_layout=True)
    for axis, names in ((left, [c for c in COLUMNS if "iou" in c]), (right, ["loss", "affinity"])):
        for name in names:
            known = np.array([r[name] != "" for r in rows])
            values = np.array([float(r[name]) for r in rows if r[name] != ""])
            width = min(window, len(values))
            if width == 0:
                continue
            smooth = np.convolve(values, np.ones(width) / width, "valid")
            axis.plot(minutes[known][width - 1 :], smooth, label=name)
        axis.set_xlabel("minutes")
        axis.legend()
        axis.grid(alpha=0.3)
    left.set_title("IoU on training scenes")
    right.set_title("losses")
    figure.savefig(out, dpi=100)


def contact_sheet(
    segmenter: Segmenter, pictures: list[tuple[np.ndarray, list[Case]]]
) -> np.ndarray:
    """For each picture one row: a click's three hypotheses, a box, and what was asked for."""
    rows = []
    for image, cases in pictures:
        if not cases:
            continue
        case = max(cases, key=lambda c: np.count_nonzero(c.target))
        if not len(case.clicks):
            continue
        rows.append(np.concatenate(list(_tiles(segmenter, image, case)), axis=1))
    return np.concatenate(rows)


def _tiles(segmenter: Segmenter, image: np.ndarray, case: Case) -> list[np.ndarray]:
    embedding = segmenter.set_image(image)
    point = case.clicks[0]
    rows, columns = np.nonzero(case.target)
    box = np.array([columns.min(), rows.min(), columns.max(), rows.max()], np.float32)
    by_click = Prompt(points=point[None], labels=np.array([1], np.int32))
    clicked, boxed = segmenter.segment(embedding, [by_click, Prompt(box=box)])
    tiles = [_tile(image, case.target, "wanted", point)]
    for i, h in enumerate(clicked):
        text = f"{i + 1}: score {h.score:.2f} IoU {iou(h.mask, case.target):.2f}"
        tiles.append(_tile(image, h.mask, text, point))
    tiles += [np.zeros_like(tiles[0])] * (4 - len(tiles))
    answer = boxed.best.mask
    return [*tiles, _tile(image, answer, f"box: IoU {iou(answer, case.target):.2f}", None)]


def _tile(image: np.ndarray, mask: np.ndarray, text: str, point: np.ndarray | None) -> np.ndarray:
    scale = TILE / max(image.shape[:2])
    size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    inside = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    small[inside > 0] = small[inside > 0] // 2 + np.array([0, 110, 40], np.uint8)
    outline, _ = cv2.findContours(inside, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    small = np.ascontiguousarray(small)
    cv2.drawContours(small, outline, -1, (255, 255, 255), 1)
    if point is not None:
        cv2.circle(small, tuple(int(v * scale) for v in point), 4, (255, 40, 40), -1)
    tile = np.zeros((TILE + 18, TILE, 3), np.uint8)
    tile[18 : 18 + size[1], : size[0]] = small
    cv2.putText(tile, text, (3, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1)
    return tile


def main() -> None:
    """Parse the command line and write the pictures beside the run's log."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, default=Path("training/data/run"))
    parser.add_argument("--scenes", type=Path, default=Path("training/data/scenes/val"))
    parser.add_argument("--photos", type=Path, help="use these photographs instead")
    parser.add_argument("--rows", type=int, default=8)
    args = parser.parse_args()
    curves(args.run / "log.csv", args.run / "curves.png")
    segmenter = Segmenter(build_sam("sam_tiny", args.run / "sam_tiny.safetensors"))
    source = photographs(args.photos) if args.photos else composed(args.scenes, OBJECT, args.rows)
    sheet = contact_sheet(segmenter, list(source)[: args.rows])
    cv2.imwrite(str(args.run / "predictions.png"), sheet[..., ::-1])


if __name__ == "__main__":
    main()
