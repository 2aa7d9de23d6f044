"""Every figure of docs/performance.md: one command, one table, one JSON, and plots.

Each case runs in a process of its own, a peer and ours in turn. On a CPU ratios are of processor
time (user and system), which other work on the machine hardly moves; on a GPU of the clock's time.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.machine import describe
from benchmarks.measure import ROOT, Figures, measure
from benchmarks.works import DEVICE, Case
from sam_ros.engine.encoder import has_openvino

RESULTS = ROOT / "docs" / "benchmarks"
GFLOP = {"mobile_sam": 77.5, "sam_vit_b": 972, "sam_vit_l": 2986, "sam_vit_h": 5961}
SIDE = 2048 if DEVICE == "cpu" else 8192  # of the matrices whose product is the roofline
MODELS = ("mobile_sam", "sam_vit_b") if DEVICE == "cpu" else tuple(GFLOP)
DTYPES = ("float32", "bfloat16", *(("float16",) if DEVICE == "cuda" else ()))
PARTS = ("encoder", "decoder", "click", "everything", "tiny", "small", "ros")


@dataclass(frozen=True)
class Row:
    """One case beside the reference.

    Attributes:
        case: what was measured.
        figures: what it cost.
        ratio: how many times faster than the reference; None: there is none.
        difference: from the reference's result: largest of the range, or share of masks without
            a twin; None: not comparable.
        of_roofline: share of what products of matrices reach in that precision.
        masks_per_s: masks that everything mode finds; None for other work.
    """

    case: Case
    figures: Figures
    ratio: float | None
    difference: float | None
    of_roofline: float | None
    masks_per_s: float | None

    def __str__(self) -> str:
        case, cost = self.case, self.figures
        cells = (
            f"{case.work}, {case.model}, {case.count}",
            f"{case.by} {case.dtype}",
            f"{cost.cpu_s:.3f}",
            f"{cost.wall_s:.3f}",
            f"{cost.faults:,}",
            f"{cost.peak_mb:,}",
            f"{self.ratio:.2f}" if self.ratio else "",
            "" if self.difference is None else f"{self.difference:.1e}",
            f"{self.of_roofline:.0%}" if self.of_roofline else "",
            f"{self.masks_per_s:.1f}" if self.masks_per_s else "",
        )
        return f"| {' | '.join(cells)} |"


HEADINGS = (
    "work, model, count", "by", "CPU [s]", "wall [s]", "faults", "peak [MB]", "ratio",
    "difference", "of roofline", "masks/s",
)  # fmt: skip


def groups(given: argparse.Namespace) -> Iterator[list[Case]]:
    """Cases that are compared with the first one of their group."""
    quick, parts = given.quick, given.parts
    ours = ["torch", *(["openvino"] if has_openvino() and DEVICE == "cpu" else [])]
    if "encoder" in parts:
        for model in given.models:
            for batch in (1,) if quick else (1, 4):
                yield list(_encoders(model, batch, ours, quick))
    for work in ("decoder", "click"):
        for count in (1, 16) if quick else (1, 16, 64):
            if work in parts:
                yield list(_beside_reference(work, "mobile_sam", count))
    if "everything" in parts:
        points = given.points or (16 if quick else 32)
        yield list(_beside_reference("everything", "sam_vit_b", points))
    if "tiny" in parts:
        yield [Case("tiny", "sam_tiny", by, dtype) for by in ours for dtype in DTYPES]


def _beside_reference(work: str, model: str, count: int) -> Iterator[Case]:
    """On a CPU the decoder stays in single precision."""
    yield Case(work, model, "reference", count=count)
    for dtype in DTYPES if DEVICE == "cuda" else ("float32",):
        yield Case(work, model, "torch", dtype, count)


def _encoders(model: str, batch: int, ours: list[str], quick: bool) -> Iterator[Case]:
    yield Case("encoder", model, "reference", count=batch)
    if model == "sam_vit_b" or (model != "mobile_sam" and DEVICE == "cuda"):
        yield Case("encoder", model, "transformers", count=batch)
        if DEVICE == "cuda" or not quick:
            yield Case("encoder", model, "transformers", "bfloat16", batch)
    for by in ours:
        for dtype in DTYPES:
            yield Case("encoder", model, by, dtype, batch)


def roofline(repeats: int) -> dict[str, float]:
    """GFLOP per second of products of matrices, for each precision."""
    peaks = {}
    for dtype in DTYPES:
        figures, _ = measure(Case("products", "", "torch", dtype, SIDE), 4 * repeats)
        peaks[dtype] = round(2 * SIDE**3 / _seconds(figures) / 1e9, 1)
    return peaks


def compare(cases: list[Case], repeats: int, peaks: dict[str, float]) -> Iterator[Row]:
    """Measure the cases of a group; one that cannot run is told and left out.

    So is one in a precision that the device only emulates, which takes ten times as long.
    """
    base: tuple[Figures, Any] | None = None
    for case in cases:
        if peaks[case.dtype] < peaks["float32"]:
            print(f"{case}: only emulated", file=sys.stderr, flush=True)
            continue
        # Everything mode takes minutes, and its thousand clicks are repeats enough.
        runs = 0 if case.work == "everything" else repeats
        try:
            figures, result = measure(case, runs)
        except RuntimeError as error:
            print(f"{case}: {error}", file=sys.stderr, flush=True)
            continue
        base = base or (figures, result)
        gflop = GFLOP.get(case.model, 0) * case.count if case.work == "encoder" else 0
        peak = peaks[case.dtype]
        comparable = case != cases[0] and case.by != "transformers"
        row = Row(
            case,
            figures,
            round(_seconds(base[0]) / _seconds(figures), 2) if case != cases[0] else None,
            _difference(result, base[1]) if comparable else None,
            round(gflop / peak / _seconds(figures), 3) if gflop else None,
            round(len(result) / _seconds(figures), 2) if isinstance(result, list) else None,
        )
        print(row, flush=True)
        yield row


def _seconds(figures: Figures) -> float:
    return figures.cpu_s if DEVICE == "cpu" else figures.wall_s


def _difference(result: Any, expected: Any) -> float | None:
    if isinstance(expected, torch.Tensor):
        return float((result - expected).abs().max() / (expected.max() - expected.min()))
    if isinstance(expected, list):
        areas = np.array([np.count_nonzero(mask) for mask in result])
        found = [any(_same(mask, result[k]) for k in _alike(mask, areas)) for mask in expected]
        return 1 - sum(found) / max(1, len(found), len(result))
    return None


def _alike(mask: Any, areas: Any) -> Any:
    """Which masks of some areas may be the same: others need not be compared by pixels."""
    area = np.count_nonzero(mask)
    return np.flatnonzero((areas >= 0.99 * area) & (0.99 * areas <= area))


def _same(a: Any, b: Any) -> bool:
    return bool(np.count_nonzero(a & b) > 0.99 * np.count_nonzero(a | b))


def main() -> None:
    """Measure, print the table, and write the JSON and the plots."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="minutes: fewer sizes and cameras")
    parser.add_argument("--parts", nargs="+", default=PARTS, choices=PARTS)
    parser.add_argument("--models", nargs="+", default=MODELS, choices=GFLOP)
    parser.add_argument("--points", type=int, help="clicks along a side in everything mode")
    parser.add_argument("--repeats", type=int, help="timed runs of each case")
    parser.add_argument("--note", default="", help="what else the machine was doing")
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    repeats, began = given.repeats or (2 if given.quick else 5), time.monotonic()
    machine, peaks = describe(), roofline(repeats)
    print(f"{machine['name']}, {torch.get_num_threads()} threads; products of matrices [GFLOP/s]:",
          ", ".join(f"{name} {peak}" for name, peak in peaks.items()))  # fmt: skip
    print(f"\n| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}")
    rows = [row for cases in groups(given) for row in compare(cases, repeats, peaks)]
    result = {
        "machine": machine, "note": given.note, "gflop_per_s": peaks, "gflop": GFLOP,
        "load": os.getloadavg()[0], "rows": [asdict(row) for row in rows],
    }  # fmt: skip
    given.out.mkdir(parents=True, exist_ok=True)
    file = given.out / f"{machine['name']}.json"
    file.write_text(json.dumps(result, indent=1) + "\n")
    for part, module in (("small", "geometry"), ("small", "run_lengths"), ("ros", "ros_path")):
        if part in given.parts:
            _other(module, given)
    if DEVICE == "cuda" and "ros" in given.parts:
        _other("ros_path", given, "--model", "mobile_sam", "--rate", "30", "--together")
    _other("plots", given)
    print(f"{time.monotonic() - began:.0f} s; written: {file}")


def _other(module: str, given: argparse.Namespace, *more: str) -> None:
    """A benchmark that is a program of its own."""
    words = [*more, *(["--out", str(given.out)] if module in ("plots", "ros_path") else [])]
    if module == "ros_path" and given.quick:
        words += ["--cameras", "1", "--seconds", "10"]
    print(f"\n{module}", flush=True)
    subprocess.run([sys.executable, "-m", f"benchmarks.{module}", *words], cwd=ROOT)


if __name__ == "__main__":
    main()
