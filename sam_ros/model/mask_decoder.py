"""The mask decoder: from the embeddings of image and prompts to masks and their quality."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam_ros.model.layers import MLP, LayerNorm2d, crop
from sam_ros.model.packing import linear
from sam_ros.model.transformer import TwoWayTransformer


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """An image as a decoder reads it, whatever the prompt: made once for all of them.

    Attributes:
        embeddings: (1 or B, C, h, w) of the image encoder.
    """

    embeddings: Tensor


class MaskDecoder(nn.Module):
    """Predicts one unambiguous mask and several hypotheses of an ambiguous prompt.

    SAM, section 3 and appendix A. A subclass may override :meth:`prepare`, :meth:`image_tokens`
    and :meth:`read_masks`, the places where the image embedding is read.

    Args:
        dim: width of the transformer; the masks are read from ``dim // 8`` channels.
        transformer: updates tokens and image together.
        multimask_outputs: number of hypotheses of an ambiguous prompt.
        iou_head_depth: linear layers of the quality head.
        iou_head_dim: hidden width of the quality head.
    """

    def __init__(
        self,
        dim: int,
        transformer: TwoWayTransformer,
        multimask_outputs: int = 3,
        iou_head_depth: int = 3,
        iou_head_dim: int = 256,
    ) -> None:
        super().__init__()
        self.transformer = transformer
        self.num_mask_tokens = multimask_outputs + 1  # token 0 is the single, unambiguous mask
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(self.num_mask_tokens, dim)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(dim, dim // 4, kernel_size=2, stride=2),
            LayerNorm2d(dim // 4),
            nn.GELU(),
            nn.ConvTranspose2d(dim // 4, dim // 8, kernel_size=2, stride=2),
            nn.GELU(),
        )
        self.output_hypernetworks_mlps = nn.ModuleList(
            MLP(dim, dim, dim // 8, depth=3) for _ in range(self.num_mask_tokens)
        )
        self.iou_prediction_head = MLP(dim, iou_head_dim, self.num_mask_tokens, iou_head_depth)

    def forward(
        self,
        image_embeddings: Tensor | PreparedImage,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
        multimask_output: bool,
    ) -> tuple[Tensor, Tensor]:
        """Predict the masks of B prompts.

        Args:
            image_embeddings: (1, C, h, w) one image for all prompts, or (B, C, h, w), or what
                :meth:`prepare` made of it.
            image_pe: (1, C, h, w) positional encoding of the cells; more of them at the right and
                at the bottom than the image has are left out.
            sparse_prompt_embeddings: (B, T, C).
            dense_prompt_embeddings: (B, C, h, w).
            multimask_output: True for the hypotheses of an ambiguous prompt, False for one mask.

        Returns:
            Mask logits (B, M, 4h, 4w) and the predicted IoU of each mask (B, M).
        """
        chosen = slice(1, None) if multimask_output else slice(0, 1)
        return self._predict(
            image_embeddings, image_pe, sparse_prompt_embeddings, dense_prompt_embeddings, chosen
        )

    def prepare(self, image_embeddings: Tensor) -> PreparedImage:
        """Do what is to be done once for an image (1 or B, C, h, w)."""
        return PreparedImage(image_embeddings)

    def predict_masks(
        self, image_embeddings: Tensor, image_pe: Tensor, sparse: Tensor, dense: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Predict with every mask token: the single mask first, then the hypotheses."""
        return self._predict(image_embeddings, image_pe, sparse, dense, slice(None))

    def _predict(
        self,
        image_embeddings: Tensor | PreparedImage,
        image_pe: Tensor,
        sparse: Tensor,
        dense: Tensor,
        chosen: slice,
    ) -> tuple[Tensor, Tensor]:
        given = image_embeddings
        seen = self.prepare(given) if isinstance(given, Tensor) else given
        tokens = self.output_tokens(sparse)
        image = self.image_tokens(seen, dense)
        tokens, image_seen = self.transformer(
            image, crop(image_pe, image), tokens, wanted=1 + self.num_mask_tokens
        )
        src = image_seen.unflatten(1, image.shape[2:])  # (B, h, w, C)
        kernels = self.mask_kernels(tokens[:, 1 : 1 + self.num_mask_tokens], chosen)
        masks = self.read_masks(src, kernels, seen, dense)
        return masks, self.iou_prediction_head(tokens[:, 0])[:, chosen]

    def output_tokens(self, sparse: Tensor) -> Tensor:
        """Put the learned output tokens before the prompt's: quality, masks, prompt (B, T', C)."""
        output = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        return torch.cat([output.expand(len(sparse), -1, -1), sparse], dim=1)

    def image_tokens(self, seen: PreparedImage, dense: Tensor) -> Tensor:
        """The image that enters the transformer, (B, C, h, w) or (1, C, h, w) for all prompts."""
        # Without mask prompts the prompt encoder repeats one embedding, and views repeat for free.
        same_for_all = dense.stride(0) == 0
        return seen.embeddings + (dense[:1] if same_for_all else dense)

    def read_masks(
        self, src: Tensor, kernels: Tensor, seen: PreparedImage, dense: Tensor
    ) -> Tensor:
        """Bring the image to the resolution of the masks and read them from it.

        Args:
            src: (B, h, w, C) image after the transformer.
            kernels: (B, M, C // 8) weights of each mask.
            seen: the image, of :meth:`prepare`; unused here.
            dense: (B, C'', h, w) dense prompt embeddings as given to :meth:`forward`; unused here.

        Returns:
            Logits (B, M, 4h, 4w).
        """
        to8, norm, act, to4, last_act = self.output_upscaling
        assert isinstance(to8, nn.ConvTranspose2d) and isinstance(to4, nn.ConvTranspose2d)
        assert isinstance(norm, LayerNorm2d)
        x = spread(src, to8)  # (B, h, w, 2, 2, C // 4)
        x = act(F.layer_norm(x, norm.weight.shape, norm.weight, norm.bias, norm.eps))
        x = last_act(spread(x, to4))  # (B, h, w, 2, 2, 2, 2, C // 8)
        return in_picture_order(kernels @ x.flatten(1, -2).transpose(1, 2), x.shape[1:3])

    def mask_kernels(self, mask_tokens: Tensor, chosen: slice) -> Tensor:
        """The weights that read the chosen masks, (B, M, C // 8), from all mask tokens."""
        heads = zip(self.output_hypernetworks_mlps[chosen], mask_tokens[:, chosen].unbind(1))
        return torch.stack([head(token) for head, token in heads], dim=1)


def spread_weight(double: nn.ConvTranspose2d) -> Tensor:
    """Weights (2, 2, C', C) that make four cells of C' channels of one of C channels."""
    return double.weight.permute(2, 3, 1, 0)


def spread(x: Tensor, double: nn.ConvTranspose2d) -> Tensor:
    """Each cell (..., C) as the four that replace it, (..., 2, 2, C').

    The transposed convolution without its going back and forth between layouts: the cells do not
    overlap, so it is a linear layer.
    """
    weight = spread_weight(double)
    assert double.bias is not None
    x = linear(x, weight.flatten(0, 2), double.bias.repeat(4))
    return x.unflatten(-1, weight.shape[:3])


def in_picture_order(masks: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Masks whose cells were spread twice, (B, M, h * w * 16), as (B, M, 4h, 4w)."""
    masks = masks.unflatten(2, (*size, 2, 2, 2, 2)).permute(0, 1, 2, 4, 6, 3, 5, 7)
    return masks.flatten(5).flatten(2, 4)  # (B, M, h, 2, 2, w, 2, 2) -> (B, M, 4h, 4w)
