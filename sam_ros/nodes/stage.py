"""The scene on show, which a choice or a removal changes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sam_ros.nodes.frames import Frame
from sam_ros.nodes.instances import InstanceResult
from sam_ros.nodes.objects import Objects
from sam_ros.nodes.scene import Scene


class Stage:
    """Publishes scenes, and the last one again when it has changed. Only the worker touches it.

    Args:
        objects: of which the newest is the target.
        publish: called with every scene and the objects known then; with no scene when only the
            objects have changed.
    """

    def __init__(self, objects: Objects, publish: Callable[[Scene | None, Objects], None]) -> None:
        self._objects, self._publish = objects, publish
        self._scene: Scene | None = None

    def show(self, frame: Frame, results: Sequence[InstanceResult]) -> None:
        """Publishes what was found in a frame."""
        self._present(Scene(frame, tuple(results)))

    def tell(self) -> None:
        """Publishes that the objects have changed."""
        self._publish(None, self._objects)

    def found_on(self, frame: Frame) -> tuple[InstanceResult, ...]:
        """What was shown of a frame, if it is the last one that was."""
        return self._scene.results if self._scene and self._scene.frame is frame else ()

    def select(self, object_id: str, index: int) -> int:
        """Chooses a hypothesis of an object, -1 for the next one; returns its index."""
        selected = self._objects.select(object_id, index)
        if self._scene and object_id in self._scene:
            self._present(self._scene.with_selected(object_id, selected))
        return selected

    def remove(self, names: Sequence[str]) -> None:
        """Forgets objects, and shows the scene without them."""
        self._objects.remove(names)
        if self._scene and any(name in self._scene for name in names):
            self._present(self._scene.without(names))
        else:
            self.tell()

    def clear(self) -> None:
        """Lets go of the picture; the objects stay."""
        self._scene = None

    def _present(self, scene: Scene) -> None:
        newest = self._objects.newest([item.object_id for item in scene.results])
        self._scene = scene.aimed_at(newest)
        self._publish(self._scene, self._objects)
