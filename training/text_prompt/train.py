"""Train the text prompt of `sam_tiny`: `python -m training.text_prompt.train --minutes 15`.

Encoder, prompt encoder and decoder stay as they are, so every scene is encoded once and kept.
Prompts are CLIP vectors of an object's picture (SAM, section 7.5) and, since the two towers of a
small CLIP do not quite meet, of words that fit it; some of the words fit nothing in the picture.
"""

from __future__ import annotations

import argparse
import copy
import csv
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from sam_ros.engine.clip import Clip
from sam_ros.engine.segmenter import Segmenter
from sam_ros.model import Sam, build_sam
from sam_ros.model.checkpoint import read_checkpoint
from sam_ros.model.layers import crop
from sam_ros.model.text_prompt import TAKEN, TextPrompt, as_mask_prompt, digest
from training.losses import mask_loss, true_iou
from training.resume import Resumable
from training.text_prompt.asker import Asker, Mixture, Prompts
from training.text_prompt.scenes import Encoded, prepare

HIT = 0.5  # share of the clicked cell that an object covers; other clicks teach nothing
COLUMNS = ("step", "seconds", "loss", "cells", "iou_picture", "iou_words")


@dataclass(frozen=True)
class Schedule:
    """What is fixed about a run."""

    scenes: int = 4  # of a step
    decoded: int = 2  # prompts of a scene that go through the decoder ...
    decoded_from: float = 0.4  # ... once the cells have had this share of the time
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warm_up_steps: int = 100
    average: float = 0.995

    def rate(self, progress: float, step: int) -> float:
        """Learning rate: linear warm-up, then cosine to one hundredth."""
        cosine = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
        return self.learning_rate * cosine * min(1.0, (step + 1) / self.warm_up_steps)


def scene_loss(
    prompt: TextPrompt, sam: Sam, scene: Encoded, asked: Prompts, decoded: int
) -> tuple[Tensor, dict[str, list[float]]]:
    """Loss of the prompts of one scene: of the cells, and of so many masks of the decoder.

    Returns:
        The loss, and for the log: the loss of the cells, IoU of prompts by picture and by words.
    """
    features = scene.features.float()
    coverage = scene.coverage.float() / 255  # (K, 4h, 4w)
    cells = F.avg_pool2d(coverage[:, None], 4)[:, 0]  # (K, h, w)
    wanted = union(asked.fitting, cells)
    tokens, logits = prompt(asked.vectors, features)
    logits = logits - TAKEN * union(asked.taken, cells)[:, None]
    loss = cell_loss(logits[:, 0], wanted).mean()
    figures = {"cells": [loss.item()], "iou_picture": [], "iou_words": []}
    rows = asked.fitting.any(1).nonzero()[:, 0][:decoded]
    if not len(rows) or not decoded:
        return loss, figures
    # As the engine asks: one of the fitting objects, the one that resembles the vector most.
    chosen = most_alike(logits[rows, 0].detach(), asked.fitting[rows], cells)
    others = union(asked.fitting[rows] & ~chosen, cells)[:, None]
    left = logits[rows] - TAKEN * others
    hit = union(chosen, cells).flatten(1).gather(1, left.flatten(1).argmax(1, keepdim=True)) > HIT
    rows, chosen, left = rows[hit[:, 0]], chosen[hit[:, 0]], left[hit[:, 0]]
    if not len(rows):
        return loss, figures
    encoder = sam.prompt_encoder
    clicks = peaks(left, encoder.input_image_size[0] / encoder.image_embedding_size[0])
    drawn = as_mask_prompt(left, encoder.mask_input_size)
    sparse, dense = encoder(clicks, None, drawn)
    sparse = torch.cat((sparse, tokens[rows]), dim=1)
    masks, _ = sam.mask_decoder(features, encoder.get_dense_pe(), sparse, dense, False)
    masks = crop(masks, coverage)
    targets = union(chosen, coverage)
    loss = loss + mask_loss(masks, targets, 0.5).mean()
    for row, iou in zip(rows, true_iou(masks, targets)[:, 0], strict=True):
        figures["iou_words" if asked.by_words[row] else "iou_picture"].append(float(iou))
    return loss, figures


