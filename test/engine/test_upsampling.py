"""One pass gives the reference's two, whatever the window and the bands."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from sam_ros.engine import upsampling
from sam_ros.engine.transform import Transform
from sam_ros.engine.upsampling import Patch, Upsampler

SIZES = [(97, 141), (480, 640), (641, 479), (1, 1), (3, 501), (501, 3), (128, 128), (1080, 1920)]


def smooth_logits(seed: int, count: int = 3, cells: int = 64) -> Tensor:
    """(count, cells, cells) of some hills and valleys, -6..6."""
    coarse = torch.randn(1, count, 7, 7, generator=torch.Generator().manual_seed(seed)) * 3
    return F.interpolate(coarse, (cells, cells), mode="bicubic")[0]


def upsample(logits: Tensor, transform: Transform, *levels: float) -> list[Patch]:
    return list(Upsampler(transform, logits.shape[1:], logits.device)(logits, *levels))


def in_two_steps(logits: Tensor, transform: Transform) -> Tensor:
    """The paper's two scalings, written plainly."""
    square = (transform.image_size,) * 2
    height, width = transform.input_size
    x = F.interpolate(logits[None], square, mode="bilinear", align_corners=False)
    x = x[..., :height, :width]
    return F.interpolate(x, transform.size, mode="bilinear", align_corners=False)[0]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("image_size", [128, 256, 64, 1024])
def test_masks_equal_the_two_scalings(size: tuple[int, int], image_size: int) -> None:
    """Every pixel whose logit is not within rounding of the threshold."""
    transform = Transform(size, image_size)
    logits = smooth_logits(seed=image_size)
    expected = in_two_steps(logits, transform)
    for patch, values in zip(upsample(logits, transform), expected, strict=True):
        clear = values.abs().numpy() > 1e-4
        assert (patch.full(size) == (values > 0).numpy())[clear].all()


@pytest.mark.parametrize("place", [(0, 0), (63, 63), (30, 41), (0, 63), (47, 20)])
@pytest.mark.parametrize("size", [(480, 640), (31, 17), (601, 600)])
def test_the_window_of_a_small_mask_misses_nothing(
    place: tuple[int, int], size: tuple[int, int]
) -> None:
    """One hot cell anywhere, in the padding and at the edges too."""
    logits = torch.full((1, 64, 64), -3.0)
    logits[0, place[0], place[1]] = 20.0
    transform = Transform(size, 256)
    (patch,) = upsample(logits, transform)
    expected = in_two_steps(logits, transform)[0]
    clear = expected.abs().numpy() > 1e-4
    assert (patch.full(size) == (expected > 0).numpy())[clear].all()
    assert max(patch.mask.shape) <= 5 * max(size) / 64 + 2  # two cells to each side


def test_stability_is_the_references(reference: Any) -> None:
    """Counted at the original resolution, as the reference's mask generator does."""
    transform, logits = Transform((97, 141), 256), smooth_logits(seed=2, count=6)
    expected = reference.utils.amg.calculate_stability_score(
        in_two_steps(logits, transform), mask_threshold=0.0, threshold_offset=1.0
    )
    stability = [patch.stability for patch in upsample(logits, transform, 0.0, 1.0)]
    assert stability == pytest.approx(expected.tolist(), abs=1e-3)


def test_threshold_and_offset_are_used() -> None:
    """A wider offset is harder to pass; a higher threshold leaves a smaller mask."""
    transform, logits = Transform((97, 141), 256), smooth_logits(seed=2, count=1)
    (patch,), (strict,) = upsample(logits, transform), upsample(logits, transform, 0.0, 2.0)
    assert strict.stability < patch.stability
    (higher,) = upsample(logits, transform, 1.5)
    assert 0 < higher.mask.sum() < patch.mask.sum()


def test_bands_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows of pixels go through at once."""
    transform, logits = Transform((97, 141), 256), smooth_logits(seed=4)
    whole = upsample(logits, transform)
    monkeypatch.setattr(upsampling, "BAND", 141 * 10)
    monkeypatch.setattr(upsampling, "STRIP", 50)
    for patch, expected in zip(upsample(logits, transform), whole, strict=True):
        assert (patch.mask == expected.mask).all()
        assert patch.stability == expected.stability


@pytest.mark.parametrize("value", [-50.0, 50.0], ids=["empty", "full"])
def test_empty_and_full_masks(value: float) -> None:
    """An empty mask has no stability, a full one all of it."""
    (patch,) = upsample(torch.full((1, 64, 64), value), Transform((40, 30), 256))
    full = value > 0
    assert patch.full((40, 30)).all() == full and patch.full((40, 30)).any() == full
    assert patch.stability == (1.0 if full else 0.0)


def test_half_precision_logits() -> None:
    """Logits of a half-precision model are scaled in single precision."""
    transform, logits = Transform((480, 640), 256), smooth_logits(seed=1).half()
    expected = upsample(logits.float(), transform)
    for patch, other in zip(upsample(logits, transform), expected, strict=True):
        assert (patch.mask == other.mask).all()


@pytest.mark.parametrize("size", SIZES)
def test_the_way_of_a_gpu(size: tuple[int, int]) -> None:
    """Computed here on the CPU: the same masks, by way of their run lengths."""
    transform = Transform(size, 256)
    logits = torch.cat((smooth_logits(seed=3), torch.full((1, 64, 64), -9.0)))
    upsampler = Upsampler(transform, (64, 64), logits.device)
    windows = upsampler(logits, 0.5, 1.0)
    for patch, expected in zip(upsampler.whole(logits, 0.5, 1.5, -0.5), windows, strict=True):
        differ = patch.full(size) != expected.full(size)
        assert differ.sum() <= 1e-5 * differ.size  # a logit within rounding of the threshold
        assert patch.stability == pytest.approx(expected.stability, abs=1e-3)


def test_the_way_of_a_gpu_keeps_to_the_columns_of_the_mask() -> None:
    """Nothing else is decoded; also of masks at the first and at the last pixel."""
    transform = Transform((40, 60), 64)
    logits = torch.full((3, 64, 64), -9.0)
    logits[0, 10:20, 30:35] = 9
    logits[1, 0, 0] = 90
    logits[2, 42, 63] = 90
    upsampler = Upsampler(transform, (64, 64), logits.device)
    inside, first, last = upsampler.whole(logits, 0.0, 1.0, -1.0)
    assert inside.mask.shape[1] < 8 and inside.x > 20
    assert first.x == 0 and first.mask[0, 0] and first.mask.shape[1] < 5
    assert last.x > 55 and last.mask[-1, -1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Masks that do not fit into its memory together too."""
    transform, logits = Transform((480, 640), 256), smooth_logits(seed=3)
    monkeypatch.setattr(upsampling, "TOGETHER", 2 * 480 * 640)
    for patch, expected in zip(
        upsample(logits.cuda(), transform), upsample(logits, transform), strict=True
    ):
        differ = patch.full((480, 640)) != expected.full((480, 640))
        assert differ.sum() <= 1e-4 * differ.size
