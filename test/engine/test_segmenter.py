"""The segmenter against the reference's predictor on the same weights, and against bad input."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import pytest
import torch
from engine_cases import boxed, clicks, rectangle

from sam_ros.engine.config import EngineConfig
from sam_ros.engine.embedding import Embedding
from sam_ros.engine.hypothesis import Hypotheses, Hypothesis
from sam_ros.engine.prompt import Prompt
from sam_ros.engine.segmenter import Segmenter
from sam_ros.model import Sam

SIZE = (97, 141)
SIZES = [SIZE, (480, 640), (641, 479), (128, 128), (1, 1), (3, 501), (50, 33)]
Picture = npt.NDArray[np.uint8]
RAW = EngineConfig(min_area_px=0)  # masks as the decoder gives them


def every_kind(low: npt.NDArray[np.float32]) -> dict[str, Prompt]:
    """Prompts of every kind on a picture of SIZE; ``low`` are logits of an earlier answer."""
    box = np.array((20, 15, 90, 80), np.float32)
    return {
        "click": clicks((40, 30)),
        "background": clicks((40, 30), labels=[0]),
        "points": clicks((40, 30), (70.4, 60.7), (10, 90), labels=[1, 1, 0]),
        "two points": clicks((100, 30), (120, 50)),
        "box": boxed(20, 15, 90, 80),
        "point and box": clicks((40, 30), box=box),
        "points and box": clicks((40, 30), (60, 20), labels=[1, 0], box=box),
        "refined": clicks((40, 30), (70, 60), logits=low),
        "click and logits": clicks((40, 30), logits=low),
        "box and logits": boxed(20, 15, 90, 80, logits=low),
        "logits": Prompt(logits=low),
        "mask": Prompt(mask=rectangle(SIZE, 20, 15, 90, 80)),
        "click and mask": clicks((40, 30), mask=rectangle(SIZE, 20, 15, 90, 80)),
    }


KINDS = tuple(every_kind(np.zeros((1, 1), np.float32)))


def ask_reference(predictor: Any, prompt: Prompt, multimask: bool) -> tuple[Any, Any, Any]:
    """Masks, predicted IoU and logits of the reference, in the decoder's order."""
    masks, iou, logits = predictor.predict(
        point_coords=prompt.points if len(prompt.points) else None,
        point_labels=prompt.labels if len(prompt.points) else None,
        box=prompt.box,
        mask_input=None if prompt.logits is None else prompt.logits[None],
        multimask_output=multimask,
    )
    return masks, iou, logits


def by_iou(answer: Hypotheses) -> list[Hypothesis]:
    return sorted(answer, key=lambda item: item.predicted_iou)


def iou(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    union = (a | b).sum()
    return (a & b).sum() / union if union else 1.0


@pytest.fixture
def low(sam: Any, picture: Picture) -> npt.NDArray[np.float32]:
    """Low-resolution logits of an earlier answer."""
    segmenter = Segmenter(sam, RAW)
    return segmenter.segment(segmenter.set_image(picture), [clicks((60, 50))])[0].best.logits


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind not in ("mask", "click and mask")]
)
@pytest.mark.parametrize("multimask", [True, False, None])
def test_every_prompt_as_in_the_reference(
    sam: Any,
    predictor: Any,
    picture: Picture,
    low: npt.NDArray[np.float32],
    kind: str,
    multimask: bool | None,
) -> None:
    """On one embedding: the same logits, predicted IoU, masks and number of masks."""
    predictor.set_image(picture)
    segmenter = Segmenter(sam, EngineConfig(min_area_px=0, multimask=multimask))
    own = segmenter.set_image(picture)
    embedding = Embedding(predictor.features, own.transform)
    prompt = every_kind(low)[kind]
    (answer,) = segmenter.segment(embedding, [prompt])
    three = multimask if multimask is not None else kind in ("click", "background")
    masks, predicted_iou, logits = ask_reference(predictor, prompt, three)
    assert len(answer) == (3 if three else 1)
    for item, k in zip(by_iou(answer), np.argsort(predicted_iou), strict=True):
        assert np.abs(item.logits - logits[k]).max() < 1e-4
        assert item.predicted_iou == pytest.approx(predicted_iou[k], abs=1e-5)
        assert iou(item.mask, masks[k]) > 0.999


