"""Samples, prompts and losses of the trainer: what a model is taught must be right."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sam_ros.model.layers import crop
from sam_ros.model.tiny import build_sam_tiny
from training.losses import affinity_loss, mask_loss, true_iou
from training.rounds import (
    correction,
    decode,
    first_prompts,
    roughen,
    spread,
    with_corrections,
)
from training.samples import Recipe, Samples, click, collate, make_sample, noisy_box
from training.scene import OBJECT, PART, Mask, Scene, save_shard
from training.train import normalise


@pytest.fixture(scope="module")
def scene() -> Scene:
    """A red disc with a blue square in it, on grey."""
    image = np.full((192, 256, 3), 120, np.uint8)
    ids = np.zeros((192, 256), np.uint8)
    cv2.circle(ids, (120, 100), 60, 1, -1)
    ids[90:120, 100:140] = 2
    image[ids == 1], image[ids == 2] = (200, 30, 30), (30, 30, 200)
    masks = [Mask((1, 2), OBJECT, "test/disc", "disc"), Mask((2,), PART, "test/square")]
    return Scene.encode(image, ids, masks, quality=95, origin="test")


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), augment=st.booleans())
def test_prompts_point_at_their_masks(scene: Scene, seed: int, augment: bool) -> None:
    """Every click lies in its mask, every box is ordered and meets it, after any augmentation."""
    sample = make_sample(scene, Recipe(128, 4, 2, augment), np.random.default_rng(seed))
    if sample is None:
        return
    height, width = sample.size.tolist()
    assert max(height, width) == 128
    for target, box, (x, y) in zip(sample.targets, sample.boxes, sample.clicks, strict=True):
        assert 0 <= x < width and 0 <= y < height
        assert target[int(y) // 4, int(x) // 4] > 0
        x0, y0, x1, y1 = box.tolist()
        assert x0 <= x1 and y0 <= y1
        ys, xs = np.nonzero(target.numpy())
        assert x0 / 4 <= xs.max() + 1 and x1 / 4 >= xs.min()
        assert y0 / 4 <= ys.max() + 1 and y1 / 4 >= ys.min()


def test_a_sample_depends_on_its_seed_alone(scene: Scene) -> None:
    """The same seed gives the same tensors, another one others."""
    first, again, other = (
        make_sample(scene, Recipe(128, 4, 2), np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    assert torch.equal(first.image, again.image)
    assert torch.equal(first.clicks, again.clicks)
    assert not torch.equal(first.image, other.image)


def test_normalised_as_the_engine_does(scene: Scene) -> None:
    """The trainer's input equals the model's own preprocessing, padding included."""
    sam = build_sam_tiny(128)
    sample = collate([make_sample(scene, Recipe(128, 4, 2, False), np.random.default_rng(0))])
    height, width = sample.size[0].tolist()
    expected = sam.preprocess(sample.image[..., :height, :width].float())
    torch.testing.assert_close(normalise(sam, sample), expected)


def test_box_noise_is_bounded() -> None:
    """A noisy box leaves its mask by no more than a fifth of the side, nor the picture at all."""
    mask = np.zeros((100, 100), bool)
    mask[20:60, 30:99] = True
    rng = np.random.default_rng(0)
    boxes = np.stack([noisy_box(mask, rng) for _ in range(200)])
    assert np.abs(boxes - [30, 20, 98, 59]).max() <= 2.0 + 1e-6  # 2 % of the picture is less
    assert boxes.min() >= 0 and boxes.max() <= 99
    assert boxes.std(0).min() > 0.3


def test_clicks_cover_the_mask() -> None:
    """Clicks are not all in one place."""
    mask = np.zeros((64, 64), bool)
    mask[10:50, 10:50] = True
    rng = np.random.default_rng(0)
    clicks = np.stack([click(mask, rng) for _ in range(200)])
    assert clicks.min() >= 10 and clicks.max() < 50
    assert clicks.std(0).min() > 5


def test_focal_and_dice_are_the_papers_with_even_classes() -> None:
    """The losses equal their formulas, written out in numpy."""
    torch.manual_seed(0)
    logits, target = torch.randn(2, 3, 8, 8), (torch.rand(2, 8, 8) > 0.5).float()
    p, t = torch.sigmoid(logits).numpy(), target.numpy()[:, None]
    p_true = np.where(t == 1, p, 1 - p)
    entropy = -np.log(p_true)
    focal = (0.5 * (1 - p_true) ** 2 * entropy).mean((2, 3))
    dice = 1 - (2 * (p * t).sum((2, 3)) + 1) / (p.sum((2, 3)) + t.sum((2, 3)) + 1)
    np.testing.assert_allclose(mask_loss(logits, target, 1.0), 20 * focal + dice, rtol=1e-4)
    bce = entropy.mean((2, 3))
    np.testing.assert_allclose(mask_loss(logits, target, 0.0), 4 * bce + dice, rtol=1e-4)


def test_true_iou() -> None:
    """Half of a square is an IoU of one half."""
    target = torch.zeros(1, 8, 8)
    target[:, :4] = 1
    logits = torch.full((1, 2, 8, 8), -5.0)
    logits[0, 0, :2] = 5
    logits[0, 1, :4] = 5
    assert true_iou(logits, target).tolist() == [[0.5, 1.0]]


def test_affinity_loss_prefers_an_embedding_that_tells_objects_apart() -> None:
    """It is small when inside and outside differ, large when all cells are alike."""
    targets = torch.zeros(1, 1, 32, 32)
    targets[..., :16, :] = 1
    apart = torch.zeros(1, 4, 8, 8)
    apart[:, 0, :4], apart[:, 1, 4:] = 1, 1
    assert affinity_loss(apart, targets) < 0.05
    assert affinity_loss(torch.ones(1, 4, 8, 8), targets) > 1


@settings(max_examples=30)
@given(seed=st.integers(0, 1000))
def test_corrections_fall_into_the_error(seed: int) -> None:
    """A correction's cell is wrong in the answer, and its label says what it should be."""
    torch.manual_seed(seed)
    answer, target = torch.rand(5, 16, 16) > 0.5, torch.rand(5, 16, 16) > 0.5
    coords, labels = correction(answer, target)
    cells = ((coords + 0.5) / 4 - 0.5).long()
    for i, (x, y) in enumerate(cells):
        assert answer[i, y, x] != target[i, y, x]
        assert bool(labels[i]) == bool(target[i, y, x])


