"""The demo's side of the wire: frames in, prompts out, answers back as the engine's types."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import rclpy
from builtin_interfaces.msg import Time
from lifecycle_msgs.msg import State
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import SetParameters
from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sam_ros.action import SegmentEverything
from sam_ros.engine import rle
from sam_ros.engine.hypothesis import Hypotheses, Hypothesis
from sam_ros.msg import Instance, InstanceArray, MaskHypothesis, PromptArray, Status
from sam_ros.nodes.prompts import to_message
from sam_ros.nodes.samples import Question
from sam_ros.srv import Segment

ACTIVE, UNCONFIGURED = State.PRIMARY_STATE_ACTIVE, State.PRIMARY_STATE_UNCONFIGURED
TRIES = 5  # sensors are heard best effort: a frame may get lost on the way to the node
STARTUP, REPLY = 180.0, 90.0  # seconds: large models load slowly and answer slowly on a CPU


class DemoError(RuntimeError):
    """The demo cannot go on; the text says what to do."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What came back for one question.

    Attributes:
        question: what was asked.
        hypotheses: best first.
        seconds: from the question to the answer as the asking process saw it.
        way: the interface that was used.
    """

    question: Question
    hypotheses: Hypotheses
    seconds: float
    way: str


class DemoClient:
    """A node that asks ``/sam`` about what ``image_source`` shows.

    Args:
        check: called while waiting; raises when waiting is in vain.
    """

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self._context = rclpy.Context()
        rclpy.init(context=self._context)
        self._node = rclpy.create_node("sam_demo", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._frame: Image | None = None  # the newest
        self._known: Image | None = None  # one that the node has
        self._found: dict[str, Instance] = {}
        self._found_on = Header()
        self._node.create_subscription(Image, "image", self._keep_frame, qos_profile_sensor_data)
        self._node.create_subscription(InstanceArray, "sam/instances", self._keep_instances, 10)
        self._prompts = self._node.create_publisher(PromptArray, "sam/prompts", 10)
        self._state: Any = self._node.create_client(GetState, "sam/get_state")
        self._everything = ActionClient(self._node, SegmentEverything, "sam/segment_everything")
        self._segment: Any = self._node.create_client(Segment, "sam/segment")
        self._source: Any = self._node.create_client(SetParameters, "image_source/set_parameters")

    def close(self) -> None:
        """Leaves the ROS graph."""
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def wait_until_active(self) -> None:
        """Waits for both nodes to be there and for ``sam`` to have loaded its model."""
        clients = (self._source, self._state, self._segment)
        self._wait(lambda: all(item.service_is_ready() for item in clients), "the nodes", STARTUP)
        deadline = time.monotonic() + STARTUP
        idle = 0  # looks in a row at a node that is not even trying
        while (state := self._call(self._state, GetState.Request()).current_state).id != ACTIVE:
            idle = idle + 1 if state.id == UNCONFIGURED else 0
            if idle > 50 or time.monotonic() > deadline:
                raise DemoError(f"node sam is {state.label}; expected active")
            time.sleep(0.2)
        self._wait(lambda: self._prompts.get_subscription_count() > 0, "~/prompts", STARTUP)

    def show(self, path: str) -> Image:
        """Has the source show a picture and returns the first frame of it that arrives."""
        value = Parameter("path", value=path).to_parameter_msg()
        result = self._call(self._source, SetParameters.Request(parameters=[value])).results[0]
        if not result.successful:
            raise DemoError(f"image_source refuses the picture: {result.reason}")
        switched = _nanoseconds(self._node.get_clock().now().to_msg())
        self._known = None

        def fresh() -> bool:
            return self._frame is not None and _nanoseconds(self._frame.header.stamp) > switched

        self._wait(fresh, f"a frame of {path}", REPLY)
        assert self._frame is not None
        return self._frame

    def ask_service(self, questions: Sequence[Question]) -> list[Answer]:
        """All questions about the picture on show in one call of ~/segment."""
        if not questions:
            return []
        for attempt in range(TRIES):
            frame = self._next_frame() if attempt or self._frame is None else self._frame
            prompts = [to_message(item.prompt, frame.header) for item in questions]
            started = time.monotonic()
            reply = self._call(self._segment, Segment.Request(prompts=prompts))
            seconds = time.monotonic() - started
            if reply.status.code != Status.STAMP_NOT_CACHED:  # else that frame did not get there
                break
        for status in (reply.status, *reply.prompt_status):
            if status.code != Status.OK:
                raise DemoError(f"~/segment answered {status.code}: {status.message}")
        if reply.result.header != frame.header or len(reply.result.instances) != len(questions):
            raise DemoError("~/segment answered something else than it was asked")
        self._known = frame
        return [
            Answer(question, to_hypotheses(item), seconds, "~/segment")
            for question, item in zip(questions, reply.result.instances)
        ]

    def ask_topic(self, questions: Sequence[Question]) -> list[Answer]:
        """Publishes the questions on ~/prompts, takes the answers from ~/instances.

        Nobody says there that a frame is not known, so one that the service knew is asked about.
        """
        if not questions:
            return []
        for _ in range(TRIES):
            frame = self._known or self._next_frame()
            self._known, self._found = None, {}
            started = time.monotonic()
            self._prompts.publish(_prompt_array(questions, frame))
            if self._spin_until(partial(self._has_answered, frame, questions), REPLY / TRIES):
                break
        else:
            raise DemoError("~/prompts: no answer on ~/instances")
        seconds = time.monotonic() - started
        return [
            Answer(question, to_hypotheses(self._found[_name(index)]), seconds, "~/prompts")
            for index, question in enumerate(questions)
        ]

    def ask_everything(self, image: Image) -> list[Hypothesis]:
        """Every object of a picture through ~/segment_everything, best first."""
        self._wait(self._everything.server_is_ready, "~/segment_everything", STARTUP)
        sent = self._everything.send_goal_async(SegmentEverything.Goal(image=image))
        self._wait(sent.done, "~/segment_everything to accept", REPLY)
        ended = sent.result().get_result_async()
        self._wait(ended.done, "the result of ~/segment_everything", STARTUP)
        result = ended.result().result
        if result.status.code != Status.OK:
            raise DemoError(f"~/segment_everything answered: {result.status.message}")
        return [to_hypotheses(item).best for item in result.result.instances]

    def _has_answered(self, frame: Image, questions: Sequence[Question]) -> bool:
        named = all(_name(index) in self._found for index in range(len(questions)))
        return named and self._found_on == frame.header

    def _next_frame(self) -> Image:
        self._frame = None
        self._wait(lambda: self._frame is not None, "a frame", REPLY)
        assert self._frame is not None
        return self._frame

    def _keep_frame(self, msg: Image) -> None:
        self._frame = msg

    def _keep_instances(self, msg: InstanceArray) -> None:
        self._found_on = msg.header
        self._found = {item.object_id: item for item in msg.instances}

    def _call(self, client: Any, request: Any) -> Any:
        future = client.call_async(request)
        self._wait(future.done, f"an answer of {client.srv_name}", REPLY)
        return future.result()

    def _wait(self, ready: Callable[[], bool], what: str, patience: float) -> None:
        if not self._spin_until(ready, patience):
            raise DemoError(f"waited {patience:.0f} s for {what}")

    def _spin_until(self, ready: Callable[[], bool], patience: float) -> bool:
        deadline = time.monotonic() + patience
        while not ready():
            self._check()
            if time.monotonic() > deadline:
                return False
            self._executor.spin_once(timeout_sec=0.05)
        return True


def to_hypotheses(instance: Instance) -> Hypotheses:
    """The message's hypotheses as the engine's, without low-resolution logits.

    Raises:
        DemoError: they are not sorted by score.
    """
    items = tuple(_to_hypothesis(item) for item in instance.hypotheses)
    scores = [item.score for item in items]
    if not items or scores != sorted(scores, reverse=True):
        raise DemoError(f"hypotheses with scores {scores}; expected the best first")
    return Hypotheses(items, bool(instance.ambiguous))


def _to_hypothesis(msg: MaskHypothesis) -> Hypothesis:
    centre = np.array((msg.bbox.center.position.x, msg.bbox.center.position.y))
    half = np.array((msg.bbox.size_x, msg.bbox.size_y)) / 2
    return Hypothesis(
        mask=rle.decode(np.array(msg.mask.counts), msg.mask.height, msg.mask.width),
        score=msg.score,
        predicted_iou=msg.predicted_iou,
        stability=msg.stability,
        area=msg.area,
        box=np.concatenate((centre - half, centre + half)).astype(np.float32),
        parent=msg.parent,
        logits=np.zeros((0, 0), np.float32),
    )


def _prompt_array(questions: Sequence[Question], frame: Image) -> PromptArray:
    array = PromptArray(header=frame.header)
    for index, question in enumerate(questions):
        prompt = to_message(question.prompt, frame.header)
        prompt.object_id = _name(index)
        array.prompts.append(prompt)
    return array


def _name(index: int) -> str:
    return f"demo_{index}"


def _nanoseconds(stamp: Time) -> int:
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
