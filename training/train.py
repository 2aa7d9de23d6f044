"""Train ``sam_tiny`` on composed scenes: ``python -m training.train --minutes 60``.

The recipe is the paper's (SAM, appendix A) with what a small model and little compute need: low
resolution first, cross entropy before the focal loss, and a loss that makes the embedding tell
objects apart. The schedule is a share of the time allowed, so a run always ends well annealed;
``--resume`` goes on where a stopped run was.
"""

from __future__ import annotations

import argparse
import copy
import csv
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from tqdm import tqdm

from sam_ros.model.checkpoint import load_checkpoint
from sam_ros.model.sam import Sam
from sam_ros.model.tiny import build_sam_tiny, set_image_size
from training.losses import affinity_loss, mask_loss, true_iou
from training.resume import Resumable
from training.rounds import Prompts, decode, decode_rough, first_prompts, with_corrections
from training.samples import Recipe, Sample, Samples


@dataclass(frozen=True)
class Phase:
    """A part of the run at one resolution; `until` is the share of the time at its end."""

    until: float
    image_size: int
    pictures: int


@dataclass(frozen=True)
class Schedule:
    """What is fixed about a run; times are shares of the whole."""

    phases: tuple[Phase, ...] = (
        *(Phase(0.10, 128, 12), Phase(0.30, 256, 6)),
        *(Phase(0.65, 384, 3), Phase(1.0, 512, 2)),
    )
    masks: int = 8
    boxes: int = 3
    learning_rate: float = 8e-4
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.05
    warm_up_steps: int = 150
    clip: float = 1.0
    ema: float = 0.998
    focal_from: float = 0.35
    focal_until: float = 0.55
    affinity: float = 0.5
    rough: float = 0.06  # share of the steps whose only prompt is a rough mask
    quiet: float = 0.35  # share of the corrections without a new click

    def phase(self, progress: float) -> Phase:
        """The phase at a share of the run."""
        return next((p for p in self.phases if progress < p.until), self.phases[-1])

    def rate(self, progress: float, step: int) -> float:
        """Learning rate: linear warm-up, then cosine to one hundredth."""
        cosine = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(progress, 1.0)))
        return self.learning_rate * cosine * min(1.0, (step + 1) / self.warm_up_steps)

    def focal(self, progress: float) -> float:
        """Share of the focal loss in the blend with cross entropy."""
        ramp = (progress - self.focal_from) / (self.focal_until - self.focal_from)
        return min(1.0, max(0.0, ramp))


@dataclass
class State(Resumable):
    """Everything that a stopped run needs to go on."""

    PARTS: ClassVar = ("sam", "average", "optimizer")
    sam: Sam
    average: Sam
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0


def new_state(
    schedule: Schedule, device: torch.device, seed: int, init: Path | None = None
) -> State:
    """A model (fresh, or with given weights), its average and its optimizer."""
    torch.manual_seed(seed)
    sam = build_sam_tiny()
    if init:
        load_checkpoint(sam, init)
    sam = sam.to(device)
    average = copy.deepcopy(sam).requires_grad_(False)
    # Norms and biases do not decay.
    decayed = [p for p in sam.parameters() if p.ndim >= 2]
    free = [p for p in sam.parameters() if p.ndim < 2]
    groups = [{"params": decayed, "weight_decay": schedule.weight_decay}, {"params": free}]
    optimizer = torch.optim.AdamW(
        groups, lr=schedule.learning_rate, betas=schedule.betas, weight_decay=0.0
    )
    return State(sam, average, optimizer)


def train_step(
    state: State, sample: Sample, schedule: Schedule, progress: float
) -> dict[str, float]:
    """One optimizer step; returns the figures of the log."""
    state.sam.train()
    for group in state.optimizer.param_groups:
        group["lr"] = schedule.rate(progress, state.step)
    loss, figures = batch_loss(state.sam, sample, schedule, progress)
    state.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    figures["gradient"] = float(nn.utils.clip_grad_norm_(state.sam.parameters(), schedule.clip))
    state.optimizer.step()
    state.step += 1
    decay = min(schedule.ema, (1 + state.step) / (10 + state.step))
    averaged = [p.data for p in state.average.parameters()]
    torch._foreach_lerp_(averaged, [p.data for p in state.sam.parameters()], 1 - decay)
    return figures


