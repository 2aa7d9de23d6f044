"""The mask decoder: from the embeddings of image and prompts to masks and their quality."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from sam_ros.model.layers import MLP, LayerNorm2d
from sam_ros.model.transformer import TwoWayTransformer


class MaskDecoder(nn.Module):
    """Predicts one unambiguous mask and several hypotheses of an ambiguous prompt.

    SAM, section 3 and appendix A. A subclass may override :meth:`image_tokens` and
    :meth:`upscale`, the two places where the image embedding is read.

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
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
        multimask_output: bool,
    ) -> tuple[Tensor, Tensor]:
        """Predict the masks of B prompts.

        Args:
            image_embeddings: (1, C, h, w) one image for all prompts, or (B, C, h, w).
            image_pe: (1, C, h, w) positional encoding of the image's cells.
            sparse_prompt_embeddings: (B, T, C).
            dense_prompt_embeddings: (B, C, h, w).
            multimask_output: True for the hypotheses of an ambiguous prompt, False for one mask.

        Returns:
            Mask logits (B, M, 4h, 4w) and the predicted IoU of each mask (B, M).
        """
        masks, iou = self.predict_masks(
            image_embeddings, image_pe, sparse_prompt_embeddings, dense_prompt_embeddings
        )
        chosen = slice(1, None) if multimask_output else slice(0, 1)
        return masks[:, chosen], iou[:, chosen]

    def predict_masks(
        self, image_embeddings: Tensor, image_pe: Tensor, sparse: Tensor, dense: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Predict with every mask token: the single mask first, then the hypotheses."""
        tokens = self.output_tokens(sparse)
        image = self.image_tokens(image_embeddings, dense)
        tokens, image_seen = self.transformer(image, image_pe, tokens)
        src = image_seen.transpose(1, 2).reshape(image.shape)  # (B, h * w, C) -> (B, C, h, w)

        features = self.upscale(src, image_embeddings, dense)
        kernels = self.mask_kernels(tokens[:, 1 : 1 + self.num_mask_tokens])
        masks = torch.einsum("bmc,bchw->bmhw", kernels, features)
        return masks, self.iou_prediction_head(tokens[:, 0])

    def output_tokens(self, sparse: Tensor) -> Tensor:
        """Put the learned output tokens before the prompt's: quality, masks, prompt (B, T', C)."""
        output = torch.cat([self.iou_token.weight, self.mask_tokens.weight])
        return torch.cat([output.expand(len(sparse), -1, -1), sparse], dim=1)

    def image_tokens(self, image_embeddings: Tensor, dense: Tensor) -> Tensor:
        """The image that enters the transformer, (B, C, h, w)."""
        return image_embeddings + dense

    def upscale(self, src: Tensor, image_embeddings: Tensor, dense: Tensor) -> Tensor:
        """Bring the image to the resolution of the masks.

        Args:
            src: (B, C, h, w) image after the transformer.
            image_embeddings: (1 or B, C', h, w) as given to :meth:`forward`; unused here.
            dense: (B, C'', h, w) dense prompt embeddings as given to :meth:`forward`; unused here.

        Returns:
            (B, C // 8, 4h, 4w).
        """
        return self.output_upscaling(src)

    def mask_kernels(self, mask_tokens: Tensor) -> Tensor:
        """Turn mask tokens (B, M, C) into the weights that read the masks, (B, M, C // 8)."""
        heads = zip(self.output_hypernetworks_mlps, mask_tokens.unbind(1))
        return torch.stack([head(token) for head, token in heads], dim=1)
