"""The results of each machine as pictures for docs/performance.md."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parents[1] / "docs" / "benchmarks"
COLOURS = {"reference": "#999999", "transformers": "#bb7733", "torch": "#3377bb",
           "openvino": "#33aa77"}  # fmt: skip


def draw(result: dict[str, Any], file: Path) -> None:
    """Bars of CPU time, or of time by the clock on a GPU, one panel for each work."""
    from matplotlib.figure import Figure

    works = list(dict.fromkeys(_title(row) for row in result["rows"]))
    figure = Figure(figsize=(9, 0.9 + 1.5 * len(works)), layout="constrained")
    key, name = ("wall_s", "time") if result["machine"]["gpu"] else ("cpu_s", "CPU time")
    for axes, work in zip(figure.subplots(len(works), 1, squeeze=False)[:, 0], works):
        rows = [row for row in result["rows"] if _title(row) == work][::-1]
        labels = [f"{row['case']['by']} {row['case']['dtype']}" for row in rows]
        times = [row["figures"][key] for row in rows]
        bars = axes.barh(labels, times, color=[COLOURS[row["case"]["by"]] for row in rows])
        axes.bar_label(bars, [_label(row, key) for row in rows], padding=3, fontsize=8)
        axes.set_xlim(0, 1.2 * max(times))
        axes.set_title(f"{work}: {name} [s]", fontsize=9, loc="left")
        axes.tick_params(labelsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=110)


def _title(row: dict[str, Any]) -> str:
    return "{work}, {model}, {count}".format(**row["case"])


def _label(row: dict[str, Any], key: str) -> str:
    faster = f", {row['ratio']:.1f}x" if row["ratio"] else ""
    return f"{row['figures'][key]:.3g}{faster}"


def main() -> None:
    """Draw every file of results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plots")
    parser.add_argument("--out", type=Path, default=RESULTS)
    for file in sorted(parser.parse_args().out.glob("*.json")):
        result = json.loads(file.read_text())
        if result.get("rows"):
            draw(result, file.with_suffix(".png"))
            print(f"written: {file.with_suffix('.png')}")


if __name__ == "__main__":
    main()