def peaks(logits: Tensor, side: float) -> tuple[Tensor, Tensor]:
    """The middle of the highest of each row's cells as a click.

    Args:
        logits: (B, 1, h, w) of cells.
        side: of a cell in pixels of the encoder's input.

    Returns:
        Coordinates (B, 1, 2) x, y in these pixels and labels (B, 1).
    """
    best = logits.flatten(1).argmax(1)
    cells = torch.stack((best % logits.shape[3], best // logits.shape[3]), dim=1)
    return (cells[:, None] + 0.5) * side, torch.ones(len(best), 1, dtype=torch.int32)


def union(chosen: Tensor, maps: Tensor) -> Tensor:
    """(B, h, w) what the chosen (B, K) of (K, h, w) maps cover together."""
    return (chosen.float() @ maps.flatten(1)).clamp(max=1).unflatten(1, maps.shape[1:])


def most_alike(logits: Tensor, fitting: Tensor, cells: Tensor) -> Tensor:
    """(B, K) bool, the one of each row's fitting objects whose cells have the highest logits.

    Args:
        logits: (B, h, w).
        fitting: (B, K) bool, at least one in each row.
        cells: (K, h, w) how much of each cell an object covers.
    """
    shares = cells.flatten(1) / cells.sum((1, 2)).clamp(min=1e-6)[:, None]
    means = (logits.flatten(1) @ shares.T).masked_fill(~fitting, -math.inf)
    return F.one_hot(means.argmax(1), len(cells)).bool()


def cell_loss(logits: Tensor, wanted: Tensor) -> Tensor:
    """(B,) Cross entropy of (B, h, w) cells; inside and outside weigh the same."""
    entropy = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    inside = (entropy * wanted).sum((1, 2)) / wanted.sum((1, 2)).clamp(min=1)
    outside = (entropy * (1 - wanted)).sum((1, 2)) / (1 - wanted).sum((1, 2)).clamp(min=1)
    return inside + outside


@dataclass
class State(Resumable):
    """Everything that a stopped run needs to go on."""

    PARTS: ClassVar = ("prompt", "average", "optimizer")
    prompt: TextPrompt
    average: TextPrompt
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0


def new_state(
    clip_dim: int, sam: Sam, schedule: Schedule, seed: int, init: Path | None = None
) -> State:
    """A fresh projection or a copy of a file's, its average and its optimizer."""
    torch.manual_seed(seed)
    channels = sam.mask_decoder.channels
    prompt = TextPrompt(clip_dim, channels.total, channels.coarse)
    if init:
        prompt.load_state_dict(read_checkpoint(init))
    optimizer = torch.optim.AdamW(
        prompt.parameters(),
        schedule.learning_rate,
        (0.9, 0.98),
        weight_decay=schedule.weight_decay,
    )
    return State(prompt, copy.deepcopy(prompt).requires_grad_(False), optimizer)


def train_step(
    state: State, sam: Sam, batch: list[tuple[Encoded, Prompts]], schedule: Schedule,
    progress: float,
) -> dict[str, float]:  # fmt: skip
    """One optimizer step; returns the figures of the log."""
    for group in state.optimizer.param_groups:
        group["lr"] = schedule.rate(progress, state.step)
    decoded = schedule.decoded if progress >= schedule.decoded_from else 0
    losses, figures = zip(
        *(scene_loss(state.prompt, sam, scene, asked, decoded) for scene, asked in batch),
        strict=True,
    )
    loss = torch.stack(losses).mean()
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(state.prompt.parameters(), 1.0)
    state.optimizer.step()
    state.step += 1
    decay = min(schedule.average, (1 + state.step) / (10 + state.step))
    averaged = [p.data for p in state.average.parameters()]
    torch._foreach_lerp_(averaged, [p.data for p in state.prompt.parameters()], 1 - decay)
    gathered = {key: [v for row in figures for v in row[key]] for key in figures[0]}
    return {"loss": loss.item()} | {k: float(np.mean(v)) for k, v in gathered.items() if v}


def export(state: State, path: Path, made_for: dict[str, str]) -> None:
    """Write the averaged weights in float16, and for which model and CLIP they are."""
    tensors = {k: v.half().contiguous() for k, v in state.average.state_dict().items()}
    save_file(tensors, path, made_for)


class Material:
    """Scenes and the CLIP vectors of their objects' pictures, made when first asked for."""

    def __init__(self, scenes: list[Encoded], clip: Clip) -> None:
        self.scenes, self._clip = scenes, clip
        self._vectors: dict[int, Tensor] = {}

    def vectors(self, index: int) -> Tensor:
        """(K, D) of the objects of a scene."""
        if index not in self._vectors:
            crops = [crop.numpy() for crop in self.scenes[index].crops]
            self._vectors[index] = self._clip.embed_images(crops).clone()
        return self._vectors[index]


def run(args: argparse.Namespace, schedule: Schedule) -> None:
    """Encode what is not encoded yet, and train until the time is used up."""
    sam = build_sam("sam_tiny", args.sam).requires_grad_(False)
    clip = Clip.load(args.clip, "cpu")
    shards = sorted(args.scenes.glob("*.npz"))[: args.shards]
    scenes = prepare(shards, args.sam, Segmenter(sam), clip.pixels.colour, args.out, args.every)
    material = Material(scenes, clip)
    clip_dim = clip.embed_texts(["a"]).shape[1]
    state = new_state(clip_dim, sam, schedule, args.seed, args.init)
    made_for = {"sam": digest(args.sam), "clip": digest(args.clip / "model.safetensors")}
    # A state is of use for its own model and CLIP only.
    saved = args.out / "-".join(("state", *(made_for[k][:12] for k in ("sam", "clip"))))
    if args.resume and saved.exists():
        state.load(saved)
    rng = np.random.default_rng((args.seed, state.step))
    asker = Asker(clip, Mixture(), rng)
    budget = 60.0 * args.minutes
    last = saved_at = time.process_time()
    with (args.out / "log.csv").open("a", newline="") as file:
        log = csv.DictWriter(file, COLUMNS, restval="")
        while state.seconds < budget:
            chosen = (int(i) for i in rng.integers(len(scenes), size=schedule.scenes))
            batch = [(scenes[i], asker(scenes[i], material.vectors(i))) for i in chosen]
            figures = train_step(state, sam, batch, schedule, state.seconds / budget)
            now = time.process_time()
            state.seconds, last = state.seconds + now - last, now
            if state.step % 20 == 0:
                row = {k: round(v, 4) for k, v in figures.items()}
                log.writerow({"step": state.step, "seconds": round(state.seconds, 1), **row})
                file.flush()
                print(state.step, round(state.seconds / 60, 1), row, flush=True)
            if now - saved_at > 60:
                state.save(saved)
                saved_at = now
    state.save(saved)
    export(state, args.out / "sam_tiny_text.safetensors", made_for)


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    models = Path("resource/models")
    parser.add_argument("--scenes", type=Path, default=Path("training/data/scenes/train"))
    parser.add_argument("--shards", type=int, default=1000, help="take the first so many")
    parser.add_argument("--every", type=int, default=5, help="take one scene of so many")
    parser.add_argument("--sam", type=Path, default=models / "sam_tiny.safetensors")
    parser.add_argument("--clip", type=Path, default=models / "clip_tiny")
    parser.add_argument("--out", type=Path, default=Path("training/data/text_prompt"))
    parser.add_argument("--minutes", type=float, default=15, help="processor time of the training")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--init", type=Path, help="a projection for kindred weights to begin from")
    parser.add_argument("--resume", action="store_true", help="go on from the last state in --out")
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    run(parser.parse_args(), Schedule())


if __name__ == "__main__":
    main()
