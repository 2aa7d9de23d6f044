"""The services and the stream of the node ``sam``, for a node of yours."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sam_ros.client.errors import NoAnswer, check, error_of
from sam_ros.client.scene import Scene, to_scene
from sam_ros.msg import InstanceArray, Prompt
from sam_ros.nodes.images import to_image
from sam_ros.srv import RemoveObjects, Segment, SelectHypothesis, SetPrompts

Result = TypeVar("Result")
Picture = Image | npt.NDArray[np.uint8]

TIMEOUT = 30.0  # seconds; the node's own limit is its parameter request_timeout
SERVICES = {
    "segment": Segment,
    "set_prompts": SetPrompts,
    "remove_objects": RemoveObjects,
    "select_hypothesis": SelectHypothesis,
}


class SamClient:
    """Asks one node ``sam``.

    Answers arrive in a thread of the client's own, so that waiting for them never waits for your
    executor: every method may be called from any callback of any executor, and before it spins.
    Methods that end in ``_async`` return a ``concurrent.futures.Future`` at once.

    Args:
        node: a node of yours; its namespace and remappings apply.
        name: of the node to ask, relative to the namespace or absolute.
        timeout: longest wait of the methods that wait [s].
    """

    def __init__(self, node: Node, name: str = "sam", timeout: float = TIMEOUT) -> None:
        self._node, self._name = node, name
        self.timeout = timeout
        self._own = rclpy.create_node(
            f"{node.get_name()}_sam_client",
            namespace=node.get_namespace(),
            context=node.context,
            use_global_arguments=False,  # or a remapping of the node's name would rename both
            start_parameter_services=False,
            enable_rosout=False,
        )
        self._clients: dict[str, Any] = {
            service: self._own.create_client(kind, node.resolve_service_name(f"{name}/{service}"))
            for service, kind in SERVICES.items()
        }
        self._pending: set[Future[Any]] = set()
        self._executor = SingleThreadedExecutor(context=node.context)
        self._executor.add_node(self._own)
        self._thread = threading.Thread(target=self._spin, name="sam_client", daemon=True)
        self._thread.start()
        atexit.register(self.close)  # Python must not end while the thread is in ROS

    def __enter__(self) -> SamClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the client's thread; what still waits for an answer gets NoAnswer."""
        atexit.unregister(self.close)
        self._executor.shutdown()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        self._own.destroy_node()
        for future in list(self._pending):
            self._fail(future, "the client was closed")

    @property
    def ready(self) -> bool:
        """Whether the node is there, which methods that end in ``_async`` do not wait for."""
        return all(client.service_is_ready() for client in self._clients.values())

    def segment(self, prompts: Sequence[Prompt], image: Picture | None = None) -> Scene:
        """Answers prompts on one picture; the node remembers nothing of it.

        Args:
            prompts: made by :func:`sam_ros.client.prompt`.
            image: (H, W, 3) uint8 RGB, or a message; None: the node's picture of the prompts'
                stamp, or its latest.

        Raises:
            SamError: no prompt was answered. When some were, the scene says why others were not.
        """
        return self._wait("segment", lambda: self.segment_async(prompts, image))

    def segment_async(
        self, prompts: Sequence[Prompt], image: Picture | None = None
    ) -> Future[Scene]:
        """As :meth:`segment`, without waiting."""
        request = Segment.Request(prompts=list(prompts))
        if image is not None:
            request.image = (
                image if isinstance(image, Image) else to_image(image, "rgb8", Header())
            )
        return self._call("segment", request, _scene)

    def set_prompts(self, prompts: Sequence[Prompt], replace_all: bool = False) -> list[str]:
        """Sets the objects that the node answers with every picture; returns their names.

        Args:
            prompts: usually with ``persistence=Prompt.STICKY``.
            replace_all: forget every object that is not named here.

        Raises:
            SamError: a prompt cannot be answered; nothing has changed then.
        """
        return self._wait("set_prompts", lambda: self.set_prompts_async(prompts, replace_all))

    def set_prompts_async(
        self, prompts: Sequence[Prompt], replace_all: bool = False
    ) -> Future[list[str]]:
        """As :meth:`set_prompts`, without waiting."""
        request = SetPrompts.Request(prompts=list(prompts), replace_all=replace_all)
        return self._call("set_prompts", request, lambda reply: list(reply.object_ids))

    def remove_objects(self, object_ids: Sequence[str] = ()) -> None:
        """Has the node forget objects, all when none is named; SamError: one is not known."""
        request = RemoveObjects.Request(object_ids=list(object_ids))
        self._wait("remove_objects", lambda: self._call("remove_objects", request, _nothing))

    def select_hypothesis(self, object_id: str, index: int = -1) -> int:
        """Chooses which mask of an object the node shows, -1: the next; returns its index."""
        request = SelectHypothesis.Request(object_id=object_id, index=index)
        return self._wait(
            "select_hypothesis",
            lambda: self._call("select_hypothesis", request, lambda reply: int(reply.selected)),
        )

    def subscribe(self, callback: Callable[[Scene], None], depth: int = 10) -> Subscription:
        """Calls back with every message of ``~/instances``, in your node's executor."""
        return self._node.create_subscription(
            InstanceArray,
            f"{self._name}/instances",
            lambda msg: callback(to_scene(msg)),
            QoSProfile(depth=depth),
        )

    def _call(self, service: str, request: Any, read: Callable[[Any], Result]) -> Future[Result]:
        """Sends a request; its future gets what ``read`` makes of an answer that is OK."""
        future: Future[Result] = Future()
        future.set_running_or_notify_cancel()
        client = self._clients[service]
        if not client.service_is_ready():
            self._fail(future, f"nobody offers {client.srv_name}; is the node running?")
            return future
        self._pending.add(future)

        def answered(reply: Any) -> None:
            self._pending.discard(future)
            if future.done():  # the client was closed meanwhile
                return
            try:
                check(reply.result().status)
                future.set_result(read(reply.result()))
            except Exception as error:
                future.set_exception(error)

        client.call_async(request).add_done_callback(answered)
        return future

    def _wait(self, service: str, start: Callable[[], Future[Result]]) -> Result:
        if threading.current_thread() is self._thread:
            text = "is called in the client's own thread, which would wait for itself"
            raise RuntimeError(f"{service}: {text}; use the method that ends in _async there")
        client, deadline = self._clients[service], time.monotonic() + self.timeout
        client.wait_for_service(self.timeout)
        try:
            return start().result(max(0.0, deadline - time.monotonic()))
        except FutureTimeoutError as error:
            if isinstance(error, NoAnswer):
                raise
            text = f"no answer from {client.srv_name} within {self.timeout:g} s"
            raise NoAnswer(text) from None

    def _fail(self, future: Future[Any], text: str) -> None:
        self._pending.discard(future)
        if not future.done():
            future.set_exception(NoAnswer(text))

    def _spin(self) -> None:
        try:
            self._executor.spin()
        except ExternalShutdownException:
            for future in list(self._pending):
                self._fail(future, "ROS was shut down")


def _scene(reply: Segment.Response) -> Scene:
    errors = {index: error_of(status) for index, status in enumerate(reply.prompt_status)}
    return to_scene(reply.result, {index: item for index, item in errors.items() if item})


def _nothing(_: Any) -> None:
    return None
