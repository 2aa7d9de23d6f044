"""Prompts of a training batch and their rounds of correction (SAM, appendix A)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from sam_ros.model.layers import crop
from sam_ros.model.sam import Sam
from training.samples import STRIDE, Sample

Encoded = tuple[Tensor, Tensor]  # sparse and dense embeddings of prompts


@dataclass(frozen=True)
class Prompts:
    """N = B * P prompts: first those by a box, picture by picture, then those by a click.

    Attributes:
        boxes_count: how many of the N have a box.
        masks_per_picture: of each picture, masks prompted by a box and by a click.
        targets: (N, h, w) coverage 0..1.
        boxes: (boxes_count, 4).
        coords: (N, K, 2) points; a prompt by click has its first click at K = 0, and a prompt by
            box has padding there.
        labels: (N, K), 1 foreground, 0 background, -1 padding.
        logits: (N, 1, h, w) the previous answer or None.
    """

    boxes_count: int
    masks_per_picture: tuple[int, int]
    targets: Tensor
    boxes: Tensor
    coords: Tensor
    labels: Tensor
    logits: Tensor | None = None


def first_prompts(sample: Sample, boxes: int) -> Prompts:
    """One box for the first `boxes` masks of every picture, one click for the others."""
    pictures, masks = sample.targets.shape[:2]
    count = pictures * boxes
    coords = group(sample.clicks, boxes)[:, None]
    labels = torch.ones(coords.shape[:2], device=coords.device)
    labels[:count] = -1
    return Prompts(
        boxes_count=count,
        masks_per_picture=(boxes, masks - boxes),
        targets=group(sample.targets, boxes),
        boxes=sample.boxes[:, :boxes].flatten(0, 1),
        coords=coords,
        labels=labels,
    )


def group(x: Tensor, boxes: int) -> Tensor:
    """(B, P, ...) to (N, ...): the masks prompted by boxes first."""
    return torch.cat([x[:, :boxes].flatten(0, 1), x[:, boxes:].flatten(0, 1)])


def decode(sam: Sam, embedding: Tensor, prompts: Prompts) -> tuple[Tensor, Tensor]:
    """Logits (N, 4, h, w) and predicted IoU (N, 4) of every mask token.

    A first click is one point and padding, a box two corners: both are two tokens, and every
    correction adds one to both, so boxes and clicks decode in one batch.
    """
    n, encoder = prompts.boxes_count, sam.prompt_encoder
    before, after = (None, None) if prompts.logits is None else _fed_back(sam, prompts)
    corrections = (prompts.coords[:n, 1:], prompts.labels[:n, 1:])
    points = corrections if corrections[1].shape[1] else None
    by_box = encoder(points=points, boxes=prompts.boxes, masks=before)
    by_click = encoder(points=(prompts.coords[n:], prompts.labels[n:]), boxes=None, masks=after)
    return _predict(sam, embedding, prompts, by_box, by_click)


def decode_rough(sam: Sam, embedding: Tensor, prompts: Prompts) -> tuple[Tensor, Tensor]:
    """As :func:`decode`, prompted by nothing but a rough mask of the target."""
    rough = spread(sam, roughen(prompts.targets)).tensor_split([prompts.boxes_count])
    encoded = (sam.prompt_encoder(points=None, boxes=None, masks=masks) for masks in rough)
    return _predict(sam, embedding, prompts, *encoded)


def _predict(
    sam: Sam, embedding: Tensor, prompts: Prompts, by_box: Encoded, by_click: Encoded
) -> tuple[Tensor, Tensor]:
    """Decode picture by picture, which spares a copy of the embedding for each prompt."""
    pe, (boxes, clicks) = sam.prompt_encoder.get_dense_pe(), prompts.masks_per_picture
    parts = [x.split(n) for n, encoded in ((boxes, by_box), (clicks, by_click)) for x in encoded]
    answers = []
    for image, box, box_map, click, click_map in zip(embedding.split(1), *parts, strict=True):
        sparse, dense = torch.cat([box, click]), torch.cat([box_map, click_map])
        answers.append(sam.mask_decoder.predict_masks(image, pe, sparse, dense))
    logits, iou = (_boxes_first(each, boxes) for each in zip(*answers, strict=True))
    return crop(logits, prompts.targets), iou


def _boxes_first(answers: tuple[Tensor, ...], boxes: int) -> Tensor:
    """Join what was said of every picture, in the order of :class:`Prompts`."""
    return torch.cat([x[:boxes] for x in answers] + [x[boxes:] for x in answers])


def _fed_back(sam: Sam, prompts: Prompts) -> tuple[Tensor, ...]:
    """The previous answers to prompts by a box and to prompts by a click, as mask prompts."""
    assert prompts.logits is not None
    return spread(sam, prompts.logits).tensor_split([prompts.boxes_count])


def spread(sam: Sam, logits: Tensor) -> Tensor:
    """Logits (N, 1, h, w) of the picture on the whole of the maps that a prompt is drawn on."""
    height, width = sam.prompt_encoder.mask_input_size
    below, right = height - logits.shape[2], width - logits.shape[3]
    return F.pad(logits, (0, right, 0, below), mode="replicate")


def roughen(targets: Tensor) -> Tensor:
    """Shift, blur and grow or shrink (N, h, w) coverage; (N, 1, h, w) logits of +-8."""
    reach = max(1, targets.shape[-1] // 32)
    shift = [int(torch.randint(-reach, reach + 1, ())) for _ in range(2)]
    moved = torch.roll(targets, shift, dims=(1, 2))[:, None]
    blurred = F.avg_pool2d(moved, 2 * reach + 1, stride=1, padding=reach)
    level = torch.empty(len(targets), 1, 1, 1, device=targets.device).uniform_(0.2, 0.8)
    return torch.where(blurred > level * blurred.amax((2, 3), keepdim=True), 8.0, -8.0)


def with_corrections(prompts: Prompts, logits: Tensor, click: bool) -> Prompts:
    """The next round: the answer (N, 1, h, w) is fed back, with a click in its error region."""
    if not click:
        return replace(prompts, logits=logits)
    coords, labels = correction(logits[:, 0] > 0, prompts.targets > 0.5)
    return replace(
        prompts,
        coords=torch.cat([prompts.coords, coords[:, None]], dim=1),
        labels=torch.cat([prompts.labels, labels[:, None]], dim=1),
        logits=logits,
    )


def correction(answer: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """A click drawn from the error of (N, h, w) masks: coords (N, 2), labels (N,).

    Where the answer has no error the click falls anywhere, labelled by the target.
    """
    _, _, w = target.shape
    error = (answer ^ target).flatten(1).float() + 1e-6
    index = torch.multinomial(error, 1)[:, 0]
    labels = target.flatten(1).gather(1, index[:, None])[:, 0].float()
    cells = torch.stack([index % w, index // w], dim=1).float()
    return (cells + 0.5) * STRIDE - 0.5, labels
