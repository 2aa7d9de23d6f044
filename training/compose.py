"""Compose scenes into shards: `python -m training.compose --set train --scenes 7000`.

Scene `index` of a set depends on (seed, set, index) and the library alone; shards that exist are
kept, so a run can be stopped, continued and extended.
"""

from __future__ import annotations

import argparse
import functools
import multiprocessing
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from training.collage import compose_collage
from training.library import Library, build
from training.scene import Scene, save_shard
from training.sources import fetch
from training.tabletop import compose_tabletop

SETS = ("train", "val")
PER_SHARD = 100
COMPOSERS: tuple[tuple[str, Callable[[Library, np.random.Generator, str], Scene], float], ...] = (
    ("collage", compose_collage, 0.35),
    ("tabletop", compose_tabletop, 0.65),
)
FEWEST_MASKS = 3


def compose_scene(library: Library, seed: int, subset: str, index: int) -> Scene:
    """The scene number `index` of a set; the same arguments give the same bytes."""
    rng = np.random.default_rng((seed, SETS.index(subset), index))
    shares = np.array([share for *_, share in COMPOSERS])
    while True:
        name, compose, _ = COMPOSERS[int(rng.choice(len(COMPOSERS), p=shares / shares.sum()))]
        scene = compose(library, rng, f"{name} {seed} {subset} {index}")
        if len(scene.masks) >= FEWEST_MASKS:
            return scene


def compose_shard(out: Path, subset: str, seed: int, shard: int) -> Path:
    """Compose one shard of scenes and save it."""
    library = _library(out.parent / "library", subset == "val")
    first = shard * PER_SHARD
    scenes = [compose_scene(library, seed, subset, first + k) for k in range(PER_SHARD)]
    path = out / subset / f"shard-{shard:05d}.npz"
    save_shard(path, scenes)
    return path


@functools.lru_cache(2)
def _library(folder: Path, held_out: bool) -> Library:
    """One library per process."""
    cv2.setNumThreads(1)
    return Library(folder, held_out)


def main() -> None:
    """Read the command line, make the library if needed, compose what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, default=Path("training/data"))
    parser.add_argument("--set", dest="subset", choices=SETS, default="train")
    parser.add_argument("--scenes", type=int, default=7000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    if not (options.work / "library").is_dir():
        fetch(options.work)
    build(options.work)
    out = options.work / "scenes"
    missing = [
        k
        for k in range((options.scenes + PER_SHARD - 1) // PER_SHARD)
        if not (out / options.subset / f"shard-{k:05d}.npz").exists()
    ]
    job = functools.partial(compose_shard, out, options.subset, options.seed)
    # Spawned, not forked: OpenCV's threads, which built the library, do not survive a fork.
    with multiprocessing.get_context("spawn").Pool(options.processes) as pool:
        for done, path in enumerate(pool.imap(job, missing), start=1):
            print(f"{done}/{len(missing)} {path}", flush=True)


if __name__ == "__main__":
    main()
