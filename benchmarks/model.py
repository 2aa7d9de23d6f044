"""Encoder, decoder and click to mask against the reference packages, in one run.

Times are CPU seconds of this process (user and system), medians of interleaved runs: other work on
the machine hardly moves their ratios. The peer runs as it comes, with the system's allocator; ours
as in the node, with memory kept between frames. Each row also gives the page faults of a run and
the largest difference of the results as a fraction of their range.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.machine import describe
from benchmarks.peers import pair, reference
from sam_ros.engine import EngineConfig, Prompt, Segmenter
from sam_ros.engine.embedding import Embedding
from sam_ros.engine.encoder import make_encoder
from sam_ros.engine.memory import keep_memory
from sam_ros.engine.transform import Transform
from sam_ros.model import Sam

RESULTS = Path(__file__).parents[1] / "docs" / "benchmarks"
FRAME = (1080, 1920)
GFLOP = {"mobile_sam": 77.5, "sam_vit_b": 972, "sam_vit_l": 2986, "sam_vit_h": 5961}


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        work: what is measured.
        peer: the reference package, and its CPU seconds in ``peer_s``.
        ours: what runs ours, and its CPU seconds in ``ours_s``.
        ratio: how many times faster ours is.
        peer_faults: page faults of one run, in steady state.
        faults: the same of ours.
        difference: largest difference of the results, of their range; None: not comparable.
    """

    work: str
    peer: str
    ours: str
    peer_s: float
    ours_s: float
    ratio: float
    peer_faults: int
    faults: int
    difference: float | None


def compare(work: str, names: tuple[str, str], calls: Any, repeats: int) -> Row:
    """Run the peer and ours in turn, after one run of each to warm up."""
    theirs, ours = calls
    times: list[tuple[float, int, float, int]] = []
    with torch.inference_mode():
        for _ in range(repeats + 1):
            _default_memory()
            peer_s, peer_faults, expected = _cost(theirs)
            keep_memory()
            ours()  # takes back what the peer's allocator gave away
            ours_s, faults, result = _cost(ours)
            times.append((peer_s, peer_faults, ours_s, faults))
    peer_s, peer_faults, ours_s, faults = (median(column) for column in zip(*times[1:]))
    difference = None
    if isinstance(result, Tensor):
        spread = expected.max() - expected.min()
        difference = float((result.float() - expected).abs().max() / spread)
    ratio = round(peer_s / ours_s, 2)
    row = Row(work, *names, peer_s, ours_s, ratio, int(peer_faults), int(faults), difference)
    print(
        f"{work:<34}{names[1]:<20}{peer_s:>9.3f}{ours_s:>9.3f}{ratio:>7.2f}x"
        f"{row.peer_faults:>10}{row.faults:>8}{difference if difference else 0:>10.1e}",
        flush=True,
    )
    return row


def _cost(call: Callable[[], Any]) -> tuple[float, int, Any]:
    before = resource.getrusage(resource.RUSAGE_SELF)
    result = call()
    after = resource.getrusage(resource.RUSAGE_SELF)
    seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return seconds, after.ru_minflt - before.ru_minflt, result


def _default_memory() -> None:
    """Thresholds as glibc has them at first, see mallopt(3)."""
    libc = ctypes.CDLL("libc.so.6")
    libc.mallopt(-3, 128 << 10)
    libc.mallopt(-1, 128 << 10)


def encoders(name: str, dtypes: list[str], batches: list[int], repeats: int) -> list[Row]:
    """One variant in each precision, by whatever runs it here."""
    rows = []
    for dtype in dtypes:
        theirs, sam = pair(name)
        ours = make_encoder(sam, dtype)
        for batch in batches:
            image = torch.randn(batch, 3, sam.image_size, sam.image_size)
            calls = partial(theirs.image_encoder, image), partial(ours, image)
            work = f"{name} encoder, batch {batch}"
            rows.append(compare(work, (_peer(name), f"{ours.runtime} {dtype}"), calls, repeats))
    return rows


