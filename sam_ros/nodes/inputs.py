"""What the node subscribes to while it is active. Callbacks convert and hand over, no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from vision_msgs.msg import Detection2DArray

from sam_ros.msg import Prompt, PromptArray
from sam_ros.nodes.endpoints import NEWEST, QUEUED, subscribe
from sam_ros.nodes.frames import Frame, nanoseconds
from sam_ros.nodes.prompts import from_box, from_mask, label_score
from sam_ros.nodes.reader import Reader
from sam_ros.nodes.requests import Request
from sam_ros.nodes.status import Refused, invalid


class Inputs:
    """The subscriptions, from their creation to ``destroy``.

    Args:
        node: subscribes.
        compressed: subscribe to image/compressed instead of image.
        on_frame: gets every picture.
        on_requests: gets the prompts of one message.
        on_boxes: gets the boxes of one message and their picture's stamp in nanoseconds.
        on_refused: gets what cannot be answered at all.
    """

    def __init__(
        self,
        node: LifecycleNode,
        compressed: bool,
        on_frame: Callable[[Frame], None],
        on_requests: Callable[[Sequence[Request]], None],
        on_boxes: Callable[[Sequence[Request], int], None],
        on_refused: Callable[[Refused], None],
    ) -> None:
        self._node, self._on_frame = node, on_frame
        self._on_requests, self._on_boxes = on_requests, on_boxes
        self._on_refused = on_refused
        kind, topic = (CompressedImage, "image/compressed") if compressed else (Image, "image")
        group = MutuallyExclusiveCallbackGroup()
        self._subscriptions = [
            subscribe(node, kind, topic, callback, QUEUED, group)
            for topic, kind, callback in (
                ("~/prompts", PromptArray, self._prompts),
                ("~/box", Detection2DArray, self._boxes),
                ("~/prior_mask", Image, self._prior_mask),
                ("~/text", String, self._text),
            )
        ]
        # Last: it has a thread, which nobody would end if something else failed.
        self._pictures = Reader(node, kind, topic, self._image, NEWEST)

    def destroy(self) -> None:
        """Ends the subscriptions."""
        self._pictures.destroy()
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _image(self, msg: Image | CompressedImage) -> None:
        self._on_frame(Frame(msg))

    def _prompts(self, msg: PromptArray) -> None:
        for prompt in msg.prompts:
            if prompt.header.stamp == type(prompt.header.stamp)():
                prompt.header = msg.header
        self._on_requests([Request(prompt) for prompt in msg.prompts])

    def _boxes(self, msg: Detection2DArray) -> None:
        """All boxes are of one picture: that of the array, else of its first box."""
        headers = [msg.header, *(item.header for item in msg.detections[:1])]
        stamp = next(filter(None, (nanoseconds(header.stamp) for header in headers)), 0)
        boxes = [Request(from_box(item), label_score(item)) for item in msg.detections]
        self._on_boxes(boxes, stamp)

    def _prior_mask(self, msg: Image) -> None:
        self._on_requests([Request(from_mask(msg))])

    def _text(self, msg: String) -> None:
        """Words to look for from now on; they take the place of the last ones."""
        if not msg.data:
            self._on_refused(invalid("~/text: empty; expected words, such as red mug; cable"))
        else:
            self._on_requests([Request(Prompt(text=msg.data, persistence=Prompt.STICKY))])
