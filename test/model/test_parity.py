"""The same weights give the same numbers as the reference implementations.

Every variant reads a state dict that the reference wrote, with every weight random (conftest.py),
and is compared in float32 on the CPU: embedding, low-resolution logits and predicted IoU.

What is covered by default, to keep the time and the memory of a test run bounded:

* ``mobile_sam``: all of it at 1024 px, loaded by ``build_sam`` from a file.
* The others: full width, depth, heads and windows, but ``sam_vit_b`` at 512 px and the larger ones
  at 256 px: there are 32 x 32 or 16 x 16 cells, so that windows of 14 are padded, and position
  tables are that much smaller. Names and shapes are compared at 1024 px.

``pytest -m slow`` runs these three at 1024 px from a file as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from sam_ros.model import Sam, build_sam
from sam_ros.model.build import CONFIGS, assemble

TOLERANCE = 1e-4
FULL = [("mobile_sam", 1024)]
REDUCED = [("sam_vit_b", 512), ("sam_vit_l", 256), ("sam_vit_h", 256)]
SLOW = [pytest.param((name, 1024), marks=pytest.mark.slow) for name, _ in REDUCED]


@dataclass(frozen=True)
class Prompts:
    """What a batch of prompts consists of.

    Attributes:
        labels: of the points of each prompt.
        box: whether each prompt has a box.
        mask: whether each prompt has a mask.
        count: prompts that are decoded together.
    """

    labels: tuple[int, ...] = ()
    box: bool = False
    mask: bool = False
    count: int = 1


SEVERAL = (1, 0, 1, 1, 0)
PROMPTS = {
    "positive point": Prompts((1,)),
    "negative point": Prompts((0,)),
    "several points": Prompts(SEVERAL),
    "padded points": Prompts((1, -1, 0), count=2),
    "box": Prompts(box=True),
    "points and box": Prompts(SEVERAL, box=True),
    "mask": Prompts(mask=True),
    "points, box and mask": Prompts(SEVERAL, box=True, mask=True),
    "batch of points": Prompts(SEVERAL, count=2),
    "batch of boxes": Prompts(box=True, count=2),
    "batch of all": Prompts((1,), box=True, mask=True, count=2),
    "nothing": Prompts(),
}


@dataclass(frozen=True)
class Pair:
    """Both implementations with the same weights, and what each makes of the same image."""

    ours: Sam
    theirs: Any
    embedding: Tensor
    their_embedding: Tensor


@pytest.fixture(scope="module", params=[*FULL, *REDUCED, *SLOW], ids=lambda p: f"{p[0]}-{p[1]}")
def pair(
    request: pytest.FixtureRequest,
    reference: Callable[..., nn.Module],
    tmp_path_factory: pytest.TempPathFactory,
) -> Pair:
    """Both implementations of one variant."""
    name, size = request.param
    theirs = reference(name, size)
    ours = _load(name, size, theirs, tmp_path_factory.mktemp(name) / "weights.pth")
    image = torch.randn(1, 3, size, size, generator=_random())
    with torch.inference_mode():
        return Pair(ours, theirs, ours.image_encoder(image), theirs.image_encoder(image))


def _load(name: str, size: int, theirs: nn.Module, path: Path) -> Sam:
    if size == 1024:
        torch.save(theirs.state_dict(), path)
        ours = build_sam(name, path)
        path.unlink()  # it stays mapped, and gigabytes are not kept for the whole run
        return ours
    with torch.device("meta"):
        ours = assemble(replace(CONFIGS[name], image_size=size))
    ours.load_state_dict(theirs.state_dict(), strict=True, assign=True)
    return ours.eval()


def test_embedding(pair: Pair) -> None:
    """The image encoders agree, on values of a size at which they could differ."""
    assert pair.embedding.shape == pair.their_embedding.shape
    assert pair.their_embedding.std() > 0.5
    assert _difference(pair.embedding, pair.their_embedding) < TOLERANCE


def test_preprocess(pair: Pair) -> None:
    """An image is normalised and padded alike."""
    size = pair.ours.image_size
    image = torch.rand(1, 3, size * 3 // 4, size, generator=_random()) * 255
    pair.theirs.pixel_mean, pair.theirs.pixel_std = pair.ours.pixel_mean, pair.ours.pixel_std
    assert torch.equal(pair.ours.preprocess(image), pair.theirs.preprocess(image))


@pytest.mark.parametrize("multimask", [True, False], ids=["multimask", "single mask"])
@pytest.mark.parametrize("case", PROMPTS)
def test_masks(pair: Pair, case: str, multimask: bool) -> None:
    """Logits and predicted IoU of every kind of prompt agree, from the pixels on."""
    given = _prompts(PROMPTS[case], pair.ours)
    masks, iou = _decode(pair.ours, pair.embedding, given, multimask)
    their_masks, their_iou = _decode(pair.theirs, pair.their_embedding, given, multimask)
    assert iou.shape == their_iou.shape == (PROMPTS[case].count, 3 if multimask else 1)
    assert (
        masks.shape == their_masks.shape == (*iou.shape, *pair.ours.prompt_encoder.mask_input_size)
    )
    assert their_masks.std() > 0.1
    assert _difference(masks, their_masks) < TOLERANCE
    assert _difference(iou, their_iou) < TOLERANCE


@pytest.mark.parametrize("name", CONFIGS)
def test_names_and_shapes(name: str, reference: Callable[..., nn.Module]) -> None:
    """A published checkpoint has the entries of our model, no more, no fewer, of equal shapes.

    So have the normalisations the same epsilon, which outputs of random weights hardly show.
    """
    with torch.device("meta"):
        ours = assemble(CONFIGS[name])
    theirs = reference(name, fill=False)
    assert _shapes(ours) == _shapes(theirs)
    assert _epsilons(ours) == _epsilons(theirs)


def _prompts(kind: Prompts, sam: Sam) -> dict[str, Any]:
    """Random prompts inside the image, some of their coordinates between pixels."""
    random = _random()
    count, size = kind.count, sam.image_size
    coords = torch.rand(count, len(kind.labels), 2, generator=random) * (size - 1)
    labels = torch.tensor([kind.labels] * count)
    corners = torch.rand(count, 2, 2, generator=random).sort(dim=1).values * (size - 1)
    masks = torch.randn(count, 1, *sam.prompt_encoder.mask_input_size, generator=random) * 5
    return {
        "points": (coords, labels) if kind.labels else None,
        "boxes": corners.flatten(1) if kind.box else None,
        "masks": masks if kind.mask else None,
    }


@torch.inference_mode()
def _decode(
    sam: Any, embedding: Tensor, prompts: dict[str, Any], multimask: bool
) -> tuple[Tensor, Tensor]:
    sparse, dense = sam.prompt_encoder(**prompts)
    masks, iou = sam.mask_decoder(
        image_embeddings=embedding,
        image_pe=sam.prompt_encoder.get_dense_pe(),
        sparse_prompt_embeddings=sparse,
        dense_prompt_embeddings=dense,
        multimask_output=multimask,
    )
    return masks, iou


def _difference(ours: Tensor, theirs: Tensor) -> float:
    return (ours - theirs).abs().max().item()


def _shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}


def _epsilons(model: nn.Module) -> dict[str, float]:
    return {name: part.eps for name, part in model.named_modules() if hasattr(part, "eps")}


def _random() -> torch.Generator:
    return torch.Generator().manual_seed(1)