def prompts(theirs: Any, sam: Sam, counts: list[int], repeats: int) -> list[Row]:
    """The decoder for prompts of one picture, and a click to masks of 1920 x 1080 px."""
    features = torch.nn.functional.interpolate(torch.randn(1, 256, 9, 9), (64, 64), mode="bicubic")
    pe = sam.prompt_encoder.get_dense_pe()
    rows = []
    for count in counts:
        clicks = torch.rand(count, 1, 2) * 1023, torch.ones(count, 1, dtype=torch.int32)
        calls = [
            lambda model=model, place=place, clicks=clicks: _decode(model, features, clicks, place)
            for model, place in ((theirs, None), (sam, pe))
        ]
        work = f"decoder, {count} prompts"
        rows.append(compare(work, ("mobile_sam", "torch float32"), calls, repeats))
    return [*rows, _click(theirs, sam, features, repeats)]


def _decode(model: Any, features: Tensor, points: tuple[Tensor, Tensor], pe: Any) -> Tensor:
    sparse, dense = model.prompt_encoder(points=points, boxes=None, masks=None)
    return model.mask_decoder(
        image_embeddings=features,
        image_pe=model.prompt_encoder.get_dense_pe() if pe is None else pe,
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=True,
    )[0]


def _click(theirs: Any, sam: Sam, features: Tensor, repeats: int) -> Row:
    transform = Transform(FRAME, sam.image_size)
    predictor = reference("mobile_sam").SamPredictor(theirs)
    predictor.features, predictor.is_image_set = features, True
    predictor.original_size, predictor.input_size = FRAME, transform.input_size
    segmenter = Segmenter(sam, EngineConfig(min_area_px=0))  # masks as the predictor gives them
    point, label = np.array([[900, 500]], np.float32), np.ones(1, np.int32)
    embedding, prompt = Embedding(features, transform), Prompt(points=point, labels=label)
    calls = (
        lambda: predictor.predict(point, label, multimask_output=True)[0].sum(),
        lambda: segmenter.segment(embedding, [prompt])[0].best.area,
    )
    return compare("click to masks, 1920x1080", ("mobile_sam", "torch float32"), calls, repeats)


def roofline(side: int = 2048) -> dict[str, float]:
    """GFLOP per CPU second of square matrix products, the most that a layer can reach."""
    peaks = {}
    for dtype in (torch.float32, torch.bfloat16):
        a, b = (torch.randn(side, side).to(dtype) for _ in range(2))
        seconds = min(_cost(lambda a=a, b=b: a @ b)[0] for _ in range(4))
        peaks[str(dtype).removeprefix("torch.")] = round(2 * side**3 / seconds / 1e9, 1)
    return peaks


def _peer(name: str) -> str:
    return "mobile_sam" if name == "mobile_sam" else "segment_anything"


def main(arguments: list[str] | None = None) -> None:
    """Print the table and write the JSON, named after the machine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["mobile_sam", "sam_vit_b"], choices=GFLOP)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "bfloat16"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1])
    parser.add_argument("--prompts", nargs="+", type=int, default=[1, 16, 64])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--note", default="", help="what else the machine was doing")
    given = parser.parse_args(arguments)
    print(f"{'':<34}{'ours':<20}{'peer [s]':>9}{'ours':>9}{'':>8}{'faults':>10}{'ours':>8}")
    rows = prompts(*pair("mobile_sam"), given.prompts, given.repeats)
    for name in given.models:
        rows += encoders(name, given.dtypes, given.batches, given.repeats)
    peak = roofline()
    print("matrix products:", ", ".join(f"{k} {v} GFLOP/s" for k, v in peak.items()))
    result = {"machine": describe(), "note": given.note, "gflop_per_s": peak, "gflop": GFLOP}
    result["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    result["load"] = os.getloadavg()[0]
    result["rows"] = [asdict(row) for row in rows]
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{result['machine']['name']}-model.json"
    file.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
