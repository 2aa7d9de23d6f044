"""``make demo``: a camera of pictures and the node as two processes, asked over the wire."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import cv2

from sam_ros.client import Instance
from sam_ros.engine.hypothesis import Hypotheses
from sam_ros.engine.overlay import OverlayItem, Picture, draw_instances
from sam_ros.engine.panel import panel, sheet
from sam_ros.nodes.demo_client import Answer, DemoClient, DemoError
from sam_ros.nodes.images import decode
from sam_ros.nodes.processes import Processes, local_environment
from sam_ros.nodes.samples import Question, default_folder, read_questions

COLUMNS = f"{'picture':<14} {'prompt':<34} rank  score   IoU stab.   area  asked through"
RATE = 2.0  # Hz; the node remembers 16 frames, which a slow machine needs seconds for
PAGE_WIDTH = 2480
PATIENCE = 60.0  # seconds for an answer: a large model on a busy processor takes long


class Interrupted(Exception):
    """Somebody wants the demo to end."""


def main(arguments: list[str] | None = None) -> int:
    """Runs the demo; returns the exit status, 0 only when every question was answered."""
    options = _parser().parse_args(arguments)
    interrupted = threading.Event()  # looked at while waiting: nothing is cut off half done
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: interrupted.set())
    try:
        page = _run(options, interrupted)
    except Interrupted:
        print("demo: interrupted", file=sys.stderr)
        return 130
    except (DemoError, OSError, ValueError, RuntimeError) as error:
        print(f"\ndemo failed: {error}", file=sys.stderr)
        return 1
    print(f"\nPictures of all of it: {page.parent}{os.sep}  (start with {page.name})")
    if options.show:
        _show(page)
    return 0


def _run(options: argparse.Namespace, interrupted: threading.Event) -> Path:
    folder = options.samples or default_folder()
    questions = read_questions(folder)
    environment = local_environment()
    os.environ.update(environment)
    with Processes(options.out / "logs", environment) as processes:
        _start(processes, options, next(iter(questions)))
        client = DemoClient(lambda: _check(processes, interrupted))
        try:
            return _ask_all(client, questions, options)
        except DemoError as error:
            raise DemoError(f"{error}\n{processes.last_words()}") from error
        finally:
            client.close()


def _start(processes: Processes, options: argparse.Namespace, first: Path) -> None:
    print(f"Starting image_source and sam ({options.model}) as two processes ...", flush=True)
    picture = ["-p", f"path:={first}", "-p", f"rate:={RATE}"]
    processes.start("image_source", "sam_ros.nodes.image_source", ["--ros-args", *picture])
    model = ["-r", "__node:=sam", "-p", f"model:={options.model}"]
    model += ["-p", f"request_timeout:={PATIENCE}"]
    if options.checkpoint:
        model += ["-p", f"checkpoint:={options.checkpoint}"]
    processes.start("sam", "sam_ros.nodes.sam_node", ["--ros-args", *model])


def _ask_all(
    client: DemoClient, questions: dict[Path, list[Question]], options: argparse.Namespace
) -> Path:
    started = time.monotonic()
    client.wait_until_active()
    print(f"Both are ready after {time.monotonic() - started:.1f} s.\n\n{COLUMNS}")
    panels: list[Picture] = []
    for picture, items in questions.items():
        frame = client.show(str(picture))
        rgb = decode(frame)
        clicks = [item for item in items if item.prompt.box is None]
        boxes = [item for item in items if item.prompt.box is not None]
        answers = [*client.ask_service(clicks), *client.ask_topic(boxes)]
        large = [_draw(rgb, answer, options.model, 320) for answer in answers]
        _save(options.out / f"{picture.stem}.png", sheet(large))
        if options.everything:
            found = client.ask_everything(frame)
            print(f"{picture.stem[:14]:<14} everything: {len(found)} masks", flush=True)
            _save(options.out / f"{picture.stem}_everything.png", _draw_found(rgb, found))
        if options.text:
            found = client.ask_text(frame, options.text)
            words = ", ".join(_label(item) for item in found) or "nothing"
            print(f"{picture.stem[:14]:<14} {options.text}: {words}", flush=True)
            _save(options.out / f"{picture.stem}_text.png", _draw_found(rgb, found))
        panels += [_draw(rgb, answer, options.model, 200) for answer in answers]
        for answer in answers:
            _print(answer)
    page = options.out / "all.png"
    _save(page, sheet(panels, PAGE_WIDTH))
    return page


def _draw(rgb: Picture, answer: Answer, model: str, height: int) -> Picture:
    title = f"{answer.question.picture.stem}: {answer.question.title}"
    note = f"{model}   {answer.seconds:.2f} s"
    found = Hypotheses(answer.instance.hypotheses, answer.instance.ambiguous)
    return panel(rgb, answer.question.prompt, found, title, note, height)


def _draw_found(rgb: Picture, found: Sequence[Instance]) -> Picture:
    """All masks with their labels, the small ones on top of the large ones."""
    large_first = sorted(found, key=lambda item: -item.best.area)
    items = [OverlayItem(item.best.mask, i, _label(item)) for i, item in enumerate(large_first)]
    return draw_instances(rgb, items)


def _label(item: Instance) -> str:
    """With its score; "" for what has none."""
    return f"{item.label} {item.label_score:.2f}" if item.label else ""


def _print(answer: Answer) -> None:
    name, title = answer.question.picture.stem, answer.question.title
    way = f"{answer.way} {answer.seconds * 1000:.0f} ms"
    if answer.instance.ambiguous:
        way += ", ambiguous"
    for rank, item in enumerate(answer.instance.hypotheses):
        share = item.area / item.mask.size
        figures = f"{rank + 1:>4} {item.score:>6.2f} {item.predicted_iou:>5.2f}"
        figures += f" {item.stability:>5.2f} {share:>6.1%}"
        print(f"{name[:14]:<14} {title[:34]:<34} {figures}  {way}", flush=True)
        name = title = way = ""


def _save(file: Path, picture: Picture) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(file), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)):
        raise DemoError(f"cannot write {file}; is there room, and may this user write there?")


def _check(processes: Processes, interrupted: threading.Event) -> None:
    """Raises when there is nothing to wait for any more."""
    if interrupted.is_set():
        raise Interrupted
    child = processes.ended()
    if child is not None:
        raise DemoError(f"{child.name} ended by itself, status {child.process.returncode}")


def _show(page: Path) -> None:
    viewer = shutil.which("xdg-open") or shutil.which("open")
    if viewer is None or not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        print("No screen to show them on; open the files yourself.")
        return
    subprocess.Popen([viewer, str(page)], start_new_session=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument(
        "--model", default="sam_tiny", help="name of the model (default: %(default)s)"
    )
    parser.add_argument("--checkpoint", help="file with its weights; sam_tiny brings its own")
    parser.add_argument("--samples", type=Path, help="folder with pictures and a prompts.yaml")
    parser.add_argument(
        "--out", type=Path, default=Path("demo_out"), help="folder for the pictures"
    )
    parser.add_argument(
        "--everything",
        action="store_true",
        help="also segment everything in each picture: *_everything.png",
    )
    parser.add_argument(
        "--text",
        default="",
        metavar="WORDS",
        help='also look for words in each picture, such as "mug; blue pen": *_text.png',
    )
    parser.add_argument("--show", action="store_true", help="open the page of pictures at the end")
    return parser


if __name__ == "__main__":
    sys.exit(main())
