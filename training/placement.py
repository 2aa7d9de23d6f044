"""What stands where: things side by side, touching, stacked, carried, or furniture in a room."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field

import numpy as np

from training.household import household
from training.library import Library
from training.mesh import Mesh
from training.rasteriser import Camera

LIES_OFTEN = ("bottle", "can", "tumbler", "mug", "carton", "figurine", "hat", "")
CARRIERS = ("tray", "bowl", "book", "carton", "device", "cloth")
TRIALS = 12


@dataclass
class Placement:
    """An object in its place; `groups` are the numbers of the groups it belongs to."""

    mesh: Mesh
    groups: list[int] = field(default_factory=list)

    @functools.cached_property
    def centre(self) -> np.ndarray:
        """(x, y) of the middle of its bounding box."""
        flat = self.mesh.corners[..., :2].reshape(-1, 2)
        return (flat.min(0) + flat.max(0)) / 2

    @functools.cached_property
    def radius(self) -> float:
        """Half the mean side of its footprint."""
        return float(self.mesh.size[:2].mean()) / 2

    @functools.cached_property
    def top(self) -> float:
        """The height of its highest point."""
        return float(self.mesh.corners[..., 2].max())


def place_things(
    library: Library, camera: Camera, rng: np.random.Generator, tone: np.ndarray | None = None
) -> list[Placement]:
    """The objects of a scene, at least one; tone: a colour that many stay close to, or None."""
    crowd = Crowd(library, camera, rng, tone)
    for _ in range(int(np.clip(rng.geometric(0.13), 3, 14))):
        draw = rng.random()
        if draw < 0.12 and not crowd.room:
            crowd.add_carrier()
        elif draw < 0.2:
            crowd.add_alike()
        elif draw < 0.3 and not crowd.room:
            crowd.add_pile()
        else:
            crowd.add(crowd.draw_mesh())
    return crowd.placed


class Crowd:
    """Places objects one after another where the camera sees them."""

    def __init__(
        self,
        library: Library,
        camera: Camera,
        rng: np.random.Generator,
        tone: np.ndarray | None = None,
    ) -> None:
        self.library, self.camera, self.rng, self.tone = library, camera, rng, tone
        self.placed: list[Placement] = []
        self.next_group = 0
        self.room = rng.random() < 0.12
        distance = float(np.linalg.norm(camera.position))
        self.scale = distance * float(np.exp(rng.uniform(np.log(0.9), np.log(2.4))))
        self.spread = rng.uniform(0.15, 0.36)  # of the picture
        self.gap = rng.uniform(0.65, 1.3)  # below 1 things stand in each other's way

    def draw_mesh(self, wanted: str | None = None) -> Mesh:
        """An object of some size, in a pose it may rest in."""
        draw = self.rng.random()
        if self.room:
            mesh = self.library.mesh(self.rng)
            return mesh.moved(self._turn() * self.scale * 0.2 * self._jitter())
        if wanted or draw < 0.66 or self.tone is not None:
            mesh = household(self.library, self.rng, wanted, self.tone)
            return mesh.moved(self._turn() @ self._pose(mesh) * self.scale * self._jitter())
        mesh = self.library.mesh(self.rng)
        longest = float(mesh.size.max())
        if not 0.05 < longest < 0.35:
            longest = float(np.exp(self.rng.normal(np.log(0.17), 0.4)))
        factor = longest / max(float(mesh.size.max()), 1e-6)
        return mesh.moved(self._turn() @ self._pose(mesh) * factor * self.scale)

    def add(self, mesh: Mesh, at: np.ndarray | None = None, height: float = 0.0) -> Placement:
        """Put an object at (x, y), or where there is room in view."""
        radius = float(mesh.size[:2].mean()) / 2
        place = self._free_place(radius) if at is None else at
        placement = Placement(mesh.moved(np.eye(3), np.array([*place, height])))
        self.placed.append(placement)
        return placement

    def add_carrier(self) -> None:
        """A tray, bowl or board with things on it."""
        kind = ("tray", "tray", "bowl", "cloth", "book")[int(self.rng.integers(5))]
        carrier = self.add(self.draw_mesh(kind))
        members, floor = [carrier], carrier.top if kind == "book" else 0.008 * self.scale
        for _ in range(int(self.rng.integers(1, 5))):
            mesh = self.draw_mesh()
            room = carrier.radius * self.rng.uniform(0.25, 0.6)
            mesh = mesh.moved(
                np.eye(3) * min(1.0, 2 * room / max(float(mesh.size[:2].max()), 1e-6))
            )
            spot = carrier.centre + self.rng.uniform(-0.5, 0.5, 2) * carrier.radius
            members.append(self.add(mesh, spot, floor))
        self._join(members)

    def add_alike(self) -> None:
        """Copies of one object in a row or a heap."""
        mesh = self.draw_mesh()
        first = self.add(mesh)
        angle = self.rng.uniform(0, 6.3)
        step = np.array([np.cos(angle), np.sin(angle)]) * first.radius * self.rng.uniform(1.9, 2.4)
        members = [first]
        for k in range(1, int(self.rng.integers(2, 6))):
            jitter = self.rng.normal(0, 0.15, 2) * first.radius
            copy = mesh.moved(self._turn()) if self.rng.random() < 0.5 else mesh
            members.append(self.add(copy, first.centre + k * step + jitter))
        self._join(members)

    def add_pile(self) -> None:
        """Books, boxes or slabs on top of each other."""
        kinds = ("book", "book", "carton", "device", "cloth")
        members = [self.add(self.draw_mesh(str(self.rng.choice(kinds))))]
        for _ in range(int(self.rng.integers(1, 4))):
            below = members[-1]
            wanted = str(self.rng.choice(kinds)) if self.rng.random() < 0.7 else None
            mesh = self.draw_mesh(wanted)
            room = 2.2 * below.radius / max(float(mesh.size[:2].max()), 1e-6)
            mesh = mesh.moved(np.eye(3) * min(1.0, room))
            spot = below.centre + self.rng.normal(0, 0.12, 2) * below.radius
            members.append(self.add(mesh, spot, below.top))
        self._join(members)

    def _join(self, members: list[Placement]) -> None:
        """Make a group of them."""
        for member in members:
            member.groups.append(self.next_group)
        self.next_group += 1

    def _free_place(self, radius: float) -> np.ndarray:
        """A point (x, y) of the table in view, away from the others where possible."""
        best, widest = np.zeros(2), -np.inf
        for _ in range(TRIALS):
            spot = self._spot_in_view()
            room = min((float(np.linalg.norm(spot - p.centre)) - self.gap * (radius + p.radius)
                        for p in self.placed), default=np.inf)  # fmt: skip
            if room >= 0:
                return spot
            if room > widest:
                best, widest = spot, room
        return best

    def _spot_in_view(self) -> np.ndarray:
        """Where the ray of a random pixel, mostly near the middle, meets the table."""
        offset = self.rng.normal(0, self.spread, 2).clip(-0.48, 0.48)
        x, y = offset * [self.camera.width, self.camera.height] / self.camera.focal
        ray = np.array([x, y, 1.0]) @ self.camera.rotation
        distance = float(np.linalg.norm(self.camera.position))
        along = -self.camera.position[2] / ray[2] if ray[2] < -0.02 else np.inf
        if not 0 < along < 3.5 * distance:
            return self.rng.normal(0, 0.3, 2) * distance
        return (self.camera.position + along * ray)[:2]

    def _turn(self) -> np.ndarray:
        """A rotation about the vertical."""
        angle = self.rng.uniform(0, 2 * np.pi)
        c, s = np.cos(angle), np.sin(angle)
        return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])

    def _pose(self, mesh: Mesh) -> np.ndarray:
        """Upright, lying on its side, or leaning; as this kind of thing rests."""
        draw = self.rng.random()
        if mesh.name == "frame":
            return _tilt(self.rng.uniform(-0.35, -0.1) if draw < 0.7 else -np.pi / 2)
        if mesh.name == "book" and draw < 0.25:
            return _tilt(np.pi / 2 + self.rng.normal(0, 0.1))
        if mesh.name in LIES_OFTEN and draw < 0.25:
            return _tilt(np.pi / 2 * (1 if self.rng.random() < 0.5 else -1))
        return np.eye(3)

    def _jitter(self) -> float:
        """A factor of size."""
        return float(np.exp(self.rng.normal(0, 0.2)))


def _tilt(angle: float) -> np.ndarray:
    """A rotation about the x axis."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0, 0], [0, c, -s], [0, s, c]])
