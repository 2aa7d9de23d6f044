"""Train `clip_tiny`: `python -m training.clip.train --minutes 45`.

The schedule is a share of the time that is given. `--resume` goes on from the last state and reads
the pictures anew.
"""

from __future__ import annotations

import argparse
import copy
import csv
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from transformers import CLIPModel, PreTrainedTokenizerFast

from sam_ros.engine.phrases import FILE
from training.clip.captions import Caption, Speaker, fits, make_tokenizer, phrases
from training.clip.crops import GROUND
from training.clip.meanings import Meanings
from training.clip.pictures import Batch, Pictures
from training.clip.towers import EMBEDDING, embed_pictures, embed_texts, make_model, make_processor
from training.clip.vocabulary import COLOURS, Vocabulary
from training.resume import Resumable
from training.train import use_bf16_linears

HOTTEST = math.log(50.0)  # upper bound of the logit scale's logarithm
COLUMNS = ("step", "seconds", "loss", "texts", "top1", "scale")


@dataclass(frozen=True)
class Schedule:
    """How a run proceeds; shares are of its time."""

    batch: int = 64
    concepts: int = 64  # names a picture is told apart from, besides the batch's own
    coloured: int = 24
    nonsense: int = 6
    told: int = 48  # captions of a step that the text tower learns
    kept: float = 0.4  # of the patches are looked at ...
    whole_from: float = 0.85  # ... before all of them are
    learning_rate: float = 1.2e-3
    weight_decay: float = 0.05
    warm_up_steps: int = 60
    average: float = 0.99

    def rate(self, progress: float, step: int) -> float:
        """Learning rate: linear warm-up, then cosine to one hundredth."""
        cosine = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
        return self.learning_rate * cosine * min(1.0, (step + 1) / self.warm_up_steps)


@dataclass
class State(Resumable):
    """Everything that a stopped run needs to go on."""

    PARTS: ClassVar = ("model", "meanings", "average", "optimizer")
    model: CLIPModel
    meanings: Meanings
    average: CLIPModel
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0


def new_state(
    tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary, schedule: Schedule, seed: int
) -> State:
    """Fresh towers and meanings, the towers' average and an optimizer."""
    torch.manual_seed(seed)
    model, meanings = make_model(tokenizer), Meanings(vocabulary, EMBEDDING)
    decayed = [p for p in model.parameters() if p.ndim >= 2]
    free = [p for p in model.parameters() if p.ndim < 2] + [*meanings.parameters()]
    groups = [{"params": decayed, "weight_decay": schedule.weight_decay}, {"params": free}]
    optimizer = torch.optim.AdamW(groups, schedule.learning_rate, (0.9, 0.98), weight_decay=0.0)
    return State(model, meanings, copy.deepcopy(model).requires_grad_(False), optimizer)


