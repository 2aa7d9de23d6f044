"""Prompts of many objects in as few decoder batches as give the numbers of decoding each alone.

The decoder attends to every prompt token it is given, padding too: a second not-a-point token
changes the logits. So prompts are not padded to a common length; those with the same number of
tokens share a batch (a click and a box both have two), whatever these tokens stand for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from torch import Tensor

from sam_ros.engine.boxes import clip_box
from sam_ros.engine.prompt import Prompt
from sam_ros.engine.transform import Transform
from sam_ros.engine.upload import send
from sam_ros.model.prompt_encoder import PromptEncoder

Kind = tuple[int, bool, bool, bool]


@dataclass(frozen=True)
class Batch:
    """Prompts that the mask decoder answers in one go.

    Attributes:
        indices: places of the prompts in the caller's sequence, those of one kind together.
        multimask: three masks for each, or one.
    """

    indices: tuple[int, ...]
    multimask: bool


def batches(prompts: Sequence[Prompt], multimask: bool | None, limit: int) -> Iterator[Batch]:
    """Divide prompts by the decoder's sequence length and by the masks they ask for.

    Args:
        prompts: of one image.
        multimask: for all of them, or None to decide for each by :func:`wants_multimask`.
        limit: prompts in a batch at most.
    """

    def key(index: int) -> tuple[int, bool]:
        prompt = prompts[index]
        wanted = wants_multimask(prompt) if multimask is None else multimask
        return token_count(prompt), wanted

    order = sorted(range(len(prompts)), key=lambda i: (key(i), kind_of(prompts[i])))
    for (_, wanted), group in groupby(order, key):
        indices = tuple(group)
        for start in range(0, len(indices), limit):
            yield Batch(indices[start : start + limit], wanted)


def wants_multimask(prompt: Prompt) -> bool:
    """Only a lone point is ambiguous; more prompts say which mask is meant (SAM, appendix A)."""
    return kind_of(prompt) == (1, False, False, False)


def kind_of(prompt: Prompt) -> Kind:
    """Number of points, with a box, a mask, a token: what is encoded in one call."""
    masked = prompt.mask is not None or prompt.logits is not None
    return len(prompt.points), prompt.box is not None, masked, prompt.token is not None


def token_count(prompt: Prompt) -> int:
    """Tokens of a prompt's points, box and words; points without a box cost a not-a-point."""
    points, boxed, _, worded = kind_of(prompt)
    if boxed:
        return points + 2 + worded
    return points + 1 + worded if points else int(worded)


def encode_prompts(
    encoder: PromptEncoder, transform: Transform, prompts: Sequence[Prompt]
) -> tuple[Tensor, Tensor]:
    """Encode prompts of the same token count, each kind in one call.

    Args:
        encoder: the model's.
        transform: of the image that the prompts are on.
        prompts: in the order of a :class:`Batch`.

    Returns:
        Sparse (B, T, C) and dense (B, C', h, w) prompt embeddings in the order of ``prompts``.
    """
    parts = [
        _encode_kind(encoder, transform, list(group)) for _, group in groupby(prompts, kind_of)
    ]
    if len(parts) == 1:
        return parts[0]
    sparse, dense = zip(*parts, strict=True)
    return torch.cat(sparse), torch.cat(dense)


def _encode_kind(
    encoder: PromptEncoder, transform: Transform, prompts: Sequence[Prompt]
) -> tuple[Tensor, Tensor]:
    count, boxed, masked, worded = kind_of(prompts[0])
    device = encoder.no_mask_embed.weight.device
    points = boxes = masks = None
    if count:
        coords = transform.to_input(np.stack([prompt.points for prompt in prompts]))
        labels = np.stack([prompt.labels for prompt in prompts]).astype(np.int32)
        points = send(torch.from_numpy(coords), device), send(torch.from_numpy(labels), device)
    if boxed:
        corners = np.stack([_box(prompt, transform) for prompt in prompts])
        boxes = send(torch.from_numpy(corners), device)
    if masked:
        low_size = encoder.mask_input_size
        drawn = torch.cat([_mask(prompt, transform, low_size) for prompt in prompts])
        masks = send(drawn, device)
    sparse, dense = encoder(points=points, boxes=boxes, masks=masks)
    if worded:
        words = np.stack([prompt.token for prompt in prompts if prompt.token is not None])
        tokens = send(torch.from_numpy(words), device)
        sparse = torch.cat([sparse, tokens[:, None].to(sparse.dtype)], dim=1)
    return sparse, dense


def _box(prompt: Prompt, transform: Transform) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    assert prompt.box is not None
    corners = clip_box(prompt.box, transform.size).reshape(2, 2)
    return transform.to_input(corners).reshape(4)


def _mask(prompt: Prompt, transform: Transform, low_size: tuple[int, int]) -> Tensor:
    """The mask prompt, (1, 1, h, w) logits."""
    if prompt.logits is not None:
        return torch.from_numpy(prompt.logits.astype(np.float32))[None, None]
    assert prompt.mask is not None
    return transform.mask_logits(prompt.mask, low_size)
