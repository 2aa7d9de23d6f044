"""Everything mode finds what the reference's mask generator finds, with the same weights."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from reference_everything import AsReference, generate, same

from sam_ros.engine.everything import (
    Cancelled,
    EverythingConfig,
    everything_steps,
    segment_everything,
)
from sam_ros.engine.hypothesis import Hypothesis
from sam_ros.engine.segmenter import Segmenter
from sam_ros.model import Sam, build_sam
from sam_ros.model.build import SamConfig, ViTConfig, _image_encoder
from sam_ros.model.mask_decoder import MaskDecoder
from sam_ros.model.prompt_encoder import PromptEncoder
from sam_ros.model.transformer import TwoWayTransformer
from sam_ros.resources import find_resource

Picture = npt.NDArray[np.uint8]

ALL = EverythingConfig(
    points_per_side=8,
    pred_iou_thresh=0,
    stability_score_thresh=0,
    stability_score_offset=0.25,
    box_nms_thresh=1,
)
SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "uneven batches": {"points_per_batch": 7},
    "box nms": {"box_nms_thresh": 0.7, "stability_score_thresh": 0.0},
    "no filters": {
        "pred_iou_thresh": 0.0,
        "stability_score_thresh": 0.0,
        "points_per_side": 6,
    },
    "small regions": {"min_mask_region_area": 25},
    "crops": {
        "crop_n_layers": 1,
        "crop_n_points_downscale_factor": 2,
        "crop_nms_thresh": 0.9,
        "stability_score_thresh": 0.0,
    },
    "crops and regions": {
        "crop_n_layers": 2,
        "points_per_side": 4,
        "min_mask_region_area": 9,
        "stability_score_thresh": 0.0,
        "box_nms_thresh": 0.9,
    },
}


@pytest.fixture(scope="module")
def pair(sam: Any) -> tuple[Any, Segmenter]:
    """The reference's model, and ours with its weights; logits above 1 make masks of all sizes."""
    theirs = copy.deepcopy(sam)
    width, cells, image_size = 32, (16, 16), 128
    encoder = _image_encoder(SamConfig(ViTConfig(width, 2, 2, (1,), 5), image_size, 8, width))
    decoder = MaskDecoder(width, TwoWayTransformer(2, width, 2, 64))
    ours = Sam(encoder, PromptEncoder(width, cells, (128, 128), 8), decoder, image_size).eval()
    ours.load_state_dict(theirs.state_dict())
    theirs.mask_threshold = ours.mask_threshold = 1.0
    return theirs, Segmenter(ours)


@pytest.fixture(scope="module")
def sharp() -> Picture:
    """96 x 128 px, the size of the encoder's input, so that scaling rounds nothing."""
    noise = np.random.default_rng(3).uniform(0, 255, (6, 8, 3)).astype(np.float32)
    return (
        cv2.resize(noise, (128, 96), interpolation=cv2.INTER_CUBIC).clip(0, 255).astype(np.uint8)
    )


@pytest.fixture(scope="module")
def thresholds(pair: Any, sharp: Picture) -> dict[str, float]:
    """Such that the filters take away some masks and leave many."""
    return _thresholds(segment_everything(pair[1], sharp, ALL))