@torch.no_grad()
def begin_from(state: State, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Take up towers that were exported; the table begins with what their words say."""
    towers = CLIPModel.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    for model in (state.model, state.average):
        model.load_state_dict(towers.state_dict())
    names = [concept.name for concept in Vocabulary.read().concepts]
    colours = [f"{colour} object" for colour in COLOURS]
    said = [*names, "object", "background", "zorblax", *colours]
    vectors = embed_texts(towers.eval(), tokenizer, said)
    concepts, others, sums = vectors.split((len(names), 3, len(colours)))
    state.meanings.concepts.copy_(concepts)
    state.meanings.others.copy_(others)
    # "red object" means the sum of two unit vectors: each mirrors the other at the sum.
    state.meanings.colours.copy_(2 * (sums @ others[0])[:, None] * sums - others[0])


def speak(batch: Batch, speaker: Speaker, schedule: Schedule) -> list[Caption]:
    """Captions for a batch: concepts present and absent, kinds, colours, generic, nonsense."""
    rng, vocabulary = speaker.rng, speaker.vocabulary
    present = np.unique(batch.labels[batch.labels >= 0])
    absent = np.setdiff1d(np.arange(len(vocabulary.concepts)), present)
    others = rng.permutation(absent)[: schedule.concepts]
    captions = [speaker.of(int(label)) for label in (*present, *others)]
    captions += [speaker.kind(kind) for kind in vocabulary.kinds]
    for row in rng.permutation(np.flatnonzero(batch.labels > GROUND))[: schedule.coloured]:
        right = np.flatnonzero(batch.colours[row])
        colour = int(rng.choice(right) if len(right) else rng.integers(batch.colours.shape[1]))
        captions.append(speaker.coloured(int(batch.labels[row]), colour))
    captions += [speaker.generic(), speaker.generic(), speaker.ground(), speaker.ground()]
    return captions + [speaker.nonsense() for _ in range(schedule.nonsense)]


def contrast(logits: Tensor, weights: Tensor) -> Tensor:
    """Cross entropy over rows and over columns with several right answers (arXiv 2204.03610).

    Args:
        logits: (B, N) scaled similarities of pictures and captions.
        weights: (B, N) how much of a row's probability each caption deserves; 0: wrong.
    """
    rows = weights / weights.sum(1, keepdim=True)
    told = -(rows * logits.log_softmax(1)).sum(1).mean()
    right = (weights > 0).float()
    answered = right.sum(0) > 0
    columns = right[:, answered] / right[:, answered].sum(0)
    found = -(columns * logits[:, answered].log_softmax(0)).sum(0).mean()
    return told + 0.5 * found


def train_step(
    state: State, tokenizer: PreTrainedTokenizerFast, batch: Batch, captions: list[Caption],
    schedule: Schedule, progress: float,
) -> dict[str, float]:  # fmt: skip
    """One optimizer step; returns the figures of the log."""
    for group in state.optimizer.param_groups:
        group["lr"] = schedule.rate(progress, state.step)
    kept = schedule.kept if progress < schedule.whole_from else 1.0
    pictures = embed_pictures(state.model, torch.from_numpy(batch.pixels), kept)
    meant = state.meanings(captions)
    logits = state.model.logit_scale.exp() * pictures @ meant.T
    weights = torch.from_numpy(fits(captions, batch.labels, batch.colours))
    told = torch.randperm(len(captions))[: schedule.told]
    texts = embed_texts(state.model, tokenizer, [captions[int(k)].text for k in told])
    missed = 1 - (texts * meant[told].detach()).sum(1).mean()
    loss = contrast(logits, weights)
    state.optimizer.zero_grad(set_to_none=True)
    (loss + 2 * missed).backward()
    nn.utils.clip_grad_norm_(state.model.parameters(), 1.0)
    state.optimizer.step()
    state.step += 1
    with torch.no_grad():
        state.model.logit_scale.clamp_(max=HOTTEST)
        decay = min(schedule.average, (1 + state.step) / (10 + state.step))
        averaged = [p.data for p in state.average.parameters()]
        torch._foreach_lerp_(averaged, [p.data for p in state.model.parameters()], 1 - decay)
    figures = {"loss": loss.item(), "texts": missed.item()}
    figures["top1"] = hit_rate(logits.detach(), weights, captions)
    return figures | {"scale": state.model.logit_scale.exp().item()}


def hit_rate(logits: Tensor, weights: Tensor, captions: list[Caption]) -> float:
    """How often the best plain name is a right one, of the pictures that have one."""
    plain = torch.tensor([bool(c.concepts) and c.colour < 0 and c.weight == 1 for c in captions])
    right = weights[:, plain] > 0
    best = right.gather(1, logits[:, plain].argmax(1, keepdim=True))
    return best[right.any(1)].float().mean().item()


def export(state: State, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the averaged towers in float16, tokenizer, image processor and phrases."""
    half = copy.deepcopy(state.average).half()
    half.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    make_processor().save_pretrained(folder)
    (folder / FILE).write_text(json.dumps(phrases(), indent=1) + "\n")


def run(args: argparse.Namespace, schedule: Schedule) -> None:
    """Train until the time is used up."""
    vocabulary = Vocabulary.read()
    tokenizer = (
        PreTrainedTokenizerFast.from_pretrained(args.init, local_files_only=True)
        if args.init
        else make_tokenizer(vocabulary)
    )
    state = new_state(tokenizer, vocabulary, schedule, args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    saved = args.out / "state.pt"
    if args.init:
        begin_from(state, tokenizer, args.init)
    if args.resume and saved.exists():
        state.load(saved)
    use_bf16_linears(state.model)
    pictures = Pictures(args.pictures / "train")
    rng = np.random.default_rng((args.seed, state.step))
    speaker = Speaker(vocabulary, rng)
    budget, last = 60.0 * args.minutes, time.monotonic()
    saved_at = last
    with (args.out / "log.csv").open("a", newline="") as file:
        log = csv.DictWriter(file, COLUMNS)
        while state.seconds < budget:
            batch = pictures.batch(schedule.batch, rng)
            captions = speak(batch, speaker, schedule)
            progress = state.seconds / budget
            figures = train_step(state, tokenizer, batch, captions, schedule, progress)
            now = time.monotonic()
            state.seconds, last = state.seconds + now - last, now
            if state.step % 10 == 0:
                row = {k: round(v, 4) for k, v in figures.items()}
                log.writerow({"step": state.step, "seconds": round(state.seconds, 1), **row})
                file.flush()
                print(state.step, round(state.seconds / 60, 1), row, flush=True)
            if now - saved_at > 120:
                state.save(saved)
                saved_at = now
    state.save(saved)
    export(state, tokenizer, args.out / "clip_tiny")


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--pictures", type=Path, default=Path("training/data/clip"))
    parser.add_argument("--out", type=Path, default=Path("training/data/clip/run"))
    parser.add_argument("--minutes", type=float, default=45, help="time of the whole run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--init", type=Path, help="folder of a clip_tiny to begin from")
    parser.add_argument("--resume", action="store_true", help="go on from the last state in --out")
    cv2.setNumThreads(1)
    run(parser.parse_args(), Schedule())


if __name__ == "__main__":
    main()