@pytest.mark.parametrize("size", SIZES)
def test_pictures_of_any_size_as_in_the_reference(
    sam: Any, predictor: Any, size: tuple[int, int]
) -> None:
    """From the picture to the masks, scaling included."""
    rgb = np.random.default_rng(3).integers(0, 256, (*size, 3), dtype=np.uint8)
    predictor.set_image(rgb)
    segmenter = Segmenter(sam, RAW)
    prompt = clicks((size[1] // 2, size[0] // 3))
    (answer,) = segmenter.segment(segmenter.set_image(rgb), [prompt])
    masks, predicted_iou, logits = ask_reference(predictor, prompt, multimask=True)
    for item, k in zip(by_iou(answer), np.argsort(predicted_iou), strict=True):
        assert np.abs(item.logits - logits[k]).max() < 0.02  # of about -5..5
        assert item.predicted_iou == pytest.approx(predicted_iou[k], abs=1e-3)
        assert iou(item.mask, masks[k]) > 0.99


@pytest.mark.parametrize("model", ["sam", "tiny"])
def test_a_batch_gives_the_numbers_of_each_alone(
    model: str, request: pytest.FixtureRequest, picture: Picture
) -> None:
    """Prompts of every kind, each twice and in disorder, in one call and one by one."""
    segmenter = Segmenter(request.getfixturevalue(model), EngineConfig(prompts_per_batch=5))
    embedding = segmenter.set_image(picture)
    (first,) = segmenter.segment(embedding, [clicks((60, 50))])
    prompts = list(every_kind(first.best.logits).values())
    mixed = [prompts[i] for i in np.random.default_rng(0).permutation(2 * len(prompts)) // 2]
    for together, prompt in zip(segmenter.segment(embedding, mixed), mixed, strict=True):
        (alone,) = segmenter.segment(embedding, [prompt])
        for item, expected in zip(together, alone, strict=True):
            tolerance = 1e-4 * max(1.0, float(np.abs(expected.logits).max()))
            assert np.abs(item.logits - expected.logits).max() < tolerance
            assert item.score == pytest.approx(expected.score, abs=1e-3)
            assert iou(item.mask, expected.mask) > 0.99


def test_padding_would_change_the_numbers(predictor: Any, picture: Picture) -> None:
    """Why batches are of one length: a not-a-point too many is attended to like any token."""
    predictor.set_image(picture)
    prompt = clicks((40, 30))
    padded = Prompt(
        points=np.vstack((prompt.points, np.zeros((3, 2), np.float32))),
        labels=np.array((1, -1, -1, -1), np.int32),
    )
    exact, longer = (ask_reference(predictor, p, True)[2] for p in (prompt, padded))
    assert np.abs(exact - longer).max() > 0.1


def test_what_a_hypothesis_says_of_its_mask(segmenter: Segmenter, picture: Picture) -> None:
    """Area, box, sizes, ranges and types agree with the mask."""
    (answer,) = segmenter.segment(segmenter.set_image(picture), [clicks((40, 30))])
    assert len(answer) == 3
    for item in answer:
        assert item.mask.shape == SIZE and item.mask.dtype == np.bool_
        assert item.area == item.mask.sum() > 0
        rows, columns = np.nonzero(item.mask)
        edges = (columns.min() - 0.5, rows.min() - 0.5, columns.max() + 0.5, rows.max() + 0.5)
        assert item.box.tolist() == list(edges)
        assert item.logits.shape == segmenter.sam.prompt_encoder.mask_input_size
        assert item.logits.base is None  # owns its memory, not a batch's
        assert 0 <= item.score <= 1 and 0 <= item.predicted_iou <= 1 and 0 <= item.stability <= 1


def test_masks_are_cleaned_and_the_setting_is_live(segmenter: Segmenter, picture: Picture) -> None:
    """A new config counts from the next call on."""
    embedding = segmenter.set_image(picture)
    segmenter.config = RAW
    (raw,) = segmenter.segment(embedding, [boxed(20, 15, 90, 80)])
    segmenter.config = EngineConfig(min_area_px=5000)
    (cleaned,) = segmenter.segment(embedding, [boxed(20, 15, 90, 80)])
    assert raw.best.area != cleaned.best.area > 0
    assert (raw.best.logits == cleaned.best.logits).all()


def test_a_box_over_the_edge_is_cut(segmenter: Segmenter, picture: Picture) -> None:
    """Detectors overshoot; what lies outside the picture says nothing."""
    embedding = segmenter.set_image(picture)
    over, cut = segmenter.segment(
        embedding, [boxed(-50, 15, 90, 900), boxed(-0.5, 15, 90, SIZE[0] - 0.5)]
    )
    assert np.abs(over.best.logits - cut.best.logits).max() < 1e-4


def test_many_prompts_are_decoded_in_batches(
    sam: Any, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """40 prompts are answered in order, never more at once than the setting."""
    segmenter = Segmenter(sam, EngineConfig(prompts_per_batch=16))
    embedding = segmenter.set_image(picture)
    sizes = []
    decode = sam.mask_decoder.forward

    def counting(**parts: Any) -> Any:
        sizes.append(len(parts["sparse_prompt_embeddings"]))
        return decode(**parts)

    monkeypatch.setattr(sam.mask_decoder, "forward", counting)
    points = [(5 + i % 10 * 12, 5 + i // 10 * 20) for i in range(40)]
    answers = segmenter.segment(embedding, [clicks(point) for point in points])
    assert sizes == [16, 16, 8]
    (last,) = segmenter.segment(embedding, [clicks(points[-1])])
    assert answers[-1].best.score == pytest.approx(last.best.score, abs=1e-3)


def test_no_prompts(segmenter: Segmenter, picture: Picture) -> None:
    """Nothing asked, nothing answered."""
    assert segmenter.segment(segmenter.set_image(picture), []) == []


@pytest.mark.parametrize("size", [(6000, 8000), (1, 1), (9000, 1)])
def test_pictures_of_extreme_size(segmenter: Segmenter, size: tuple[int, int]) -> None:
    """From one pixel to 48 megapixels."""
    rgb = np.full((*size, 3), 100, np.uint8)
    embedding = segmenter.set_image(rgb)
    assert embedding.size == size
    (answer,) = segmenter.segment(embedding, [boxed(-0.5, -0.5, size[1] / 2, size[0] / 2)])
    assert answer.best.mask.shape == size


@pytest.mark.parametrize(
    ("rgb", "found"),
    [
        (np.zeros((4, 4), np.uint8), r"uint8 of shape \(4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), r"uint8 of shape \(4, 4, 4\)"),
        (np.zeros((4, 4, 3), np.float32), r"float32 of shape \(4, 4, 3\)"),
    ],
    ids=["grey", "alpha", "float"],
)
def test_only_pictures_are_encoded(segmenter: Segmenter, rgb: Any, found: str) -> None:
    """The message says what came and what was expected."""
    with pytest.raises(ValueError, match=f"rgb: {found}; expected uint8 of \\(H, W, 3\\)"):
        segmenter.set_image(rgb)


def test_an_empty_picture_is_refused(segmenter: Segmenter) -> None:
    """No pixel, no embedding."""
    with pytest.raises(ValueError, match="size: 0 x 5; expected at least 1 x 1"):
        segmenter.set_image(np.zeros((0, 5, 3), np.uint8))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (clicks((500, 5)), r"points\[0\]: \(500, 5\); expected x in -0.5..140.5"),
        (Prompt(), "prompt: empty"),
        (Prompt(logits=np.zeros((7, 7), np.float32)), r"logits: shape \(7, 7\); .*\(64, 64\)"),
    ],
)
def test_a_bad_prompt_is_named_among_many(
    segmenter: Segmenter, picture: Picture, bad: Prompt, message: str
) -> None:
    """The message leads with the place of the prompt."""
    embedding = segmenter.set_image(picture)
    with pytest.raises(ValueError, match=rf"^prompts\[1\]: {message}"):
        segmenter.segment(embedding, [clicks((5, 5)), bad])


def test_no_gradient_is_kept(segmenter: Segmenter, picture: Picture) -> None:
    """An embedding in the cache holds no graph of the encoder."""
    embedding = segmenter.set_image(picture)
    assert not embedding.features.requires_grad and embedding.features.grad_fn is None


@pytest.mark.parametrize("model", ["sam", "tiny"])
def test_pictures_encoded_together_are_as_alone(
    request: pytest.FixtureRequest, picture: Picture, model: str
) -> None:
    """Of one size in one batch, others in their own; each holds its own memory alone."""
    segmenter = Segmenter(request.getfixturevalue(model))
    pictures = [picture, picture[::-1], picture[:60], picture[:, ::-1]]
    with patch.object(segmenter, "encoder", wraps=segmenter.encoder) as encoder:
        together = segmenter.set_images(pictures)
    sizes = [len(call.args[0]) for call in encoder.call_args_list]
    assert sizes == ([4] if model == "sam" else [2, 1, 1])  # the paper's model pads to a square
    for embedding, rgb in zip(together, pictures, strict=True):
        alone = segmenter.set_image(rgb)
        assert embedding.transform == alone.transform
        difference = (embedding.features - alone.features).abs().max()
        assert difference < 1e-5 * (alone.features.max() - alone.features.min())
        assert embedding.features.untyped_storage().nbytes() == embedding.nbytes


def test_a_picture_is_encoded_while_another_is_asked_about(tiny: Sam, picture: Picture) -> None:
    """With the numbers of one after the other, in both threads."""
    segmenter = Segmenter(tiny)
    other = np.ascontiguousarray(picture[:, ::-1])
    prompts = [clicks((70, 40)), clicks((30, 60))]
    embedding, expected = segmenter.set_image(picture), segmenter.set_image(other).features
    answers = segmenter.segment(embedding, prompts)
    with ThreadPoolExecutor(1) as second:
        encoded = [second.submit(segmenter.set_image, other) for _ in range(8)]
        for _ in range(4):
            for old, new in zip(answers, segmenter.segment(embedding, prompts), strict=True):
                assert [item.score for item in old] == [item.score for item in new]
                np.testing.assert_array_equal(old.best.mask, new.best.mask)
        for future in encoded:
            torch.testing.assert_close(future.result().features, expected, rtol=0, atol=0)


@pytest.mark.parametrize(("looks", "other", "share"), [(3, True, 2), (3, False, 1), (1, True, 1)])
def test_stages_that_take_equally_long_share_the_cores(
    tiny: Sam, looks: int, other: bool, share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the thread has its own number of them again afterwards."""
    monkeypatch.setattr(tiny, "looks", looks)
    monkeypatch.setattr("sam_ros.engine.segmenter.CORES", 4)
    before = torch.get_num_threads()
    with Segmenter(tiny).beside(other):
        assert torch.get_num_threads() == (4 // share if other else before)
    assert torch.get_num_threads() == before


def test_a_twin_has_settings_of_its_own(segmenter: Segmenter, picture: Picture) -> None:
    """All else is the same, so that one's embedding is the other's."""
    twin = segmenter.twin(EngineConfig(multimask=True))
    assert twin.encoder is segmenter.encoder and segmenter.config.multimask is None
    box = boxed(20, 15, 90, 80)
    embedding = segmenter.set_image(picture)
    assert [len(x.segment(embedding, [box])[0]) for x in (segmenter, twin)] == [1, 3]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_gpu_gives_the_same_masks(sam: Any, picture: Picture) -> None:
    """The device is the model's; what comes back is numpy."""
    prompts = [
        clicks((40, 30)),
        boxed(20, 15, 90, 80),
        Prompt(mask=rectangle(SIZE, 20, 15, 90, 80)),
    ]
    answers = []
    try:
        for device in ("cpu", "cuda"):
            segmenter = Segmenter(sam.to(device), RAW)
            answers.append(segmenter.segment(segmenter.set_image(picture), prompts))
    finally:
        sam.to("cpu")
    for expected, answer in zip(*answers, strict=True):
        for a, b in zip(by_iou(expected), by_iou(answer), strict=True):
            assert iou(a.mask, b.mask) > 0.99
