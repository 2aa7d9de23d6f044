"""The tests' side of the wire: pictures and prompts out, answers and outputs in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Point, PointStamped
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from node_process import NodeProcess
from rcl_interfaces.msg import Parameter as ParameterMsg
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header, String
from std_srvs.srv import SetBool, Trigger
from vision_msgs.msg import BoundingBox2D, Detection2DArray, LabelInfo, Point2D

from sam_ros.action import SegmentEverything
from sam_ros.msg import InstanceArray, Prompt, PromptArray, Status
from sam_ros.nodes.images import to_image
from sam_ros.srv import RemoveObjects, Segment, SelectHypothesis, SetPrompts

FRAME_ID = "camera_optical"
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
OUTPUTS = {
    "instances": (InstanceArray, 10),
    "mask": (Image, 1),
    "instance_mask": (Image, 1),
    "label_mask": (Image, 1),
    "confidence": (Image, 1),
    "detections": (Detection2DArray, 10),
    "overlay": (Image, 1),
    "label_info": (LabelInfo, LATCHED),
    "active_prompts": (PromptArray, LATCHED),
}
INPUTS = {
    "image": Image,
    "image/compressed": CompressedImage,
    "camera_info": CameraInfo,
    "image_mouse_left": Point,
    "image_mouse_right": Point,
    "sam/overlay_mouse_left": Point,
    "sam/overlay_mouse_right": Point,
    "/clicked_point": PointStamped,
    "sam/prompts": PromptArray,
    "sam/point": PointStamped,
    "sam/background_point": PointStamped,
    "sam/normalized_point": PointStamped,
    "sam/box": Detection2DArray,
    "sam/prior_mask": Image,
    "sam/text": String,
}
CAMERA = ("image", "image/compressed", "camera_info")
SERVICES = {
    "segment": Segment,
    "set_prompts": SetPrompts,
    "remove_objects": RemoveObjects,
    "select_hypothesis": SelectHypothesis,
    "clear": Trigger,
    "enable": SetBool,
    "get_state": GetState,
    "change_state": ChangeState,
    "set_parameters": SetParameters,
    "get_parameters": GetParameters,
}
TRANSITIONS = {
    "configure": Transition.TRANSITION_CONFIGURE,
    "activate": Transition.TRANSITION_ACTIVATE,
    "deactivate": Transition.TRANSITION_DEACTIVATE,
    "cleanup": Transition.TRANSITION_CLEANUP,
}
STATES = {
    State.PRIMARY_STATE_UNCONFIGURED: "unconfigured",
    State.PRIMARY_STATE_INACTIVE: "inactive",
    State.PRIMARY_STATE_ACTIVE: "active",
    State.PRIMARY_STATE_FINALIZED: "finalized",
}


class NodeClient:
    """Talks to a node `sam` in another process.

    Args:
        domain: ROS_DOMAIN_ID.
        outputs: names of the topics to subscribe to.
        namespace: of the node `sam`.
    """

    def __init__(
        self, domain: int, outputs: Sequence[str] = tuple(OUTPUTS), namespace: str = ""
    ) -> None:
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain)
        self.node = rclpy.create_node("client", context=self._context, namespace=namespace)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.node)
        self.received: dict[str, list[Any]] = {name: [] for name in (*OUTPUTS, "diagnostics")}
        for name in outputs:
            kind, qos = OUTPUTS[name]
            self.node.create_subscription(kind, f"sam/{name}", self.received[name].append, qos)
        self.node.create_subscription(
            DiagnosticArray, "/diagnostics", self.received["diagnostics"].append, 10
        )
        self._publishers = {
            name: self.node.create_publisher(
                kind, name, qos_profile_sensor_data if name in CAMERA else 10
            )
            for name, kind in INPUTS.items()
        }
        self._clients = {
            name: self.node.create_client(kind, f"sam/{name}") for name, kind in SERVICES.items()
        }
        self.everything = ActionClient(self.node, SegmentEverything, "sam/segment_everything")
        self._outputs = outputs
        self._stamp = 0

    def close(self) -> None:
        self._executor.shutdown()
        self.everything.destroy()  # left to the garbage collector it would outlive its node
        self.node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def spin(self, seconds: float) -> None:
        self.wait(lambda: False, seconds, fail=False)

    def wait(self, ready: Callable[[], bool], patience: float = 10.0, fail: bool = True) -> bool:
        """Spins until something is so."""
        deadline = time.monotonic() + patience
        while not ready():
            left = deadline - time.monotonic()
            if left <= 0:
                assert not fail, "it did not happen in time"
                return False
            self._executor.spin_once(timeout_sec=min(left, 0.1))
        return True

    def wait_for_node(self, state: str = "active") -> None:
        """Waits for the node and for all topics to be connected."""
        self.wait(lambda: all(item.service_is_ready() for item in self._clients.values()), 120)
        self.wait(lambda: self.state() == state, 120)
        if state == "active":
            self.wait_connected()

    def wait_connected(self) -> None:
        topics = [name for name in INPUTS if name != "image/compressed"]
        self.wait(lambda: all(self._publishers[name].get_subscription_count() for name in topics))
        names = [self.node.resolve_topic_name(f"sam/{name}") for name in self._outputs]
        self.wait(lambda: all(self.node.count_publishers(name) for name in names))
        self.spin(0.3)  # the other side has to find our subscriptions too

    def state(self) -> str:
        return STATES.get(self.call("get_state").current_state.id, "in transition")

    def transition(self, name: str) -> bool:
        transition = Transition(id=TRANSITIONS[name])
        return bool(self.call("change_state", patience=60, transition=transition).success)

    def call(self, name: str, patience: float = 20.0, **fields: Any) -> Any:
        """The response of a service of the node."""
        future = self.start(name, **fields)
        self.wait(future.done, patience)
        return future.result()

    def start(self, name: str, **fields: Any) -> Any:
        return self._clients[name].call_async(SERVICES[name].Request(**fields))

    def set_parameter(self, name: str, value: Any) -> Any:
        msg = Parameter(name, value=value).to_parameter_msg()
        return self.call("set_parameters", parameters=[msg]).results[0]

    @contextmanager
    def parameter(self, name: str, value: Any) -> Iterator[None]:
        """Sets a live parameter for a while."""
        old = self.call("get_parameters", names=[name]).values[0]
        assert self.set_parameter(name, value).successful
        try:
            yield
        finally:
            back = ParameterMsg(name=name, value=old)
            assert self.call("set_parameters", parameters=[back]).results[0].successful

    def send(self, topic: str, msg: Any) -> None:
        self._publishers[topic].publish(msg)

    def header(self) -> Header:
        """A stamp that no picture had before."""
        self._stamp += 1
        return Header(stamp=Time(sec=1_000 + self._stamp, nanosec=123), frame_id=FRAME_ID)

    def show(self, picture: npt.NDArray[np.uint8], header: Header | None = None) -> Header:
        """Publishes a picture and waits until the node has it; returns its header."""
        header = header or self.header()
        prompt = Prompt(header=header, points=[Point2D()], point_labels=[1])

        def seen() -> bool:
            self.send("image", to_image(picture, "rgb8", header))  # best effort: may get lost
            code = self.call("segment", patience=70, prompts=[prompt]).status.code
            return code not in (Status.NO_IMAGE, Status.STAMP_NOT_CACHED)

        self.wait(seen)
        return header

    def fact(self, key: str) -> str:
        """A value of the newest /diagnostics; "" before the first."""
        for array in reversed(self.received["diagnostics"]):
            for status in array.status:
                for item in status.values:
                    if item.key == key:
                        return str(item.value)
        return ""

    def fresh_diagnostics(self) -> Any:
        """The status of a /diagnostics that is sent from now on."""
        self.received["diagnostics"].clear()
        self.wait(lambda: len(self.received["diagnostics"]) > 1, 5)
        return self.received["diagnostics"][-1].status[0]

    def forget(self) -> None:
        """Empties what was received."""
        for messages in self.received.values():
            messages.clear()


@contextmanager
def running(domain: int, log: Path, *parameters: str) -> Iterator[NodeClient]:
    """A client of an active node with the stub segmenter, which must live to the end."""
    node, client = NodeProcess(domain, log, parameters), NodeClient(domain)
    try:
        client.wait_for_node()
        yield client
        assert node.process.poll() is None, f"the node died:\n{node.output}"
    finally:
        client.close()
        node.end()


def click(x: float, y: float, **fields: Any) -> Prompt:
    """A prompt of one foreground point."""
    return Prompt(points=[Point2D(x=float(x), y=float(y))], point_labels=[1], **fields)


def boxed(x0: float, y0: float, x1: float, y1: float, **fields: Any) -> Prompt:
    """A prompt of a box through its corners."""
    box = BoundingBox2D(size_x=float(x1 - x0), size_y=float(y1 - y0))
    box.center.position.x, box.center.position.y = (x0 + x1) / 2, (y0 + y1) / 2
    return Prompt(box=[box], **fields)


RED, GREEN = (slice(20, 60), slice(30, 90)), (slice(70, 100), slice(100, 140))  # rows, columns


def scene() -> npt.NDArray[np.uint8]:
    """120 x 160 px, a red rectangle 60 x 40 px and a green one 40 x 30 px on black."""
    picture = np.zeros((120, 160, 3), np.uint8)
    picture[RED], picture[GREEN] = (200, 0, 0), (0, 200, 0)
    return picture


def mask_of(area: tuple[slice, slice]) -> npt.NDArray[np.bool_]:
    """The mask of one of the rectangles."""
    mask = np.zeros((120, 160), np.bool_)
    mask[area] = True
    return mask


def pixels(msg: Image) -> npt.NDArray[Any]:
    """(H, W) or (H, W, 3) values of a mono8, 16UC1 or rgb8 image, rows unpadded."""
    dtype = np.uint16 if msg.encoding == "16UC1" else np.uint8
    channels = 3 if msg.encoding == "rgb8" else 1
    values = np.frombuffer(msg.data, dtype).reshape(msg.height, msg.width, channels)
    return values if channels > 1 else values[..., 0]


def codes(reply: Any) -> list[int]:
    """The status codes of each prompt of a ~/segment response."""
    return [status.code for status in reply.prompt_status]


def set_prompts(sam: NodeClient, *prompts: Prompt, replace_all: bool = False) -> list[str]:
    """The names of objects that are set without a complaint."""
    reply = sam.call("set_prompts", prompts=prompts, replace_all=replace_all)
    assert reply.status.code == Status.OK, reply.status.message
    return list(reply.object_ids)


def names(result: InstanceArray) -> list[str]:
    """The object_id of each instance."""
    return [item.object_id for item in result.instances]