def batch_loss(
    sam: Sam, sample: Sample, schedule: Schedule, progress: float
) -> tuple[Tensor, dict[str, float]]:
    """Loss over all rounds of prompts of one batch, and figures for the log."""
    focal = schedule.focal(progress)
    embedding = sam.image_encoder(normalise(sam, sample))
    prompts = first_prompts(sample, schedule.boxes)
    coarse = embedding[:, : sam.mask_decoder.channels.coarse]
    likeness = affinity_loss(coarse, sample.targets)
    total = schedule.affinity * likeness
    figures = {"affinity": likeness.item()}
    if torch.rand(()) < schedule.rough:
        logits, iou = decode_rough(sam, embedding, prompts)
        error = (iou - true_iou(logits, prompts.targets)).square().mean()
        total = total + mask_loss(logits[:, :1], prompts.targets, focal).mean() + error
        return total, figures | {"loss": total.item()}
    rounds = int(torch.randint(2, 4, ()))
    for number in range(rounds):
        logits, iou = decode(sam, embedding, prompts)
        losses = mask_loss(logits, prompts.targets, focal)
        actual = true_iou(logits, prompts.targets)
        chosen = choose(losses, prompts) if number == 0 else torch.zeros_like(losses[:, 0]).long()
        total = total + (round_loss(losses, prompts, number) + (iou - actual).square().mean()) / (
            1 if number == 0 else rounds - 1
        )
        best = actual.gather(1, chosen[:, None])[:, 0]
        figures[f"iou{number}_box"] = best[: prompts.boxes_count].mean().item()
        figures[f"iou{number}_click"] = best[prompts.boxes_count :].mean().item()
        shown = logits.gather(1, chosen[:, None, None, None].expand(-1, -1, *logits.shape[2:]))
        quiet = number == rounds - 2 and torch.rand(()) < schedule.quiet
        prompts = with_corrections(prompts, shown.detach(), click=not quiet)
    figures["loss"] = total.item()
    return total, figures


def choose(losses: Tensor, prompts: Prompts) -> Tensor:
    """The token that answers a first prompt: the single mask for a box, the best of three else."""
    best = losses[:, 1:].argmin(1) + 1
    best[: prompts.boxes_count] = 0
    return best


def round_loss(losses: Tensor, prompts: Prompts, number: int) -> Tensor:
    """Gradient through the best of three for an ambiguous prompt, the single mask otherwise."""
    single, several = losses[:, 0], losses[:, 1:]
    if number > 0:
        return single.mean()
    ambiguous = several.amin(1) + 0.1 * several.mean(1)
    n = prompts.boxes_count
    clicks = (ambiguous[n:] + 0.25 * single[n:]).sum()
    boxes = (single[:n] + 0.25 * ambiguous[:n]).sum()
    return (clicks + boxes) / len(losses)


def normalise(sam: Sam, sample: Sample) -> Tensor:
    """Pictures as the encoder takes them: normalised, zero outside of the picture."""
    x = (sample.image.float() - sam.pixel_mean) / sam.pixel_std
    rows, columns = (
        torch.arange(side, device=x.device) < sample.size[:, i, None]
        for i, side in enumerate(x.shape[2:])
    )  # (B, H) and (B, W)
    return x * (rows[:, None, :, None] & columns[:, None, None, :])


def stream(
    args: argparse.Namespace, schedule: Schedule, phase: Phase, seed: int
) -> Iterator[Sample]:
    """Batches of one phase, made by worker processes."""
    recipe = Recipe(phase.image_size, schedule.masks, schedule.boxes)
    loader = DataLoader(
        Samples(args.scenes, recipe, phase.pictures, seed),
        batch_size=None,
        num_workers=args.workers,
        prefetch_factor=8 if args.workers else None,
    )
    return iter(loader)


