"""The two towers of `clip_tiny`: a `transformers` CLIPModel, and how its weights begin."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, PreTrainedTokenizerFast

from training.clip.captions import LONGEST

IMAGE_SIZE, PATCH_SIZE = 80, 10
MEAN, STD = (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)
EMBEDDING = 128


def make_model(tokenizer: PreTrainedTokenizerFast) -> CLIPModel:
    """The towers for a tokenizer, at their first weights."""
    text = {
        "vocab_size": len(tokenizer), "hidden_size": 96, "intermediate_size": 384,
        "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": LONGEST,
        "hidden_act": "gelu", "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id,
    }  # fmt: skip
    vision = {
        "hidden_size": 160, "intermediate_size": 640, "num_hidden_layers": 4,
        "num_attention_heads": 5, "image_size": IMAGE_SIZE, "patch_size": PATCH_SIZE,
        "hidden_act": "gelu",
    }  # fmt: skip
    config = CLIPConfig(text_config=text, vision_config=vision, projection_dim=EMBEDDING)
    model = CLIPModel(config)
    nn.init.normal_(model.text_model.embeddings.token_embedding.weight, std=0.3)
    _begin(model.vision_model)
    return model


def make_processor() -> CLIPImageProcessor:
    """What a picture goes through before the image tower."""
    size = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    return CLIPImageProcessor(
        size={"shortest_edge": IMAGE_SIZE}, crop_size=size, image_mean=list(MEAN),
        image_std=list(STD),
    )  # fmt: skip


@torch.no_grad()
def _begin(vision: nn.Module) -> None:
    """First weights: positions as sines, features as lively as their input."""
    width = vision.config.hidden_size
    side = vision.config.image_size // vision.config.patch_size
    vision.embeddings.position_embedding.weight.copy_(
        torch.cat([torch.zeros(1, width), torch.from_numpy(_sines(side, width))])
    )
    nn.init.trunc_normal_(vision.embeddings.patch_embedding.weight, std=0.05)
    for module in vision.encoder.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)


def _sines(side: int, width: int) -> np.ndarray:
    """Positions on a square grid as sines and cosines: (side * side, width) float32."""
    quarter = width // 4
    rates = 1 / 100 ** (np.arange(quarter) / quarter)
    row, column = np.mgrid[0:side, 0:side].reshape(2, -1)
    angles = [n[:, None] * rates for n in (row, column)]
    waves = [wave(angle) for angle in angles for wave in (np.sin, np.cos)]
    return np.concatenate(waves, 1).astype(np.float32) * 0.3


def embed_pictures(model: CLIPModel, pixels: Tensor, kept: float = 1.0) -> Tensor:
    """Unit embeddings of pictures, from a random share of their patches.

    Args:
        model: the towers.
        pixels: (B, 3, H, W), normalised.
        kept: share of the patches that is looked at; less is faster and regularises
            (FLIP, arXiv 2212.00794). 1 is what `get_image_features` gives.

    Returns:
        (B, D) of unit length.
    """
    vision = model.vision_model
    hidden = vision.embeddings(pixels)
    if kept < 1:
        count = hidden.shape[1] - 1
        order = torch.rand(len(pixels), count).argsort(1)[:, : round(count * kept)] + 1
        order = torch.cat([torch.zeros(len(pixels), 1, dtype=torch.long), order], 1)
        hidden = hidden[torch.arange(len(pixels))[:, None], order]
    hidden = vision.encoder(inputs_embeds=vision.pre_layrnorm(hidden)).last_hidden_state
    pooled = model.visual_projection(vision.post_layernorm(hidden[:, 0]))
    return nn.functional.normalize(pooled, dim=-1)


def embed_texts(model: CLIPModel, tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> Tensor:
    """Unit embeddings of sentences: (N, D)."""
    tokens = tokenizer(texts, padding=True, truncation=True, return_tensors="pt").input_ids
    features = model.get_text_features(input_ids=tokens).pooler_output
    return nn.functional.normalize(features, dim=-1)
