"""Prompts from a terminal: ``ros2 run sam_ros click 320 240``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np
import rclpy
from rclpy.utilities import remove_ros_args

from sam_ros.client.client import SamClient
from sam_ros.client.errors import NoAnswer, SamError
from sam_ros.client.prompt import prompt
from sam_ros.client.scene import Instance, Scene
from sam_ros.msg import Prompt

OK, REFUSED, USAGE, NOBODY, INTERRUPTED = 0, 1, 2, 3, 130
EXIT_CODES = "exit codes: 0 answered, 1 refused, 2 wrong arguments, 3 no node or no answer in time"


def main(args: Sequence[str] | None = None) -> int:
    """Asks once and prints the answer.

    Args:
        args: the command line, without the program's name; ROS arguments are understood as well.

    Returns:
        The exit code.
    """
    given = list(sys.argv[1:] if args is None else args)
    parser = _parser()
    options = parser.parse_args(remove_ros_args(["click", *given])[1:])
    try:
        asked = _prompt(options)
    except ValueError as error:
        parser.error(str(error))
    rclpy.init(args=given)
    node = rclpy.create_node("click")
    try:
        with SamClient(node, options.node, options.timeout) as sam:
            print(_ask(sam, asked, options.dry_run))
    except NoAnswer as error:
        print(f"click: {error}", file=sys.stderr)
        return NOBODY
    except SamError as error:
        print(f"click: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        node.destroy_node()
        rclpy.try_shutdown()
    return OK


def table(instance: Instance) -> str:
    """All hypotheses of an object, best first; a star marks the selected one."""
    rows = [("", "score", "IoU", "stability", "area px", "box x0 y0 x1 y1", "part of")]
    for index, item in enumerate(instance.hypotheses):
        rows.append(
            (
                f"{index}{'*' if index == instance.selected else ' '}",
                f"{item.score:.3f}",
                f"{item.predicted_iou:.3f}",
                f"{item.stability:.3f}",
                str(item.area),
                " ".join(str(round(float(value))) for value in item.box),
                str(item.parent) if item.parent >= 0 else "",
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.rjust, row, widths)).rstrip() for row in rows]
    return "\n".join(lines)


def _ask(sam: SamClient, asked: Prompt, dry_run: bool) -> str:
    """The answer as a text; unless it is a dry run, the node then shows it and keeps it."""
    scene = sam.segment([asked])
    names = [item.object_id for item in scene.instances]
    if not dry_run:
        asked.header = scene.header  # the same picture, so the same answer
        names = sam.set_prompts([asked])
    reports = map(_report, [scene] * len(names), scene.instances, names)
    return "\n\n".join(reports)


def _report(scene: Scene, instance: Instance, name: str) -> str:
    stamp, height, width = scene.header.stamp, *scene.size
    head = (
        f"{name}{f' ({instance.label})' if instance.label else ''} on the picture of "
        f"{stamp.sec}.{stamp.nanosec:09d}, {width} x {height} px, by {scene.model}"
        f"{': ambiguous' if instance.ambiguous else ''}"
    )
    return f"{head}\n{table(instance)}"


def _prompt(options: argparse.Namespace) -> Prompt:
    if len(options.points) % 2:
        raise ValueError(f"points: {len(options.points)} numbers; expected pairs X Y")
    places = np.concatenate(
        (np.reshape(options.points, (-1, 2)), np.reshape(options.background, (-1, 2)))
    )
    labels = [1] * (len(options.points) // 2) + [0] * len(options.background)
    if not (len(places) or options.box or options.text):
        raise ValueError("nothing to segment; expected points X Y, --box or --text")
    return prompt(
        places,
        labels,
        options.box,
        text=options.text,
        object_id=options.id,
        label=options.label,
        persistence=options.persistence,
        refine=options.refine or not (1 in labels or options.box or options.text),
        normalized=options.normalized,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "click",
        description="Prompts the segmentation node and prints what it finds, best first.",
        epilog=EXIT_CODES,
    )
    add = parser.add_argument
    add("points", nargs="*", type=float, metavar="X Y", help="points on the object, in pixels")
    add(
        "-b",
        "--background",
        nargs=2,
        type=float,
        action="append",
        default=[],
        metavar=("X", "Y"),
        help="a point beside the object; alone it refines the newest object. May be repeated",
    )
    add("--box", nargs=4, type=float, metavar=("X0", "Y0", "X1", "Y1"), help="corners of a box")
    add("--text", default="", help="what to look for, in words")
    add("--normalized", action="store_true", help="coordinates are 0..1 over the picture")
    add("--id", default="", help="name of the object; else the node names it")
    add("--label", default="", help="class name, carried to the outputs")
    kinds = parser.add_mutually_exclusive_group()
    for name, value, text in (
        ("--sticky", Prompt.STICKY, "answer it on every picture, with the same pixels"),
        ("--track", Prompt.TRACK, "follow the object"),
    ):
        kinds.add_argument(
            name,
            dest="persistence",
            action="store_const",
            const=value,
            default=Prompt.ONCE,
            help=text,
        )
    add("--refine", action="store_true", help="add the points to those that the object has")
    add("--dry-run", action="store_true", help="only ask: nothing is kept and published")
    add("--node", default="sam", help="the node to ask (default: %(default)s)")
    add("--timeout", type=float, default=30.0, help="longest wait [s] (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