def coffee(width: int) -> Picture:
    """A sample picture, 3 to 2."""
    bgr = cv2.imread(str(find_resource("samples", "coffee.jpg")))
    return cv2.resize(bgr, (width, width * 2 // 3))[..., ::-1].copy()


def _thresholds(found: Sequence[Hypothesis]) -> dict[str, float]:
    quality = [item.predicted_iou for item in found if item.area]
    stability = [item.stability for item in found if item.area]
    return {
        "pred_iou_thresh": float(np.quantile(quality, 0.4)),
        "stability_score_thresh": float(np.quantile(stability, 0.3)),
        "stability_score_offset": ALL.stability_score_offset,
    }


def assert_equal(ours: Sequence[Hypothesis], theirs: Sequence[dict[str, Any]]) -> None:
    """Each of theirs has one of ours with an IoU above 0.99 and the same figures."""
    assert len(ours) == len(theirs)
    left = list(ours)
    for record in theirs:
        alike = [item for item in left if same(item.mask, record["segmentation"]) > 0.99]
        assert alike, "a mask of theirs that we have not found"
        figures = np.array(_figures(record))
        gaps = [np.abs(figures - (item.predicted_iou, item.stability)).max() for item in alike]
        assert min(gaps) < 2e-3, f"{figures} is none of ours"
        left.remove(alike[int(np.argmin(gaps))])


def _figures(record: dict[str, Any]) -> tuple[float, float]:
    stability = np.nan_to_num(record["stability_score"])  # 0 / 0 where the mask is empty
    return float(np.clip(record["predicted_iou"], 0, 1)), float(stability)


@pytest.mark.parametrize("name", SETTINGS)
def test_equal_to_the_reference(
    name: str, pair: Any, sharp: Picture, thresholds: dict[str, float], reference: Any
) -> None:
    settings = {"points_per_side": 8, "box_nms_thresh": 1.0, **thresholds, **SETTINGS[name]}
    theirs = generate(reference, pair[0], sharp, **settings)
    assert len(theirs) >= 12, "too few masks to prove anything"
    assert_equal(segment_everything(pair[1], sharp, EverythingConfig(**settings)), theirs)


@pytest.mark.parametrize(
    "changed",
    [
        {"pred_iou_thresh": 0.0}, {"stability_score_thresh": 0.0}, {"box_nms_thresh": 0.9},
        {"stability_score_offset": 0.5}, {"points_per_side": 7},
    ],
    ids=lambda changed: next(iter(changed)),
)  # fmt: skip
def test_every_setting_makes_a_difference(
    changed: dict[str, Any], pair: Any, sharp: Picture, thresholds: dict[str, float]
) -> None:
    """So that the comparison above would notice a filter that does nothing."""
    config = EverythingConfig(points_per_side=8, box_nms_thresh=1, **thresholds)
    before = segment_everything(pair[1], sharp, config)
    after = segment_everything(pair[1], sharp, replace(config, **changed))
    figures = [[(item.area, item.stability) for item in found] for found in (before, after)]
    assert figures[0] != figures[1]


@pytest.mark.parametrize("settings", [{}, {"crop_n_layers": 1, "points_per_side": 4}])
def test_equal_to_the_reference_with_the_embedded_model(
    settings: dict[str, Any], reference: Any
) -> None:
    """At the size of the model's input, with thresholds from what it makes of the picture."""
    model = build_sam("sam_tiny")
    rgb = coffee(model.image_size)
    segmenter = Segmenter(model)
    wanted = _thresholds(segment_everything(segmenter, rgb, replace(ALL, points_per_side=4)))
    settings = {"points_per_side": 6, "points_per_batch": 30, **wanted, **settings}
    theirs = generate(reference, AsReference(model, reference), rgb, **settings)
    assert len(theirs) >= 8
    assert_equal(segment_everything(segmenter, rgb, EverythingConfig(**settings)), theirs)


@pytest.mark.slow
def test_equal_to_the_reference_with_vit_b(reference: Any) -> None:
    model = build_sam("sam_vit_b")
    theirs = reference.sam_model_registry["vit_b"]()
    theirs.load_state_dict(model.state_dict())
    rgb = coffee(1024)
    segmenter = Segmenter(model)
    settings = {"points_per_side": 4, "box_nms_thresh": 1.0}
    everything = replace(ALL, points_per_side=4)
    settings |= _thresholds(segment_everything(segmenter, rgb, everything))
    found = generate(reference, theirs.eval(), rgb, **settings)
    assert len(found) >= 6
    assert_equal(segment_everything(segmenter, rgb, EverythingConfig(**settings)), found)


def test_masks_are_measured_sorted_and_nested(pair: Any, sharp: Picture) -> None:
    found = segment_everything(pair[1], sharp, ALL)
    scores = [item.score for item in found]
    assert scores == sorted(scores, reverse=True) and min(scores) >= 0 and max(scores) <= 1
    for item in found:
        assert item.mask.shape == sharp.shape[:2] and item.area == np.count_nonzero(item.mask)
        assert item.logits.shape == pair[1].sam.prompt_encoder.mask_input_size
        if item.parent >= 0:
            outer = found[item.parent]
            assert outer.area > item.area
            assert np.count_nonzero(outer.mask & item.mask) >= 0.95 * item.area


def test_logits_of_crops_are_a_mask_prompt_of_the_whole_picture(pair: Any, sharp: Picture) -> None:
    config = replace(ALL, crop_n_layers=1, box_nms_thresh=0.7)
    for item in segment_everything(pair[1], sharp, config):
        if item.area < 400:
            continue
        low = cv2.resize(item.logits[:48], (128, 96)) > pair[1].sam.mask_threshold
        assert same(low, item.mask) > 0.5


def test_mask_nms_leaves_no_two_masks_alike(pair: Any, sharp: Picture) -> None:
    plain = segment_everything(pair[1], sharp, ALL)
    found = segment_everything(pair[1], sharp, replace(ALL, mask_nms_thresh=0.6))
    assert 1 < len(found) < len(plain)
    pairs = [(a, b) for i, a in enumerate(found) for b in found[:i] if a.area]
    assert all(same(a.mask, b.mask) <= 0.6 for a, b in pairs)


def test_small_masks_are_dropped(pair: Any, sharp: Picture) -> None:
    areas = [item.area for item in segment_everything(pair[1], sharp, ALL)]
    least = int(np.median(areas))
    config = replace(ALL, min_mask_area=least)
    left = [item.area for item in segment_everything(pair[1], sharp, config)]
    assert sorted(left) == sorted(area for area in areas if area >= least)


def test_an_embedding_that_is_there_is_not_made_again(pair: Any, sharp: Picture) -> None:
    segmenter, calls = pair[1], 0

    class Counting(Segmenter):
        def set_image(self, rgb: Picture) -> Any:
            nonlocal calls
            calls += 1
            return super().set_image(rgb)

    list(everything_steps(Counting(segmenter.sam), sharp, ALL, segmenter.set_image(sharp)))
    assert calls == 0
    list(everything_steps(Counting(segmenter.sam), sharp, ALL))
    assert calls == 1


def test_progress_rises_to_one(pair: Any, sharp: Picture) -> None:
    seen: list[float] = []
    config = replace(ALL, points_per_batch=20, crop_n_layers=1)
    segment_everything(pair[1], sharp, config, on_progress=seen.append)
    assert seen == sorted(seen) and seen[0] == 0 and seen[-1] == 1
    assert len(seen) == 5 * (1 + 4)  # five crops of 64 clicks, and an encoding each


def test_cancelling_takes_effect_after_one_batch(pair: Any, sharp: Picture) -> None:
    seen: list[float] = []
    with pytest.raises(Cancelled):
        segment_everything(
            pair[1], sharp, replace(ALL, points_per_batch=8), seen.append, lambda: len(seen) > 2
        )
    assert len(seen) == 3


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (2, 2), (5, 3)])
def test_tiny_pictures(size: tuple[int, int], tiny: Sam) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (*size, 3)).astype(np.uint8)
    config = replace(ALL, points_per_side=2, crop_n_layers=2, min_mask_region_area=3)
    for item in segment_everything(Segmenter(tiny), rgb, config):
        assert item.mask.shape == size


