"""The mask decoder: which masks it returns, and that prompts do not mix."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sam_ros.model.mask_decoder import MaskDecoder
from sam_ros.model.transformer import Attention, ImageToToken, TokenToImage, TwoWayTransformer


@pytest.fixture
def decoder() -> MaskDecoder:
    torch.manual_seed(0)
    return MaskDecoder(32, TwoWayTransformer(2, 32, 4, 64)).eval()


def _inputs(prompts: int) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(1)
    return {
        "image_embeddings": torch.randn(1, 32, 5, 7, generator=random),
        "image_pe": torch.randn(1, 32, 5, 7, generator=random),
        "sparse_prompt_embeddings": torch.randn(prompts, 3, 32, generator=random),
        "dense_prompt_embeddings": torch.randn(prompts, 32, 5, 7, generator=random),
    }


def test_single_and_multiple_masks(decoder: MaskDecoder) -> None:
    """One mask comes from the first token, three from the others; all differ."""
    given = _inputs(2)
    every, every_iou = decoder.predict_masks(*given.values())
    single, single_iou = decoder(**given, multimask_output=False)
    several, several_iou = decoder(**given, multimask_output=True)
    assert every.shape == (2, 4, 20, 28)
    assert every_iou.shape == (2, 4)
    assert torch.allclose(torch.cat([single, several], 1), every, atol=1e-5)
    assert torch.equal(torch.cat([single_iou, several_iou], 1), every_iou)
    assert (every[:, 1:] - every[:, :-1]).abs().amax((2, 3)).min() > 1e-3


def test_prompts_do_not_mix(decoder: MaskDecoder) -> None:
    """A prompt gives the same masks alone and among others."""
    given = _inputs(3)
    together, _ = decoder(**given, multimask_output=True)
    one = {key: x[-1:] for key, x in given.items()}
    alone, _ = decoder(**one, multimask_output=True)
    assert torch.allclose(together[-1:], alone, atol=1e-5)


def test_an_image_for_each_prompt(decoder: MaskDecoder) -> None:
    """Prompts may come with an image each, as in training."""
    given = _inputs(2)
    other = {**given, "image_embeddings": given["image_embeddings"] + 1}
    both = {
        **given,
        "image_embeddings": torch.cat([x["image_embeddings"] for x in (given, other)]),
    }
    masks, _ = decoder(**both, multimask_output=True)
    first, _ = decoder(**given, multimask_output=True)
    second, _ = decoder(**other, multimask_output=True)
    assert torch.allclose(masks, torch.cat([first[:1], second[1:]]), atol=1e-5)


def test_one_dense_embedding_for_all(decoder: MaskDecoder) -> None:
    """A dense embedding that is a repeated view, as without mask prompts, is as good as a copy."""
    given = _inputs(3)
    repeated = given["dense_prompt_embeddings"][:1].expand(3, -1, -1, -1)
    shared, iou = decoder(**{**given, "dense_prompt_embeddings": repeated}, multimask_output=True)
    copied = decoder(
        **{**given, "dense_prompt_embeddings": repeated.clone()}, multimask_output=True
    )
    assert torch.allclose(shared, copied[0], atol=1e-5)
    assert torch.allclose(iou, copied[1], atol=1e-5)


def test_masks_are_read_as_in_the_paper(decoder: MaskDecoder) -> None:
    """Reading equals the transposed convolutions and the product, written plainly."""
    random = torch.Generator().manual_seed(2)
    src = torch.randn(2, 5, 7, 32, generator=random)
    kernels = torch.randn(2, 3, 4, generator=random)
    features = decoder.output_upscaling(src.permute(0, 3, 1, 2))
    expected = torch.einsum("bmc,bchw->bmhw", kernels, features)
    nothing = torch.empty(0)
    masks = decoder.read_masks(src, kernels, nothing, nothing)
    assert torch.allclose(masks, expected, atol=1e-5)


@pytest.mark.parametrize("shared", [False, True])
def test_attention_without_projecting_the_image(shared: bool) -> None:
    """Both cross attentions equal plain attention of the same weights."""
    torch.manual_seed(0)
    image, placed = torch.randn(2, 1 if shared else 3, 35, 32)
    tokens, values = torch.randn(2, 3, 5, 32)
    reading, telling = TokenToImage(32, 4, 2), ImageToToken(32, 4, 2)
    read = Attention.forward(reading, tokens, placed.expand(3, -1, -1), image.expand(3, -1, -1))
    told = Attention.forward(telling, placed.expand(3, -1, -1), tokens, values)
    assert torch.allclose(reading(tokens, placed, image), read, atol=1e-5)
    assert torch.allclose(telling(image, placed, tokens, values), image + told, atol=1e-5)


def test_heads_divide_the_width() -> None:
    """A width that the heads do not divide is refused with both numbers."""
    with pytest.raises(ValueError, match="16 .* num_heads 3"):
        Attention(dim=32, num_heads=3, downsample=2)
