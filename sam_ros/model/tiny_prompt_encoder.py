"""The prompt encoder of ``sam_tiny``: the paper's tokens, and the same prompts drawn as maps.

A small model learns "where" from maps far sooner than from Fourier tokens alone. Clicks, box and
mask are drawn at the mask prompt's resolution (stride 4), read by the paper's mask convolutions
and added to the image embedding. The maps also say which pixels the prompt vouches for; those
weights travel behind the dense embedding so that the decoder can look for pixels that are alike.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sam_ros.model.layers import LayerNorm2d
from sam_ros.model.prompt_encoder import BACKGROUND, FOREGROUND, Points, PromptEncoder

NARROW = 1.5  # standard deviation of a click, in cells of 4 px
WIDE = 0.08  # standard deviation of its surroundings, as a fraction of the map's width
MASK_SCALE = 4.0  # logits are squashed by tanh(logits / MASK_SCALE) before they are read
MAPS = 7  # two widths for each sign of click, box inside, distance to the box, mask
WEIGHTS = 2  # pixels that the prompt takes for foreground, and for background


class TinyPromptEncoder(PromptEncoder):
    """Encodes prompts as sparse tokens and as dense maps.

    The dense embeddings have ``dim + 32`` channels: behind the ``dim`` that are added to the image
    come the two weight maps at stride 4, folded by space-to-depth.
    """

    def __init__(
        self, dim: int, embedding_size: tuple[int, int], image_size: tuple[int, int]
    ) -> None:
        super().__init__(dim, embedding_size, image_size)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(MAPS, 16, kernel_size=2, stride=2),
            LayerNorm2d(16),
            nn.GELU(),
            nn.Conv2d(16, 64, kernel_size=2, stride=2),
            LayerNorm2d(64),
            nn.GELU(),
            nn.Conv2d(64, dim, kernel_size=1),
        )

    def _embed_dense(
        self, points: Points | None, boxes: Tensor | None, masks: Tensor | None, batch: int
    ) -> Tensor:
        """Dense embeddings and folded weights, (B, dim + 32, h, w)."""
        height, width = self.mask_input_size
        nothing = self.no_mask_embed.weight.new_zeros(batch, 1, height, width)
        clicks, click_weights = nothing.expand(-1, 4, -1, -1), nothing.expand(-1, 2, -1, -1)
        if points is not None:
            clicks, click_weights = self._draw_clicks(*points)
        box, box_weights = nothing.expand(-1, 2, -1, -1), nothing.expand(-1, 2, -1, -1)
        if boxes is not None:
            box, box_weights = self._draw_boxes(boxes)
        mask = nothing if masks is None else torch.tanh(masks / MASK_SCALE)
        mask_weights = torch.cat([mask.clamp(min=0), (-mask).clamp(min=0)], dim=1)

        *layers, last = self.mask_downscaling
        assert isinstance(last, nn.Conv2d) and last.bias is not None
        x = torch.cat([clicks, box, mask], dim=1)
        for layer in layers:
            x = layer(x)
        # From here on channels are the last in memory, as the decoder reads them.
        bias = last.bias + self.no_mask_embed.weight[0] if masks is None else last.bias
        dense = F.linear(x.permute(0, 2, 3, 1), last.weight.flatten(1), bias)
        drawn = ((click_weights, points), (box_weights, boxes), (mask_weights, masks))
        given = [_unit_mass(weights) for weights, prompt in drawn if prompt is not None]
        weights = F.pixel_unshuffle(sum(given, nothing.expand(-1, WEIGHTS, -1, -1)), 4)
        return torch.cat([dense, weights.permute(0, 2, 3, 1)], dim=3).permute(0, 3, 1, 2)

    def _grid(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Centres of the map's cells in pixels of the input, pixel edges at integers: y, x."""
        (height, width), (image_h, image_w) = self.mask_input_size, self.input_image_size
        y = torch.arange(height, device=like.device, dtype=like.dtype) + 0.5
        x = torch.arange(width, device=like.device, dtype=like.dtype) + 0.5
        return y * (image_h / height), x * (image_w / width)

    def _draw_clicks(self, coords: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Gaussians at (B, N, 2) clicks, (B, 4, H, W), and their narrow ones as weights."""
        y, x = self._grid(coords)
        cell = self.input_image_size[1] / self.mask_input_size[1]
        dy = (y - coords[..., 1:] - 0.5) / cell  # (B, N, H)
        dx = (x - coords[..., :1] - 0.5) / cell  # (B, N, W)
        drawn = []
        for label in (FOREGROUND, BACKGROUND):
            here = (labels == label).to(coords.dtype)[..., None]
            for sigma in (NARROW, WIDE * self.mask_input_size[1]):
                along_y = torch.exp(-0.5 * (dy / sigma) ** 2) * here
                along_x = torch.exp(-0.5 * (dx / sigma) ** 2)
                drawn.append((along_y[..., :, None] * along_x[..., None, :]).amax(dim=1))
        maps = torch.stack(drawn, dim=1)
        return maps, maps[:, ::2]

    def _draw_boxes(self, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Inside and squashed distance of (B, 4) boxes; weights of their core and their rim."""
        y, x = self._grid(boxes)
        x0, y0, x1, y1 = (boxes + 0.5).unbind(-1)
        inside_y = torch.minimum(y - y0[:, None], y1[:, None] - y)[:, :, None]  # (B, H, 1)
        inside_x = torch.minimum(x - x0[:, None], x1[:, None] - x)[:, None, :]  # (B, 1, W)
        distance = torch.minimum(inside_y, inside_x)  # pixels, positive inside
        inside = (distance > 0).to(boxes.dtype)
        near = torch.tanh(distance / (8 * self.input_image_size[1] / self.mask_input_size[1]))

        half = (torch.stack([x1 - x0, y1 - y0]).amin(0) / 2).clamp(min=1)[:, None, None]
        core = inside * (distance / half).clamp(0, 1)
        rim = (1 - inside) * torch.exp(distance.clamp(max=0) / (0.3 * half + 4))
        return torch.stack([inside, near], dim=1), torch.stack([core, rim], dim=1)


def _unit_mass(weights: Tensor) -> Tensor:
    """Scale each map of (B, K, H, W) to the sum one; an empty map stays empty."""
    return weights / weights.sum(dim=(2, 3), keepdim=True).clamp(min=1e-6)
