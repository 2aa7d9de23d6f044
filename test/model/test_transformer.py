"""An image that all prompts share gives each of them the answer that it would have alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sam_ros.model.transformer import WORTH_IT, TwoWayTransformer

DIM, SIDE, TOKENS = 32, 6, 7


@pytest.fixture
def transformer() -> TwoWayTransformer:
    torch.manual_seed(1)
    return TwoWayTransformer(depth=2, dim=DIM, num_heads=4, mlp_dim=64).double().eval()


@pytest.fixture
def image() -> Tensor:
    return torch.randn(1, DIM, SIDE, SIDE, dtype=torch.float64)


@pytest.fixture
def places() -> Tensor:
    return torch.randn(1, DIM, SIDE, SIDE, dtype=torch.float64)


@torch.inference_mode()
def test_shared_image(transformer: TwoWayTransformer, image: Tensor, places: Tensor) -> None:
    """Put in beforehand, for as many prompts as one likes, and not written into."""
    tokens = torch.randn(5, TOKENS, DIM, dtype=torch.float64)
    expected, expected_image = transformer(image.repeat(5, 1, 1, 1), places, tokens)
    shared = transformer.share(image, places)
    for _ in range(2):
        got, got_image = transformer(shared, places, tokens)
        torch.testing.assert_close(got, expected)
        torch.testing.assert_close(got_image, expected_image)
    alone, _ = transformer(shared, places, tokens[2:3])
    torch.testing.assert_close(alone, expected[2:3])


@torch.inference_mode()
@pytest.mark.parametrize("prompts", [1, WORTH_IT // TOKENS, WORTH_IT // TOKENS + 1])
def test_one_image_for_all(
    transformer: TwoWayTransformer, image: Tensor, places: Tensor, prompts: int
) -> None:
    """Whether its own projection is worth it or not."""
    tokens = torch.randn(prompts, TOKENS, DIM, dtype=torch.float64)
    expected = transformer(image.repeat(prompts, 1, 1, 1), places, tokens)
    for got, wanted in zip(transformer(image, places, tokens), expected, strict=True):
        torch.testing.assert_close(got, wanted)


@torch.inference_mode()
def test_only_the_tokens_that_are_wanted(
    transformer: TwoWayTransformer, image: Tensor, places: Tensor
) -> None:
    tokens = torch.randn(2, TOKENS, DIM, dtype=torch.float64)
    expected, expected_image = transformer(image, places, tokens)
    got, got_image = transformer(image, places, tokens, wanted=3)
    torch.testing.assert_close(got, expected[:, :3])
    torch.testing.assert_close(got_image, expected_image)


def test_gradients_reach_the_shared_image(
    transformer: TwoWayTransformer, image: Tensor, places: Tensor
) -> None:
    """As in training: the same as through copies of the image."""
    tokens = torch.randn(5, TOKENS, DIM, dtype=torch.float64)
    gradients = []
    for copies in (1, 5):
        leaf = image.clone().requires_grad_()
        seen, _ = transformer(leaf.expand(copies, -1, -1, -1), places, tokens)
        seen.square().sum().backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(*gradients)
