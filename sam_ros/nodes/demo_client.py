"""The demo's side of the wire: frames in, prompts out, answers back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

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

from sam_ros.action import SegmentEverything
from sam_ros.client import (
    Instance,
    SamClient,
    SamError,
    Scene,
    StampNotCached,
    prompt,
    to_scene,
)
from sam_ros.client.errors import check
from sam_ros.msg import PromptArray
from sam_ros.nodes.prompts import to_message
from sam_ros.nodes.samples import Question

Result = TypeVar("Result")

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
        instance: the object, its hypotheses best first.
        seconds: from the question to the answer as the asking process saw it.
        way: the interface that was used.

    Raises:
        DemoError: there are no hypotheses, or they are not sorted.
    """

    question: Question
    instance: Instance
    seconds: float
    way: str

    def __post_init__(self) -> None:
        scores = [item.score for item in self.instance.hypotheses]
        if not scores or scores != sorted(scores, reverse=True):
            raise DemoError(f"hypotheses with scores {scores}; expected the best first")


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
        self._found: Scene | None = None
        self._node.create_subscription(Image, "image", self._keep_frame, qos_profile_sensor_data)
        self._sam = SamClient(self._node)
        self._sam.subscribe(self._keep_scene)
        self._prompts = self._node.create_publisher(PromptArray, "sam/prompts", 10)
        self._state: Any = self._node.create_client(GetState, "sam/get_state")
        self._everything = ActionClient(self._node, SegmentEverything, "sam/segment_everything")
        self._source: Any = self._node.create_client(SetParameters, "image_source/set_parameters")

    def close(self) -> None:
        """Leaves the ROS graph."""
        self._sam.close()
        self._executor.shutdown()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def wait_until_active(self) -> None:
        """Waits for both nodes to be there and for ``sam`` to have loaded its model."""
        clients = (self._source, self._state)
        self._wait(lambda: all(item.service_is_ready() for item in clients), "the nodes", STARTUP)
        self._wait(lambda: self._sam.ready, "the services of sam", STARTUP)
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
            moments = [time.monotonic()]
            reply = self._sam.segment_async(prompts)
            reply.add_done_callback(lambda _, moments=moments: moments.append(time.monotonic()))
            self._wait(lambda moments=moments: len(moments) > 1, "an answer of ~/segment", REPLY)
            if not isinstance(reply.exception(), StampNotCached):  # else it did not get there
                break
        scene = _told("~/segment", reply.result)
        if scene.refused:
            raise DemoError(f"~/segment: {next(iter(scene.refused.values()))}")
        if scene.header != frame.header or len(scene.instances) != len(questions):
            raise DemoError("~/segment answered something else than it was asked")
        self._known = frame
        return [
            Answer(question, item, moments[1] - moments[0], "~/segment")
            for question, item in zip(questions, scene.instances)
        ]

    def ask_topic(self, questions: Sequence[Question]) -> list[Answer]:
        """Publishes the questions on ~/prompts, takes the answers from ~/instances.

        Nobody says there that a frame is not known, so one that the service knew is asked about.
        """
        if not questions:
            return []
        for _ in range(TRIES):
            frame = self._known or self._next_frame()
            self._known, self._found = None, None
            started = time.monotonic()
            self._prompts.publish(_prompt_array(questions, frame))
            if self._spin_until(partial(self._has_answered, frame, questions), REPLY / TRIES):
                break
        else:
            raise DemoError("~/prompts: no answer on ~/instances")
        seconds = time.monotonic() - started
        assert self._found is not None
        return [
            Answer(question, self._found[_name(index)], seconds, "~/prompts")
            for index, question in enumerate(questions)
        ]

    def ask_everything(self, image: Image) -> tuple[Instance, ...]:
        """Every object of a picture through ~/segment_everything, best first."""
        self._wait(self._everything.server_is_ready, "~/segment_everything", STARTUP)
        sent = self._everything.send_goal_async(SegmentEverything.Goal(image=image))
        self._wait(sent.done, "~/segment_everything to accept", REPLY)
        ended = sent.result().get_result_async()
        self._wait(ended.done, "the result of ~/segment_everything", STARTUP)
        result = ended.result().result
        _told("~/segment_everything", lambda: check(result.status))
        return to_scene(result.result).instances

    def ask_text(self, image: Image, text: str) -> tuple[Instance, ...]:
        """What words name in a picture, such as "mug; blue pen", through ~/segment."""
        future = self._sam.segment_async([prompt(text=text)], image)
        self._wait(future.done, "an answer of ~/segment", REPLY)
        return _told("~/segment", future.result).instances

    def _has_answered(self, frame: Image, questions: Sequence[Question]) -> bool:
        if self._found is None or self._found.header != frame.header:
            return False
        names = {item.object_id for item in self._found.instances}
        return names >= {_name(index) for index in range(len(questions))}

    def _next_frame(self) -> Image:
        self._frame = None
        self._wait(lambda: self._frame is not None, "a frame", REPLY)
        assert self._frame is not None
        return self._frame

    def _keep_frame(self, msg: Image) -> None:
        self._frame = msg

    def _keep_scene(self, scene: Scene) -> None:
        self._found = scene

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


def _told(name: str, read: Callable[[], Result]) -> Result:
    """What an answer says; DemoError when it says that it is none."""
    try:
        return read()
    except SamError as error:
        raise DemoError(f"{name} answered {error}") from error


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
