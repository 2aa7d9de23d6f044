"""The prompt encoder: points, boxes and masks become embeddings of the image's width."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from sam_ros.model.layers import LayerNorm2d

FOREGROUND = 1
BACKGROUND = 0
NOT_A_POINT = -1  # padding: the coordinates mean nothing

Points = tuple[Tensor, Tensor]


class PromptEncoder(nn.Module):
    """Encodes sparse prompts as tokens and dense prompts as an image (SAM, appendix A).

    Args:
        dim: width of the embeddings.
        embedding_size: (h, w) cells of the image embedding.
        image_size: (H, W) pixels of the encoder's padded input, the frame of all coordinates.
        mask_channels: hidden channels of the convolutions that read a mask prompt.
    """

    def __init__(
        self,
        dim: int,
        embedding_size: tuple[int, int],
        image_size: tuple[int, int],
        mask_channels: int = 16,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.image_embedding_size = embedding_size
        self.input_image_size = image_size
        self.mask_input_size = (4 * embedding_size[0], 4 * embedding_size[1])
        self.pe_layer = PositionEmbeddingRandom(dim // 2)
        # background, foreground, upper left corner of a box, lower right corner
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, dim) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, dim)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, mask_channels // 4, kernel_size=2, stride=2),
            LayerNorm2d(mask_channels // 4),
            nn.GELU(),
            nn.Conv2d(mask_channels // 4, mask_channels, kernel_size=2, stride=2),
            LayerNorm2d(mask_channels),
            nn.GELU(),
            nn.Conv2d(mask_channels, dim, kernel_size=1),
        )
        self.no_mask_embed = nn.Embedding(1, dim)

    def forward(
        self, points: Points | None, boxes: Tensor | None, masks: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Encode B prompts, each of the same number of points.

        Coordinates are pixels of the encoder's input, pixel centres at integers.

        Args:
            points: coordinates (B, N, 2) as x, y and labels (B, N): 1 foreground, 0 background,
                -1 padding.
            boxes: (B, 4) as x0, y0, x1, y1.
            masks: (B, 1, *mask_input_size) logits of an earlier prediction.

        Returns:
            Sparse embeddings (B, T, C): points, one padding token when there is no box, the two
            corners of the box. Dense embeddings (B, C, h, w).
        """
        batch = _batch_size(points, boxes, masks)
        sparse = self._embed_sparse(points, boxes, batch)
        return sparse, self._embed_dense(points, boxes, masks, batch)

    def get_dense_pe(self) -> Tensor:
        """Positional encoding of the cells of the image embedding, (1, C, h, w)."""
        return self.pe_layer(self.image_embedding_size).unsqueeze(0)

    def _embed_sparse(self, points: Points | None, boxes: Tensor | None, batch: int) -> Tensor:
        tokens = [self.no_mask_embed.weight.new_empty(batch, 0, self.dim)]
        if points is not None:
            tokens.append(self._embed_points(*points, pad=boxes is None))
        if boxes is not None:
            tokens.append(self._embed_boxes(boxes))
        return torch.cat(tokens, dim=1)

    def _embed_dense(
        self, points: Points | None, boxes: Tensor | None, masks: Tensor | None, batch: int
    ) -> Tensor:
        """The dense embeddings (B, C, h, w). The paper's read the mask prompt alone."""
        if masks is not None:
            return self._embed_masks(masks)
        nothing = self.no_mask_embed.weight.reshape(1, -1, 1, 1)
        return nothing.expand(batch, -1, *self.image_embedding_size)

    def _embed_points(self, coords: Tensor, labels: Tensor, pad: bool) -> Tensor:
        if pad:
            batch = coords.shape[0]
            coords = torch.cat([coords, coords.new_zeros(batch, 1, 2)], dim=1)
            labels = torch.cat([labels, labels.new_full((batch, 1), NOT_A_POINT)], dim=1)
        x = self.pe_layer.encode(coords + 0.5, self.input_image_size)  # (B, N, C)
        labels = labels.unsqueeze(2)
        background, foreground = (self._point_embedding(i) for i in (BACKGROUND, FOREGROUND))
        x = torch.where(labels == FOREGROUND, x + foreground, x)
        x = torch.where(labels == BACKGROUND, x + background, x)
        return torch.where(labels == NOT_A_POINT, self.not_a_point_embed.weight, x)

    def _embed_boxes(self, boxes: Tensor) -> Tensor:
        corners = boxes.reshape(-1, 2, 2) + 0.5
        x = self.pe_layer.encode(corners, self.input_image_size)  # (B, 2, C)
        return x + torch.cat([self._point_embedding(2), self._point_embedding(3)])

    def _embed_masks(self, masks: Tensor) -> Tensor:
        return self.mask_downscaling(masks)

    def _point_embedding(self, index: int) -> Tensor:
        weight = self.point_embeddings[index].weight
        assert isinstance(weight, Tensor)
        return weight


class PositionEmbeddingRandom(nn.Module):
    """Positions as sines and cosines at random spatial frequencies (Tancik et al. 2020).

    Args:
        features: number of frequencies; an encoding has twice as many channels.
    """

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.randn(2, features))

    def forward(self, size: tuple[int, int]) -> Tensor:
        """Encode the centres of a grid of (h, w) cells, (C, h, w)."""
        h, w = size
        device = self.positional_encoding_gaussian_matrix.device
        y = (torch.arange(h, device=device, dtype=torch.float32) + 0.5).reshape(h, 1).expand(h, w)
        x = (torch.arange(w, device=device, dtype=torch.float32) + 0.5).reshape(1, w).expand(h, w)
        return self.encode(torch.stack([x, y], dim=-1), size).permute(2, 0, 1)

    def encode(self, coords: Tensor, size: tuple[int, int]) -> Tensor:
        """Encode continuous coordinates, pixel edges at integers.

        Args:
            coords: (..., 2) as x, y.
            size: (H, W) that the coordinates are a fraction of.

        Returns:
            (..., C) in the module's dtype; angles are computed in float32.
        """
        h, w = size
        along_x, along_y = self.positional_encoding_gaussian_matrix.float()
        coords = coords.float().unsqueeze(-1)
        x, y = 2 * coords[..., 0, :] / w - 1, 2 * coords[..., 1, :] / h - 1  # (..., 1) in -1..1
        # Written out, not a matrix product: autocast would round the angles to half precision.
        angles = 2 * math.pi * (x * along_x + y * along_y)
        encoding = torch.cat([angles.sin(), angles.cos()], dim=-1)
        return encoding.to(self.positional_encoding_gaussian_matrix.dtype)


def _batch_size(points: Points | None, boxes: Tensor | None, masks: Tensor | None) -> int:
    coords = points[0] if points is not None else None
    return next((len(x) for x in (coords, boxes, masks) if x is not None), 1)
