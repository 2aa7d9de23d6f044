"""The process of the node `sam`: signals, threads and a clean end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOP_TIMEOUT = 4.0  # seconds; launch sends a second signal after five


def main(args: Sequence[str] | None = None, load: Callable[[Any], Any] | None = None) -> int:
    """Runs the node until SIGINT or SIGTERM, however many of them come.

    Args:
        args: the command line, without the program's name.
        load: makes the segmenter from the parameters; None for the real one.

    Returns:
        The exit status: 0 unless the node could not start or broke.
    """
    stop = threading.Event()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    # Only now, because these imports take a second in which a Ctrl-C shall end the node as well.
    import rclpy
    from rclpy.exceptions import ParameterException
    from rclpy.executors import MultiThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    from sam_ros.nodes.gate import MOST_CALLS
    from sam_ros.nodes.lifecycle import SamNode

    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = SamNode(load) if load else SamNode()
    except (ParameterException, ValueError) as error:
        print(f"sam_node: {error}", file=sys.stderr)
        rclpy.try_shutdown()
        return 1
    executor = MultiThreadedExecutor(num_threads=MOST_CALLS + 4)
    executor.add_node(node)
    faults: list[BaseException] = []
    spinner = threading.Thread(target=_spin, args=(executor, stop, faults), name="spin")
    spinner.start()
    stop.wait()
    for number in STOP_SIGNALS:  # while Python ends it would take a second one the default way
        signal.signal(number, signal.SIG_IGN)
    ended = node.close(STOP_TIMEOUT)
    executor.shutdown()
    spinner.join()
    node.destroy_node()
    rclpy.try_shutdown()
    if not ended:  # the model is in the middle of something long: do not wait for it
        sys.stderr.flush()
        os._exit(0)
    for fault in faults:
        print(f"sam_node: {type(fault).__name__}: {fault}", file=sys.stderr)
    return 1 if faults else 0


def _spin(executor: Any, stop: threading.Event, faults: list[BaseException]) -> None:
    try:
        executor.spin()
    except Exception as error:
        if not stop.is_set():
            faults.append(error)
    finally:
        stop.set()


if __name__ == "__main__":
    sys.exit(main())
