"""The lifecycle node: its states, and who is connected to whom."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import CancelledError
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter

from sam_ros.engine.memory import release_memory
from sam_ros.nodes.camera import CameraSource, is_rectified
from sam_ros.nodes.clicks import Clicks
from sam_ros.nodes.depth import DepthSource
from sam_ros.nodes.diagnostics import Diagnostics, Tally
from sam_ros.nodes.everything import Everything
from sam_ros.nodes.everything_stream import EverythingStream
from sam_ros.nodes.frames import Frames
from sam_ros.nodes.gate import Gate
from sam_ros.nodes.inputs import Inputs
from sam_ros.nodes.labels import read_labels
from sam_ros.nodes.loading import import_libraries, load_segmenter
from sam_ros.nodes.objects import Objects
from sam_ros.nodes.outputs import Outputs
from sam_ros.nodes.parameters import Parameters, declare
from sam_ros.nodes.scene import Scene
from sam_ros.nodes.segmentation import Segmentation
from sam_ros.nodes.services import Services
from sam_ros.nodes.space import Space
from sam_ros.nodes.status import Refused
from sam_ros.nodes.throttle import Throttle
from sam_ros.nodes.transforms import Transforms
from sam_ros.nodes.worker import ModelThread

if TYPE_CHECKING:
    from sam_ros.engine.segmenter import Segmenter

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class SamNode(LifecycleNode):
    """Segments a camera stream by prompts.

    Args:
        load: makes the segmenter; called in the worker's thread on configure.
        namespace: of the node; "" for the one of the command line.
        thread: of the model, shared with the nodes of other cameras; None for one of its own.
    """

    def __init__(
        self,
        load: Callable[[Parameters], Segmenter] = load_segmenter,
        namespace: str = "",
        thread: ModelThread | None = None,
    ) -> None:
        super().__init__("sam", namespace=namespace or None)
        self._load = load
        self.parameters = declare(self)
        self.add_on_set_parameters_callback(self._on_set_parameters)
        self._tally = Tally(self._warn)
        self._frames = Frames(self.parameters.embedding_cache_size)
        self._gate = Gate(
            self._frames,
            self._tally,
            lambda: self.parameters.request_timeout,
            self._log_fault,
            thread,
        )
        self._outputs = Outputs(self, self._tally, self._model)
        self._space = Space(self)
        self._transforms: Transforms | None = None
        self._depth: DepthSource | None = None
        self._subscribed = ExitStack()
        self._subscribing = threading.Lock()  # a Ctrl-C may come in the middle of a transition
        self._closed = False
        self._requests = Services(self, self._gate, self._model, self._enable)
        self._everything = Everything(self, self._gate, lambda: self.parameters, self._model)
        self._everything_stream = EverythingStream(self._gate, lambda: self.parameters)
        self._diagnostics = Diagnostics(self, self._tally, self._facts)
        self._gate.worker.submit(import_libraries)
        if self.parameters.autostart:
            group = MutuallyExclusiveCallbackGroup()
            steady = Clock(clock_type=ClockType.STEADY_TIME)  # simulated time may not go yet
            self._start = self.create_timer(
                0.0, self._autostart, callback_group=group, clock=steady
            )

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Loads the model and warms it up."""
        return self._attempt("configure", self._configure)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribes, and lets requests through."""
        super().on_activate(state)
        return self._attempt("activate", self._activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Ends the subscriptions and gives up what waits; keeps the model and the objects."""
        result = self._attempt("deactivate", self._deactivate)
        super().on_deactivate(state)
        return result

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drops the model, its memory and everything that the node remembers."""
        return self._attempt("clean up", self._clean_up)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As deactivate and cleanup."""
        super().on_deactivate(state)
        return self._attempt("shut down", self._shut_down)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Leaves an unconfigured node behind, which may be configured again."""
        return self._attempt("recover", self._shut_down)

    def close(self, timeout: float) -> bool:
        """Ends the threads, in any state and for good; false when the worker takes longer."""
        with self._subscribing:
            self._closed = True
            self._unsubscribe()
        return self._gate.worker.stop(timeout)

    def _configure(self) -> None:
        parameters = self.parameters
        self._gate.failure = ""
        self._tally.reset()
        self._frames.capacity = parameters.embedding_cache_size
        try:
            labels = read_labels(parameters.labels_file)
            segmenter = self._gate.worker.submit(lambda: self._load(parameters)).result()
        except Exception as error:
            self._gate.failure = str(error) or type(error).__name__
            raise
        self._gate.segmentation = Segmentation(
            segmenter,
            self._frames,
            self._publish,
            self._tally,
            parameters,
            labels,
            Throttle(self),
            self._gate.worker,
        )
        loaded = self._gate.segmentation.model
        self.get_logger().info(
            f"{parameters.model} is loaded on {loaded.device}, {loaded.runtime}"
        )

    def _activate(self) -> None:
        with self._subscribing, ExitStack() as until_then:
            if self._closed:
                raise CancelledError
            self._subscribe(until_then)
            self._subscribed = until_then.pop_all()
            self._gate.active = True
        self._hand_over(lambda segmentation: self._outputs.announce(segmentation.objects))

    def _subscribe(self, until_then: ExitStack) -> None:
        """Makes what listens, until then."""
        camera = CameraSource(self, "camera_info", is_rectified(self.resolve_topic_name("image")))
        until_then.callback(camera.destroy)
        transforms = Transforms(self)
        until_then.callback(transforms.destroy)
        depth = DepthSource(
            self, lambda: self.parameters, camera, transforms, self._space, self._tally
        )
        until_then.callback(depth.destroy)
        clicks = Clicks(
            self,
            self._frames,
            lambda: self._outputs.shown,
            camera,
            transforms,
            self._gate.take_requests,
            self._refuse,
        )
        until_then.callback(clicks.destroy)
        inputs = Inputs(
            self,
            self.parameters.image_transport == "compressed",
            self._gate.take_frame,
            self._gate.take_requests,
            self._gate.take_boxes,
            self._refuse,
        )
        until_then.callback(inputs.destroy)
        self._transforms, self._depth = transforms, depth

    def _deactivate(self) -> None:
        with self._subscribing:
            self._unsubscribe()
        self._forget_frames()

    def _unsubscribe(self) -> None:
        self._gate.active = False
        self._transforms = self._depth = None
        self._subscribed.close()

    def _clean_up(self) -> None:
        self._gate.segmentation = None
        self._gate.failure = ""
        self._gate.worker.submit(release_memory).result()

    def _shut_down(self) -> None:
        self._deactivate()
        self._clean_up()

    def _enable(self, enabled: bool) -> None:
        self._gate.enabled = enabled
        if not enabled:
            self._forget_frames()

    def _forget_frames(self) -> None:
        """Gives up what waits and lets go of pictures, which will be old when work goes on."""
        self._gate.worker.drop_jobs()
        self._frames.clear()
        self._outputs.shown = None
        self._hand_over(Segmentation.forget_frames)

    def _hand_over(self, work: Callable[[Segmentation], None]) -> None:
        """Queues work with the segmentation, if there is one."""
        segmentation = self._gate.segmentation
        if segmentation is not None:
            self._gate.worker.submit(lambda: work(segmentation))

    def _publish(self, scene: Scene | None, objects: Objects) -> None:
        if self._gate.active:
            self._outputs.publish(scene, objects)
            if scene and (depth := self._depth):  # it may be deactivated meanwhile
                depth.place(scene)

    def _autostart(self) -> None:
        self._start.cancel()
        try:
            if self.trigger_configure() == SUCCESS:
                self.trigger_activate()
        except Exception as error:  # somebody else has begun a transition
            self._warn(f"autostart: {error}")

    def _attempt(self, what: str, action: Callable[[], None]) -> TransitionCallbackReturn:
        """Runs a transition's work; rclpy would swallow what it raises without a word."""
        try:
            action()
        except Refused as refused:
            self.get_logger().error(f"cannot {what}: {refused}")
            return FAILURE
        except CancelledError:  # the process is ending
            return FAILURE
        except Exception as error:
            self.get_logger().error(f"cannot {what}:")
            self._log_fault(error)
            return FAILURE
        return SUCCESS

    def _on_set_parameters(self, settings: list[Parameter]) -> SetParametersResult:
        configured = self._gate.segmentation is not None
        try:
            self.parameters = self.parameters.changed(settings, live_only=configured)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        parameters = self.parameters
        self._hand_over(lambda segmentation: segmentation.update(parameters))
        return SetParametersResult(successful=True)

    def _facts(self) -> Mapping[str, str]:
        """What /diagnostics tells beside the counts."""
        gate, transforms, depth = self._gate, self._transforms, self._depth
        state = "active" if gate.active else "inactive" if gate.segmentation else "unconfigured"
        return {
            "state": state if gate.enabled else f"{state}, disabled",
            "failure": gate.failure,
            "transforms": transforms.problem if transforms else "",
            "depth": depth.problem if depth else "",
            "model": self._model(),
            "device": gate.segmentation.model.device if gate.segmentation else "",
            "runtime": gate.segmentation.model.runtime if gate.segmentation else "",
            "objects": str(len(gate.segmentation.objects)) if gate.segmentation else "0",
            "frames_dropped": str(gate.worker.dropped),
            "jobs_waiting": str(gate.worker.waiting),
        }

    def _model(self) -> str:
        return self.parameters.model

    def _refuse(self, refused: Refused) -> None:
        self._tally.refused([refused])

    def _warn(self, problem: str) -> None:
        self.get_logger().warning(problem, throttle_duration_sec=1.0)

    def _log_fault(self, error: BaseException) -> None:
        self.get_logger().error("".join(traceback.format_exception(error)))