@pytest.mark.parametrize(
    "setting",
    [
        {"points_per_side": 0}, {"points_per_batch": 0}, {"pred_iou_thresh": 1.1},
        {"pred_iou_thresh": float("nan")}, {"stability_score_thresh": -0.1},
        {"box_nms_thresh": 2.0}, {"mask_nms_thresh": -1.0}, {"crop_nms_thresh": 1.5},
        {"stability_score_offset": 0.0}, {"crop_n_layers": -1}, {"crop_overlap_ratio": 1.5},
        {"crop_n_points_downscale_factor": 0}, {"min_mask_region_area": -1}, {"min_mask_area": -1},
    ],
    ids=lambda setting: next(iter(setting)),
)  # fmt: skip
def test_settings_out_of_range_are_named(setting: dict[str, Any]) -> None:
    name = next(iter(setting))
    with pytest.raises(ValueError, match=f"{name}: .*expected"):
        EverythingConfig(**setting)


def test_what_is_no_picture_is_refused(tiny: Sam) -> None:
    with pytest.raises(ValueError, match="rgb"):
        segment_everything(Segmenter(tiny), np.zeros((4, 4), np.uint8), ALL)


@pytest.mark.parametrize("name", ["pair", "tiny"])
def test_a_decoder_in_another_precision(
    name: str, sharp: Picture, request: pytest.FixtureRequest
) -> None:
    """As on a GPU, where it is bfloat16; in double precision nothing but the casting shows."""
    given = request.getfixturevalue(name)
    sam = copy.deepcopy(given[1].sam if name == "pair" else given)
    expected = segment_everything(Segmenter(sam), sharp, ALL)
    sam.mask_decoder.to(torch.float64)
    found = segment_everything(Segmenter(sam), sharp, ALL)
    assert len(found) == len(expected)
    for item in found[:10]:
        assert max(same(item.mask, other.mask) for other in expected) > 0.99


def test_no_mask_is_good_enough(tiny: Sam, sharp: Picture) -> None:
    """A threshold that nothing reaches is an answer without masks, of the small model too."""
    config = EverythingConfig(points_per_side=4, pred_iou_thresh=1.0)
    assert segment_everything(Segmenter(tiny), sharp, config) == []
