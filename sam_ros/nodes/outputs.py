"""Everything the node publishes about a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection2DArray, LabelInfo

from sam_ros.engine.overlay import OverlayItem, draw_instances
from sam_ros.msg import InstanceArray, PromptArray
from sam_ros.nodes import messages
from sam_ros.nodes.cdr import write_instance_array
from sam_ros.nodes.diagnostics import Tally
from sam_ros.nodes.endpoints import create_publisher
from sam_ros.nodes.frames import Frame
from sam_ros.nodes.images import to_image
from sam_ros.nodes.instances import InstanceResult
from sam_ros.nodes.objects import Objects
from sam_ros.nodes.scene import Scene

LATEST = QoSProfile(depth=1)  # of pictures, an older one is of no use
ANSWERS = QoSProfile(depth=10)  # messages of a few kilobytes, one for each request
QOS = {Image: LATEST, InstanceArray: ANSWERS, Detection2DArray: ANSWERS}
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)

Maker = Callable[[Scene], Any]


class Outputs:
    """The publishers; a message is only made while somebody subscribes to it.

    Args:
        node: publishes them; they are silent while it is not active.
        tally: told of every scene.
        model: asked for the name of the model in use.

    Attributes:
        shown: the picture of the last scene, as on ~/overlay; None before the first.
    """

    def __init__(self, node: LifecycleNode, tally: Tally, model: Callable[[], str]) -> None:
        self._tally, self._model = tally, model
        self.shown: Frame | None = None
        self._classes: dict[str, int] | None = None
        self._prompts: Sequence[Any] | None = None
        self._makers: list[tuple[LifecyclePublisher, Maker]] = [
            (create_publisher(node, kind, f"~/{name}", QOS[kind]), maker)
            for name, kind, maker in (
                ("instances", InstanceArray, self._instances),
                ("mask", Image, _mask),
                ("instance_mask", Image, _instance_mask),
                ("label_mask", Image, _label_mask),
                ("confidence", Image, _confidence),
                ("detections", Detection2DArray, _detections),
                ("overlay", Image, _overlay),
            )
        ]
        self._label_info = create_publisher(node, LabelInfo, "~/label_info", LATCHED)
        self._active_prompts = create_publisher(node, PromptArray, "~/active_prompts", LATCHED)

    def publish(self, scene: Scene | None, objects: Objects) -> None:
        """Publishes a scene; the latched topics only where they have changed."""
        header = scene.frame.header if scene else Header()
        self._publish_classes(header, objects)
        self._publish_prompts(header, objects)
        if scene:
            self.shown = scene.frame
            for publisher, maker in self._makers:
                if publisher.get_subscription_count():
                    publisher.publish(maker(scene))
            self._tally.published(scene.age)

    def announce(self, objects: Objects) -> None:
        """Publishes the latched topics, for those who subscribed before the node was active."""
        self.shown = self._classes = self._prompts = None
        self._publish_classes(Header(), objects)
        self._publish_prompts(Header(), objects)

    def _publish_classes(self, header: Header, objects: Objects) -> None:
        if objects.classes.numbers != self._classes:
            self._classes = dict(objects.classes.numbers)
            names: dict[int, str] = {}
            for name, number in self._classes.items():
                names.setdefault(number, name)
            self._label_info.publish(messages.label_info(header, names))

    def _publish_prompts(self, header: Header, objects: Objects) -> None:
        prompts = [*(item.prompt for item in objects.sticky), *objects.queries.values()]
        if self._prompts is None or not _same(prompts, self._prompts):
            self._prompts = prompts
            self._active_prompts.publish(messages.active_prompts(header, objects))

    def _instances(self, scene: Scene) -> bytes:
        return write_instance_array(
            scene.frame.header, scene.frame.size, self._model(), scene.age, scene.results
        )


def _mask(scene: Scene) -> Image:
    return messages.target_mask(scene.frame.header, scene.frame.size, scene.target)


def _instance_mask(scene: Scene) -> Image:
    return messages.instance_mask(scene.frame.header, scene.frame.size, scene.results)


def _label_mask(scene: Scene) -> Image:
    return messages.label_mask(scene.frame.header, scene.frame.size, scene.results)


def _confidence(scene: Scene) -> Image:
    return messages.confidence(scene.frame.header, scene.frame.size, scene.results)


def _detections(scene: Scene) -> Detection2DArray:
    return messages.to_detections(scene.frame.header, scene.results)


def _overlay(scene: Scene) -> Image:
    items = [_overlay_item(result) for result in scene.results]
    return to_image(draw_instances(scene.frame.rgb, items), "rgb8", scene.frame.header)


def _overlay_item(result: InstanceResult) -> OverlayItem:
    chosen, name = result.chosen, result.label or result.object_id
    return OverlayItem(
        mask=chosen.mask if chosen else None,
        colour_id=result.instance_id,
        text=f"{name} {chosen.score:.2f}" if chosen else name,
        prompt=result.prompt,
    )


def _same(some: Sequence[Any], others: Sequence[Any]) -> bool:
    """True when both hold the very same objects."""
    return len(some) == len(others) and all(a is b for a, b in zip(some, others, strict=True))
