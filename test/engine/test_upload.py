"""Pictures come to the device as they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from sam_ros.engine import upload
from sam_ros.engine.upload import Upload

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def picture(*size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def test_a_cpu_reads_the_pictures_own_memory() -> None:
    rgb = picture(4, 5)
    assert torch.from_numpy(rgb).data_ptr() == Upload(torch.device("cpu"))(rgb).data_ptr()


def test_views_are_taken_without_complaint(recwarn: pytest.WarningsRecorder) -> None:
    """BGR seen as RGB has a negative stride, and a message's buffer may be read-only."""
    rgb = picture(40, 60)
    frozen = np.frombuffer(rgb.tobytes(), np.uint8).reshape(rgb.shape)
    take = Upload(torch.device("cpu"))
    assert (take(frozen).numpy() == rgb).all()
    assert (take(rgb[..., ::-1]).numpy() == rgb[..., ::-1]).all()
    assert not recwarn.list


@GPU
def test_no_picture_overtakes_another() -> None:
    """More of them than there are buffers, of several sizes, before any is looked at."""
    take = Upload(torch.device("cuda"))
    pictures = [picture(480 + 50 * (i % 3), 640, seed=i) for i in range(4 * upload.BUFFERS)]
    for sent, rgb in zip([take(rgb) for rgb in pictures], pictures, strict=True):
        assert (sent.cpu().numpy() == rgb).all()
