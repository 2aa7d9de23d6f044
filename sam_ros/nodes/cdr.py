"""~/instances as the bytes that go over the wire.

To build the messages of twenty objects in Python and to have rclpy convert them takes 3 ms in
which no other thread runs, five times as long as to write their bytes. The layout is common data
representation, which all middleware of ROS 2 speaks (CORBA 3.3, part 2, section 9.3; DDSI-RTPS
2.5, section 10): the fields of the ``.msg`` files in their order, each aligned to its size.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from std_msgs.msg import Header

from sam_ros.engine.boxes import centre_and_size
from sam_ros.engine.hypothesis import Hypothesis
from sam_ros.nodes.instances import InstanceResult, Size

LITTLE_ENDIAN = b"\x00\x01\x00\x00"  # comes first, and does not count for alignment


def write_instance_array(
    header: Header, size: Size, model: str, latency: float, results: Sequence[InstanceResult]
) -> bytes:
    """All objects of one frame as a serialized ``sam_ros/InstanceArray``.

    Args:
        header: the source image's.
        size: (H, W) of the source image.
        model: name of the model that made the masks.
        latency: seconds from the image's arrival to now.
        results: in the order to publish.
    """
    writer = _Writer()
    writer.put(4, "<iI", header.stamp.sec, header.stamp.nanosec)
    writer.text(header.frame_id)
    writer.put(4, "<II", *size)
    writer.text(model)
    seconds, fraction = divmod(max(latency, 0.0), 1.0)
    writer.put(4, "<iI", int(seconds), int(fraction * 1e9))
    writer.put(4, "<I", len(results))
    for result in results:
        _write_instance(writer, result)
    return writer.data


class _Writer:
    """Puts values one after another, each where its alignment allows."""

    def __init__(self) -> None:
        self._body = bytearray()

    @property
    def data(self) -> bytes:
        """All that was put."""
        return LITTLE_ENDIAN + bytes(self._body)

    def put(self, alignment: int, layout: str, *values: object, tail: bytes = b"") -> None:
        """Adds values that need no padding between them.

        Args:
            alignment: of the first of them [bytes].
            layout: of all, for ``struct``.
            values: as many as the layout wants.
            tail: follows them as it is.
        """
        body = self._body
        body += bytes(-len(body) % alignment)
        body += struct.pack(layout, *values)
        body += tail

    def text(self, text: str) -> None:
        """Adds a string."""
        coded = text.encode() + b"\0"
        self.put(4, "<I", len(coded), tail=coded)


def _write_instance(writer: _Writer, result: InstanceResult) -> None:
    found = result.hypotheses
    writer.text(result.object_id)
    writer.put(2, "<H", result.instance_id)
    writer.text(result.label)
    writer.put(4, "<fBB?", result.label_score, result.state, result.selected, found.ambiguous)
    writer.put(4, "<I", len(found))
    for item in found:
        _write_hypothesis(writer, item)


def _write_hypothesis(writer: _Writer, item: Hypothesis) -> None:
    runs = item.counts.astype("<u4", copy=False).tobytes()
    writer.put(4, "<III", *item.size, len(runs) // 4, tail=runs)
    writer.put(4, "<fffI", item.score, item.predicted_iou, item.stability, item.area)
    x, y, width, height = centre_and_size(item.box)
    writer.put(8, "<dddddb", x, y, 0.0, width, height, item.parent)
