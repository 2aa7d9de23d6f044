"""The requests that somebody waits for: the services."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile
from sensor_msgs.msg import Image
from std_srvs.srv import SetBool, Trigger

from sam_ros.msg import Prompt
from sam_ros.nodes import messages
from sam_ros.nodes.frames import Frame
from sam_ros.nodes.gate import Gate
from sam_ros.nodes.requests import Request
from sam_ros.nodes.segmentation import Segmentation
from sam_ros.nodes.status import Refused, summary
from sam_ros.srv import RemoveObjects, Segment, SelectHypothesis, SetPrompts

MANY = QoSProfile(depth=100)  # with ROS's default of 10, DDS loses calls of a larger burst


class Services:
    """Answers in every lifecycle state; while the node is not active, with a status that says so.

    Args:
        node: offers them.
        gate: the way to the worker.
        model: asked for the name of the model in use.
        on_enable: called with what ~/enable asks for.
    """

    def __init__(
        self,
        node: LifecycleNode,
        gate: Gate,
        model: Callable[[], str],
        on_enable: Callable[[bool], None],
    ) -> None:
        self._gate, self._model, self._on_enable = gate, model, on_enable
        group = ReentrantCallbackGroup()  # one call that waits must not hold up another
        for name, kind, callback in (
            ("segment", Segment, self._segment),
            ("set_prompts", SetPrompts, self._set_prompts),
            ("remove_objects", RemoveObjects, self._remove_objects),
            ("select_hypothesis", SelectHypothesis, self._select_hypothesis),
            ("clear", Trigger, self._clear),
            ("enable", SetBool, self._enable),
        ):
            node.create_service(
                kind, f"~/{name}", callback, qos_profile=MANY, callback_group=group
            )

    def _segment(self, request: Segment.Request, response: Segment.Response) -> Segment.Response:
        frame = None if is_empty(request.image) else Frame(request.image)
        try:
            scene, response.prompt_status = self._gate.ask(
                Segmentation.segment, _requests(request.prompts, frame)
            )
        except Refused as refused:
            response.status = refused.status()
            response.prompt_status = [response.status] * len(request.prompts)
            return response
        response.status = summary(response.prompt_status)
        response.result = messages.to_instance_array(
            scene.frame.header, scene.frame.size, self._model(), scene.age, scene.results
        )
        if request.return_images:
            response.masks = messages.mask_images(
                scene.frame.header, scene.frame.size, scene.results
            )
        return response

    def _set_prompts(
        self, request: SetPrompts.Request, response: SetPrompts.Response
    ) -> SetPrompts.Response:
        def work(segmentation: Segmentation, requests: Sequence[Request]) -> list[str]:
            return segmentation.set_prompts(requests, request.replace_all)

        try:
            response.object_ids = self._gate.ask(work, _requests(request.prompts))
        except Refused as refused:
            response.status = refused.status()
        return response

    def _remove_objects(
        self, request: RemoveObjects.Request, response: RemoveObjects.Response
    ) -> RemoveObjects.Response:
        try:
            self._gate.ask(lambda segmentation, _: segmentation.remove(request.object_ids))
        except Refused as refused:
            response.status = refused.status()
        return response

    def _select_hypothesis(
        self, request: SelectHypothesis.Request, response: SelectHypothesis.Response
    ) -> SelectHypothesis.Response:
        def work(segmentation: Segmentation, _: Sequence[Request]) -> int:
            return segmentation.stage.select(request.object_id, request.index)

        try:
            response.selected = self._gate.ask(work)
        except Refused as refused:
            response.status = refused.status()
        return response

    def _clear(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            self._gate.ask(lambda segmentation, _: segmentation.remove(()))
        except Refused as refused:
            response.message = str(refused)
        else:
            response.success = True
        return response

    def _enable(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self._on_enable(request.data)
        response.success = True
        response.message = "enabled" if request.data else "disabled: requests are refused"
        return response


def _requests(prompts: Sequence[Prompt], frame: Frame | None = None) -> list[Request]:
    """The prompts about the picture that came with them, else about those of their stamps."""
    return [Request(prompt, frame=frame) for prompt in prompts]


def is_empty(image: Image) -> bool:
    """True for an image that nobody filled in; a broken one is not empty."""
    return not (image.height or image.width or image.encoding or len(image.data))
