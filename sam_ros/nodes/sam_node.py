"""The process of the node `sam`, one for each camera: signals, threads and a clean end."""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # imported in main, when a Ctrl-C is already looked after
    from sam_ros.nodes.lifecycle import SamNode

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOP_TIMEOUT = 4.0  # seconds; launch sends a second signal after five
LOOK = 0.5  # seconds between two looks for a signal


def main(args: Sequence[str] | None = None, load: Callable[[Any], Any] | None = None) -> int:
    """Runs the nodes until SIGINT or SIGTERM, however many of them come.

    Args:
        args: the command line, without the program's name.
        load: makes the segmenter from the parameters; None for the real one.

    Returns:
        The exit status: 0 unless a node could not start or broke.
    """
    stop = threading.Event()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    # Threads of torch that wait by spinning stand still for seconds where others need the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read when torch is loaded
    # Only now, because these imports take a second in which a Ctrl-C shall end the node as well.
    import rclpy
    from rclpy.exceptions import InvalidNamespaceException, ParameterException
    from rclpy.signals import SignalHandlerOptions
    from rclpy.utilities import remove_ros_args

    from sam_ros.engine.memory import keep_memory
    from sam_ros.nodes.lifecycle import SamNode
    from sam_ros.nodes.worker import ModelThread

    given = sys.argv[1:] if args is None else list(args)
    cameras = _cameras(remove_ros_args(["sam_node", *given])[1:])
    if cameras != [""]:
        given, outer = _without_namespace(given)
        cameras = [f"{outer.rstrip('/')}/{name}" for name in cameras]
    rclpy.init(args=given, signal_handler_options=SignalHandlerOptions.NO)
    keep_memory()  # before there are threads
    thread = ModelThread()
    kind = {"load": load} if load else {}
    nodes: list[SamNode] = []
    try:
        nodes.extend(SamNode(namespace=name, thread=thread, **kind) for name in cameras)
    except (ParameterException, InvalidNamespaceException, ValueError) as error:
        print(f"sam_node: {error}", file=sys.stderr)
        _close(nodes)
        rclpy.try_shutdown()
        return 1
    return _serve(nodes, stop)


def _serve(nodes: Sequence[SamNode], stop: threading.Event) -> int:
    """Spins until the event, then ends everything; the exit status."""
    import rclpy
    from rclpy.executors import MultiThreadedExecutor
    from rclpy.task import Future

    from sam_ros.nodes.gate import MOST_CALLS

    executor = MultiThreadedExecutor(num_threads=MOST_CALLS * len(nodes) + 4)
    for node in nodes:
        executor.add_node(node)
    faults: list[BaseException] = []
    enough = Future()
    spinner = threading.Thread(target=_spin, args=(executor, enough, stop, faults), name="spin")
    spinner.start()
    while not stop.wait(LOOK):  # a signal that another thread takes does not end the wait
        pass
    for number in STOP_SIGNALS:  # while Python ends it would take a second one the default way
        signal.signal(number, signal.SIG_IGN)
    enough.set_result(None)
    spinner.join()  # first, because a callback that begins during the shutdown fails
    ended = _close(nodes)
    if ended:  # else some callback waits for the model, and this would wait for the callback
        executor.shutdown()
    for node in nodes:
        node.destroy_node()
    rclpy.try_shutdown()
    if not ended:  # the model is in the middle of something long: do not wait for it
        sys.stderr.flush()
        os._exit(0)
    for fault in faults:
        print(f"sam_node: {type(fault).__name__}: {fault}", file=sys.stderr)
    gc.freeze()  # Python would look through all objects of torch for cycles, 0.5 s of CPU time
    return 1 if faults else 0


def _cameras(words: Sequence[str]) -> list[str]:
    """The namespaces of the nodes; one "" for the namespace of the command line."""
    parser = argparse.ArgumentParser("sam_node", description="Segments camera images by prompts.")
    parser.add_argument(
        "--cameras",
        default="",
        metavar="A,B",
        help="namespaces, within that of the command line, of several nodes that share the "
        "model's weights",
    )
    names = [name.strip().strip("/") for name in parser.parse_args(words).cameras.split(",")]
    if len(set(names)) < len(names):
        parser.error(f"--cameras: {','.join(names)}; expected each name once")
    return names


def _without_namespace(words: Sequence[str]) -> tuple[list[str], str]:
    """The command line without ``-r __ns:=NAME``, which would rename all nodes alike; and NAME."""
    left: list[str] = []
    outer = ""
    for word in words:
        name, _, value = word.partition(":=")
        if name == "__ns" and left and left[-1] in ("-r", "--remap"):
            left.pop()
            outer = value
        else:
            left.append(word)
    return left, outer


def _close(nodes: Sequence[Any]) -> bool:
    """Ends the work for all nodes; false when that takes too long."""
    deadline = time.monotonic() + STOP_TIMEOUT
    ended = [node.close(max(0.0, deadline - time.monotonic())) for node in nodes]
    return all(ended)


def _spin(executor: Any, enough: Any, stop: threading.Event, faults: list[BaseException]) -> None:
    try:
        executor.spin_until_future_complete(enough)
    except Exception as error:
        if not stop.is_set():
            faults.append(error)
    finally:
        stop.set()


if __name__ == "__main__":
    sys.exit(main())
