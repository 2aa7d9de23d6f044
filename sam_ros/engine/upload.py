"""Pictures on their way to the model's device."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

BUFFERS = 3  # a frame is on its way while the next one is written


class Upload:
    """Takes pictures to a device; on the way to a GPU nobody waits for them.

    The GPU fetches them by itself from memory that the system may not move, of which there is
    a ring: writing waits for what was sent that many pictures ago.

    Args:
        device: of the model.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._ring = [_Buffer() for _ in range(BUFFERS)] if device.type == "cuda" else []

    def __call__(self, rgb: npt.NDArray[np.uint8]) -> Tensor:
        """The picture (H, W, 3) uint8 on the device; on a CPU its own memory where torch can.

        Args:
            rgb: (H, W, 3) uint8.
        """
        # Only views of message buffers and of reversed channels are copied.
        pixels = torch.from_numpy(np.require(rgb, requirements=("C", "W")))
        if not self._ring:
            return pixels
        self._ring.append(self._ring.pop(0))
        return self._ring[-1].send(pixels, self._device)


class _Buffer:
    """Pinned memory for one picture."""

    def __init__(self) -> None:
        self._memory = torch.empty(0, dtype=torch.uint8)
        self._sent: torch.cuda.Event | None = None

    def send(self, pixels: Tensor, device: torch.device) -> Tensor:
        if self._sent is not None:
            self._sent.synchronize()
        if self._memory.numel() < pixels.numel():
            self._memory = torch.empty(pixels.numel(), dtype=torch.uint8, pin_memory=True)
        own = self._memory[: pixels.numel()].view(pixels.shape)
        own.copy_(pixels)
        sent = own.to(device, non_blocking=True)
        self._sent = torch.cuda.Event()
        self._sent.record()
        return sent
