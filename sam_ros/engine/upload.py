"""Between the memory of the system and that of the model's device, without waiting for either.

A GPU copies by itself, while others compute, from and to memory that the system may not move.
torch keeps such memory for the next copies, and gives it out again only when the copy at hand is
done; so frame after frame goes through the same few buffers.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def upload(pixels: npt.NDArray[np.uint8], device: torch.device) -> Tensor:
    """A picture on the device; on a CPU its own memory where torch can read it.

    Args:
        pixels: (H, W, 3) uint8, in any layout.
        device: of the model.
    """
    if device.type == "cpu":  # only views of message buffers and of reversed channels are copied
        return torch.from_numpy(np.require(pixels, requirements=("C", "W")))
    fixed = torch.empty(pixels.shape, dtype=torch.uint8, pin_memory=True)
    np.copyto(fixed.numpy(), pixels)
    return fixed.to(device, non_blocking=True)


def send(x: Tensor, device: torch.device) -> Tensor:
    """A small tensor of the CPU on the device."""
    return x if device.type == "cpu" else x.pin_memory().to(device, non_blocking=True)


def fetch(x: Tensor) -> Tensor:
    """A tensor of the device on the CPU, which is to be read after a later wait for the device."""
    return x.to("cpu", non_blocking=True)