def use_bf16_linears(sam: Sam) -> None:
    """On a CPU only the linear layers gain from bf16; autocast would slow the convolutions."""

    def forward(layer: nn.Linear, x: Tensor) -> Tensor:
        bias = None if layer.bias is None else layer.bias.bfloat16()
        return F.linear(x.bfloat16(), layer.weight.bfloat16(), bias).float()

    for module in sam.modules():
        if isinstance(module, nn.Linear):
            module.forward = forward.__get__(module)  # type: ignore[method-assign]


def export(state: State, path: Path) -> None:
    """Write the averaged weights as float16 safetensors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {k: v.half().contiguous() for k, v in state.average.state_dict().items()}
    save_file(tensors, path)


def run(args: argparse.Namespace, schedule: Schedule) -> None:
    """Train until the time is used up."""
    device = torch.device(args.device)
    state = new_state(schedule, device, args.seed, args.init)
    args.out.mkdir(parents=True, exist_ok=True)
    saved = args.out / "state.pt"
    if args.resume and saved.exists():
        state.load(saved)
    if device.type == "cpu":
        use_bf16_linears(state.sam)
    # Weights that can segment already need no low resolution to learn where a prompt is.
    begin = schedule.phases[1].until if args.init else 0.0
    budget, phase, batches = 60.0 * args.minutes, None, iter(())
    last = saved_at = time.monotonic()
    with (
        tqdm(total=args.minutes, unit="min", mininterval=10) as bar,
        (args.out / "log.csv").open("a", newline="") as log,
    ):
        while state.seconds < budget:
            progress = begin + (1 - begin) * state.seconds / budget
            if schedule.phase(progress) != phase:
                phase = schedule.phase(progress)
                set_image_size(state.sam, phase.image_size)
                batches = stream(args, schedule, phase, args.seed + state.step)
            sample = Sample(
                *(t.to(device, non_blocking=True) for t in vars(next(batches)).values())
            )
            with torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda"):
                figures = train_step(state, sample, schedule, progress)
            now = time.monotonic()
            state.seconds, last = state.seconds + now - last, now
            record(log, state, phase, figures)
            bar.n = round(state.seconds / 60, 1)
            bar.set_postfix(step=state.step, px=phase.image_size, loss=f"{figures['loss']:.3f}")
            if now - saved_at > 120:
                state.save(saved)
                export(state, args.out / "sam_tiny.safetensors")
                saved_at = now
    state.save(saved)
    export(state, args.out / "sam_tiny.safetensors")


COLUMNS = (
    *("step", "seconds", "image_size", "loss", "affinity", "gradient"),
    *("iou0_box", "iou0_click", "iou1_box", "iou1_click", "iou2_box", "iou2_click"),
)


def record(log: object, state: State, phase: Phase, figures: dict[str, float]) -> None:
    """Append a line to the log every ten steps."""
    if state.step % 10:
        return
    row = {"step": state.step, "seconds": round(state.seconds, 1), "image_size": phase.image_size}
    row |= {k: round(v, 4) for k, v in figures.items()}
    csv.DictWriter(log, COLUMNS, restval="").writerow(row)  # type: ignore[arg-type]
    log.flush()  # type: ignore[attr-defined]


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--scenes", type=Path, default=Path("training/data/scenes/train"))
    parser.add_argument("--out", type=Path, default=Path("training/data/run"))
    parser.add_argument("--minutes", type=float, default=60, help="time of the whole run")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--workers", type=int, default=1, help="processes that make samples")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on from the last state in --out")
    parser.add_argument("--init", type=Path, help="go on from these, at the third resolution")
    run(parser.parse_args(), Schedule())


if __name__ == "__main__":
    main()
