"""Publishers and subscriptions of the node: their QoS can be overridden, and they cost little.

rclpy watches every publisher and subscription for partners of another QoS or type, by two events
each that its executor looks at whenever a message comes: half of what ROS costs for a frame. Of
another QoS the partner is told as well and says so in its log, so here it is left to the partner;
of another type neither side is told by Fast DDS, watched or not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.lifecycle import LifecycleNode, LifecyclePublisher
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import (  # type: ignore[no-redef]
        PublisherEventCallbacks,
        SubscriptionEventCallbacks,
    )

NEWEST = QoSProfile(
    depth=1,
    reliability=qos_profile_sensor_data.reliability,
    history=qos_profile_sensor_data.history,
)
QUEUED = QoSProfile(depth=10)


def create_publisher(
    node: LifecycleNode, kind: Any, name: str, qos: QoSProfile
) -> LifecyclePublisher:
    """A publisher that is silent while the node is not active."""
    return node.create_lifecycle_publisher(
        kind,
        name,
        qos,
        event_callbacks=PublisherEventCallbacks(use_default_callbacks=False),
        qos_overriding_options=QoSOverridingOptions.with_default_policies(),
    )


def subscribe(
    node: Node,
    kind: Any,
    topic: str,
    callback: Callable[[Any], None],
    qos: QoSProfile,
    group: CallbackGroup,
) -> Subscription:
    """A subscription, whose callbacks run in a group."""
    return node.create_subscription(
        kind,
        topic,
        callback,
        qos,
        callback_group=group,
        event_callbacks=SubscriptionEventCallbacks(use_default_callbacks=False),
        qos_overriding_options=QoSOverridingOptions.with_default_policies(),
    )
