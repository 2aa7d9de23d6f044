"""The action ~/segment_everything."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, wait
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from rclpy.action import ActionServer, CancelResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNode

from sam_ros.action import SegmentEverything
from sam_ros.engine.config import EverythingConfig
from sam_ros.msg import Status
from sam_ros.nodes import messages
from sam_ros.nodes.frames import Frame
from sam_ros.nodes.gate import Gate
from sam_ros.nodes.parameters import Parameters
from sam_ros.nodes.scene import Scene
from sam_ros.nodes.segmentation import Segmentation
from sam_ros.nodes.services import is_empty
from sam_ros.nodes.status import Refused, invalid
from sam_ros.nodes.things import Things

if TYPE_CHECKING:  # it imports torch, which the node does in the worker's thread only
    from sam_ros.engine.everything import Steps

MOST_GOALS = 2  # at once: each holds a thread of the executor
PATIENCE = 0.05  # seconds between two looks at whether the goal was cancelled
NOTHING_FOUND = "no mask passed the thresholds"

Result = TypeVar("Result")


class GoalCancelled(Exception):
    """The client does not want the answer any longer."""


class Everything:
    """Answers in every lifecycle state; while the node is not active, with a status that says so.

    The worker gets one batch of clicks at a time, so that frames and prompts are answered in
    between, and a cancelled goal ends with the batch at hand.

    Args:
        node: offers the action.
        gate: the way to the worker.
        parameters: asked for the values that a goal leaves open.
        model: asked for the name of the model in use.
    """

    def __init__(
        self,
        node: LifecycleNode,
        gate: Gate,
        parameters: Callable[[], Parameters],
        model: Callable[[], str],
    ) -> None:
        self._gate, self._parameters, self._model = gate, parameters, model
        self._goals = threading.BoundedSemaphore(MOST_GOALS)
        self._server = ActionServer(
            node,
            SegmentEverything,
            "~/segment_everything",
            self._execute,
            cancel_callback=lambda _: CancelResponse.ACCEPT,
            callback_group=ReentrantCallbackGroup(),
        )

    def _execute(self, goal: ServerGoalHandle) -> SegmentEverything.Result:
        try:
            result = self._seated(goal)
        except GoalCancelled:
            goal.canceled()
            status = Status(code=Status.INACTIVE, message="the goal was cancelled")
            return SegmentEverything.Result(status=status)
        except Exception as error:
            goal.abort()
            return SegmentEverything.Result(status=self._why(error).status())
        goal.succeed()
        return result

    def _why(self, error: Exception) -> Refused:
        """What to tell of a failure; one that should not happen is logged."""
        if isinstance(error, Refused):
            return error
        self._gate.log_fault(error)
        return Refused(Status.INTERNAL, f"{type(error).__name__}: {error}")

    def _seated(self, goal: ServerGoalHandle) -> SegmentEverything.Result:
        if not self._goals.acquire(blocking=False):
            raise Refused(Status.TIMEOUT, f"{MOST_GOALS} goals are worked on already")
        try:
            return self._segment(goal)
        finally:
            self._goals.release()

    def _segment(self, goal: ServerGoalHandle) -> SegmentEverything.Result:
        request = goal.request
        frame = None if is_empty(request.image) else Frame(request.image)
        config = _config(request, self._parameters().everything_config())
        frame, steps = self._ask(goal, lambda segmentation: segmentation.everything(frame, config))
        step = partial(_next, steps)
        progress, found = 0.0, None
        while found is None:
            goal.publish_feedback(SegmentEverything.Feedback(progress=progress))
            progress, found = self._ask(goal, step)
        scene = Scene(frame, tuple(Things().update(found)))
        array = messages.to_instance_array(
            frame.header, frame.size, self._model(), scene.age, scene.results
        )
        status = Status(message="" if found else NOTHING_FOUND)
        return SegmentEverything.Result(status=status, result=array)

    def _ask(self, goal: ServerGoalHandle, work: Callable[[Segmentation], Result]) -> Result:
        """Has the worker do a piece of work and waits for it, as long as the goal is wanted."""
        segmentation = self._gate.open_for()
        future = self._gate.worker.submit(partial(work, segmentation))
        while not future.done():
            if goal.is_cancel_requested and future.cancel():
                raise GoalCancelled
            wait([future], PATIENCE)
        if goal.is_cancel_requested:
            raise GoalCancelled
        try:
            return future.result()
        except CancelledError:
            raise Refused(Status.INACTIVE, "the node became inactive meanwhile") from None


def _next(steps: Steps, _: Segmentation) -> tuple[float, Any]:
    """The progress after one step, and the masks after the last."""
    try:
        return next(steps), None
    except StopIteration as end:
        return 1.0, end.value


def _config(request: SegmentEverything.Goal, config: EverythingConfig) -> EverythingConfig:
    """The settings with the goal's in their place.

    Raises:
        Refused: one is out of its range.
    """
    wanted: dict[str, Any] = {}
    for name in ("pred_iou_thresh", "stability_score_thresh"):
        value = getattr(request, name)
        if not 0 <= value <= 1:
            raise invalid(f"{name}: {value:g}; expected 0..1, 0 for the node's parameter")
        if value:
            wanted[name] = value
    if request.min_area_px:
        wanted["min_mask_region_area"] = wanted["min_mask_area"] = request.min_area_px
    return replace(config, **wanted)
