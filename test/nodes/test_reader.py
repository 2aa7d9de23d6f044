"""Subscriptions without an executor, over DDS between two contexts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("rclpy", reason="needs ROS 2: `make build` or source a ROS 2 installation")
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import String

from sam_ros.nodes import reader
from sam_ros.nodes.endpoints import QUEUED
from sam_ros.nodes.reader import Reader, drain, unspun


@pytest.fixture
def nodes(ros_domain: int) -> Iterator[tuple[Node, Node]]:
    contexts = [rclpy.Context(), rclpy.Context()]
    made = []
    for name, context in zip(("sender", "reader"), contexts, strict=True):
        rclpy.init(context=context, domain_id=ros_domain)
        made.append(rclpy.create_node(name, context=context))
    yield made[0], made[1]
    for node, context in zip(made, contexts, strict=True):
        node.destroy_node()
        rclpy.try_shutdown(context=context)


def until(ready: Callable[[], bool], seconds: float = 20.0) -> bool:
    end = time.monotonic() + seconds
    while not ready() and time.monotonic() < end:
        time.sleep(0.005)
    return ready()


def connected(sender: Node, topic: str) -> Any:
    publisher = sender.create_publisher(String, topic, QUEUED)
    assert until(lambda: publisher.get_subscription_count() == 1)
    return publisher


def test_each_message_calls_back_in_order_and_nobody_spins(nodes: tuple[Node, Node]) -> None:
    sender, node = nodes
    heard: list[tuple[str, str]] = []
    reading = Reader(
        node,
        String,
        "words",
        lambda msg: heard.append((msg.data, threading.current_thread().name)),
        QUEUED,
    )
    publisher = connected(sender, "words")
    words = [f"word {index}" for index in range(5)]
    for word in words:
        publisher.publish(String(data=word))
    assert until(lambda: len(heard) == 5)
    assert heard == [(word, "/words") for word in words]
    reading.destroy()


def test_a_callback_that_raises_is_logged_and_the_next_message_is_read(
    nodes: tuple[Node, Node], capfd: pytest.CaptureFixture[str]
) -> None:
    sender, node = nodes
    heard: list[str] = []

    def callback(msg: String) -> None:
        if msg.data == "bad":
            raise RuntimeError("cannot read this one")
        heard.append(msg.data)

    reading = Reader(node, String, "words", callback, QUEUED)
    publisher = connected(sender, "words")
    for word in ("bad", "good"):
        publisher.publish(String(data=word))
    assert until(lambda: heard == ["good"])
    reading.destroy()
    assert "RuntimeError: cannot read this one" in capfd.readouterr().err


def test_a_message_that_cannot_be_taken_is_logged_and_the_next_one_is_read(
    nodes: tuple[Node, Node],
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sender, node = nodes
    heard: list[str] = []
    monkeypatch.setattr(reader, "PAUSE", 0.1)
    real, broken = reader.drain, [True]

    def drain_or_break(subscription: Any) -> Iterator[Any]:
        if broken:
            broken.clear()
            list(real(subscription))
            raise MemoryError("no room for a picture")
        yield from real(subscription)

    monkeypatch.setattr(reader, "drain", drain_or_break)
    reading = Reader(node, String, "words", lambda msg: heard.append(msg.data), QUEUED)
    publisher = connected(sender, "words")
    publisher.publish(String(data="lost"))
    assert until(lambda: not broken)
    publisher.publish(String(data="read"))
    assert until(lambda: heard == ["read"])
    reading.destroy()
    assert "MemoryError: no room for a picture" in capfd.readouterr().err


def test_destroy_ends_thread_and_subscription(nodes: tuple[Node, Node]) -> None:
    sender, node = nodes
    reading = Reader(node, String, "words", lambda _: None, QUEUED)
    publisher = connected(sender, "words")
    assert "/words" in [thread.name for thread in threading.enumerate()]
    reading.destroy()
    assert "/words" not in [thread.name for thread in threading.enumerate()]
    assert until(lambda: publisher.get_subscription_count() == 0)


def test_destroy_waits_for_the_callback_at_hand(nodes: tuple[Node, Node]) -> None:
    sender, node = nodes
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def callback(_: String) -> None:
        begun.set()
        may_end.wait(20.0)
        ended.set()

    reading = Reader(node, String, "words", callback, QUEUED)
    connected(sender, "words").publish(String())
    assert begun.wait(20.0)
    threading.Timer(0.2, may_end.set).start()
    reading.destroy()
    assert ended.is_set()


def test_what_is_unspun_is_left_to_who_takes_it(nodes: tuple[Node, Node]) -> None:
    sender, node = nodes
    left = unspun(node, String, "words", QUEUED)
    spun: list[String] = []
    node.create_subscription(String, "words", spun.append, QUEUED)
    executor = SingleThreadedExecutor(context=node.context)
    executor.add_node(node)
    publisher = sender.create_publisher(String, "words", QUEUED)
    assert until(lambda: publisher.get_subscription_count() == 2)
    publisher.publish(String(data="one"))
    end = time.monotonic() + 20.0
    while not spun and time.monotonic() < end:
        executor.spin_once(timeout_sec=0.05)
    executor.shutdown()
    assert [msg.data for msg in spun] == ["one"]
    assert list(drain(left)) == [String(data="one")]
    assert list(drain(left)) == []
