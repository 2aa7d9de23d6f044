"""Pictures come to the device as they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sam_ros.engine.upload import fetch, send, upload

CPU = torch.device("cpu")
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def picture(*size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def test_a_cpu_reads_the_pictures_own_memory() -> None:
    rgb = picture(4, 5)
    assert torch.from_numpy(rgb).data_ptr() == upload(rgb, CPU).data_ptr()


def test_views_are_taken_without_complaint(recwarn: pytest.WarningsRecorder) -> None:
    """BGR seen as RGB has a negative stride, and a message's buffer may be read-only."""
    rgb = picture(40, 60)
    frozen = np.frombuffer(rgb.tobytes(), np.uint8).reshape(rgb.shape)
    assert (upload(frozen, CPU).numpy() == rgb).all()
    assert (upload(rgb[..., ::-1], CPU).numpy() == rgb[..., ::-1]).all()
    assert not recwarn.list


def test_on_a_cpu_nothing_is_copied_back_and_forth() -> None:
    x = torch.ones(3)
    assert send(x, CPU) is x and fetch(x) is x


@GPU
def test_no_picture_overtakes_another() -> None:
    """Of several sizes and layouts, all on their way before any is looked at."""
    pictures = [picture(480 + 50 * (i % 3), 640, seed=i)[..., ::-1] for i in range(12)]
    sent = [upload(rgb, torch.device("cuda")) for rgb in pictures]
    back = [fetch(x) for x in sent]
    torch.cuda.synchronize()
    for x, rgb in zip(back, pictures, strict=True):
        assert (x.numpy() == rgb).all()
