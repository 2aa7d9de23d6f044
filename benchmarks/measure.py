"""One case in a process of its own, so that nobody profits from another's memory.

The reference runs as it comes, with the system's allocator; ours as in the node, where memory is
kept between frames. ``python -m benchmarks.measure CASE RESULT REPEATS`` is what :func:`measure`
starts; it prints figures as JSON.
"""

from __future__ import annotations

import gc
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import works
from benchmarks.works import Case
from sam_ros.engine.memory import keep_memory

ROOT = Path(__file__).parents[1]
SAMPLE = 1 << 16  # values of a result that are compared
PATIENCE = 3.0  # seconds for the runs that come before and for those that count
WARM, MOST = 4, 50  # of them, as many as there is time for


@dataclass(frozen=True)
class Figures:
    """What one case cost.

    Attributes:
        cpu_s: median of user and system time.
        wall_s: median by the clock.
        first_s: the first run by the clock, with all that is compiled or recorded.
        faults: page faults of the last run.
        peak_mb: most memory of the process, or of the GPU.
    """

    cpu_s: float
    wall_s: float
    first_s: float
    faults: int
    peak_mb: int


def measure(case: Case, repeats: int) -> tuple[Figures, Any]:
    """Run a case in a new process.

    Returns:
        The figures and the result, or a part of it.

    Raises:
        RuntimeError: it failed; with its last words.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.pt"
        words = [json.dumps(asdict(case)), str(file), str(repeats)]
        command = [sys.executable, "-m", "benchmarks.measure", *words]
        run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if run.returncode:
            raise RuntimeError("\n".join(run.stderr.splitlines()[-3:]))
        figures = Figures(**json.loads(run.stdout.splitlines()[-1]))
        return figures, torch.load(file, weights_only=False)


def main(words: list[str]) -> None:
    """Run a case, save its result and print its figures."""
    case, file, repeats = Case(**json.loads(words[0])), Path(words[1]), int(words[2])
    if case.by in ("torch", "openvino"):
        keep_memory()
    with torch.inference_mode():
        work = getattr(works, case.work)(case)
        if torch.cuda.is_available():  # what the preparation took does not count
            gc.collect()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        result, *first = _run(work)
        timed = [first]
        if repeats:
            _repeat(work, WARM)
            timed = _repeat(work, MOST, repeats)
    cpu, wall, faults = zip(*timed, strict=True)
    figures = Figures(
        cpu_s=statistics.median(cpu),
        wall_s=statistics.median(wall),
        first_s=first[1],
        faults=int(faults[-1]),
        peak_mb=_peak_mb(),
    )
    torch.save(_part(result), file)
    print(json.dumps(asdict(figures)))


def _run(work: works.Work) -> tuple[Any, float, float, int]:
    """The result of a run, its CPU time, its time by the clock and its page faults."""
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    result = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return result, cpu, wall, after.ru_minflt - before.ru_minflt


def _repeat(work: works.Work, most: int, least: int = 0) -> list[list[float]]:
    """As many runs as there is time for."""
    runs: list[list[float]] = []
    end = time.perf_counter() + PATIENCE
    while len(runs) < least or (len(runs) < most and time.perf_counter() < end):
        runs.append(list(_run(work)[1:]))
    return runs


def _part(result: Any) -> Any:
    if not isinstance(result, torch.Tensor):
        return result
    flat = result.detach().float().flatten().cpu()
    return flat[:: max(1, len(flat) // SAMPLE)].clone()


def _peak_mb() -> int:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() >> 20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


if __name__ == "__main__":
    main(sys.argv[1:])