def test_rough_masks_keep_to_their_object() -> None:
    """A rough mask overlaps its target well, and is not the target itself."""
    torch.manual_seed(0)
    targets = torch.zeros(20, 64, 64)
    targets[:, 20:40, 16:50] = 1
    rough = roughen(targets)[:, 0] > 0
    overlap = true_iou(torch.where(rough, 8.0, -8.0)[:, None], targets)
    assert overlap.min() > 0.5
    assert overlap.min() < 1


@torch.no_grad()
def test_boxes_and_clicks_decode_in_one_batch(scene: Scene) -> None:
    """A batch of boxes and clicks answers as each of its prompts alone, with corrections too."""
    torch.manual_seed(0)
    sam = build_sam_tiny(128).eval()
    recipe = Recipe(128, 4, 2, False)
    sample = collate([make_sample(scene, recipe, np.random.default_rng(i)) for i in (1, 2)])
    embedding = sam.image_encoder(normalise(sam, sample))
    prompts = first_prompts(sample, 2)
    logits, _ = decode(sam, embedding, prompts)
    assert logits.shape == (8, 4, *sample.targets.shape[2:])
    prompts = with_corrections(prompts, logits[:, :1], click=True)
    corrected, iou = decode(sam, embedding, prompts)

    whole = spread(sam, logits[:, :1])
    points = (prompts.coords[2:3, 1:], prompts.labels[2:3, 1:])  # first box of the second picture
    by_box = sam.prompt_encoder(points, prompts.boxes[2:3], whole[2:3])
    points = (prompts.coords[7:], prompts.labels[7:])  # last click of the second picture
    by_click = sam.prompt_encoder(points, None, whole[7:])
    pe = sam.prompt_encoder.get_dense_pe()
    for row, encoded in ((2, by_box), (7, by_click)):
        mask, score = sam.mask_decoder(embedding[1:], pe, *encoded, False)
        torch.testing.assert_close(
            corrected[row, :1], crop(mask, corrected)[0], atol=1e-4, rtol=1e-4
        )
        torch.testing.assert_close(iou[row, :1], score[0], atol=1e-4, rtol=1e-4)


def test_a_batch_holds_pictures_of_one_orientation(tmp_path: Path, scene: Scene) -> None:
    """Upright and wide pictures wait for others of their kind; padding stays small."""
    tall = Scene.encode(
        np.ascontiguousarray(scene.image().swapaxes(0, 1)),
        np.ascontiguousarray(scene.ids().T),
        list(scene.masks), quality=95, origin="test",
    )  # fmt: skip
    save_shard(tmp_path / "shard-00000.npz", [scene, tall])
    batches = iter(Samples(tmp_path, Recipe(128, 4, 2, False), 2, seed=0))
    for _ in range(4):
        sizes = next(batches).size
        assert len(set((sizes[:, 0] > sizes[:, 1]).tolist())) == 1
