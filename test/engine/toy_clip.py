"""CLIP checkpoints made on the spot: random ones, and one that really tells colours by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    CLIPConfig,
    CLIPImageProcessorPil,
    CLIPModel,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessorPil,
    SiglipModel,
)

COLOURS = {"red": (1, -1, -1), "green": (-1, 1, -1), "blue": (-1, -1, 1), "white": (1, 1, 1)}
SILENT = ("a", "photo", "picture", "of", "the", "mug", "cable", "block")
START, END, UNKNOWN = 0, 1, 3  # 2 has an old meaning in CLIPTextModel
WORDS = {"<start>": START, "<end>": END, "<pad>": 2, "<unknown>": UNKNOWN} | {
    word: index for index, word in enumerate((*COLOURS, *SILENT), start=4)
}
IMAGE_SIZE, PATCH = 32, 8
LOUD = 30.0  # two opposite channels so loud that LayerNorm does nothing but scale


def tokenizer(**options: Any) -> PreTrainedTokenizerFast:
    """One token for each of WORDS; all other words are unknown."""
    backend = Tokenizer(models.WordLevel(WORDS, unk_token="<unknown>"))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.post_processor = processors.TemplateProcessing(
        single="<start> $A <end>", special_tokens=[("<start>", START), ("<end>", END)]
    )
    special = {"bos_token": "<start>", "eos_token": "<end>", "unk_token": "<unknown>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", **special, **options
    )


def save(folder: Path, model: Any, processor: Any) -> Path:
    """Everything a checkpoint's folder holds."""
    for part in (model.eval(), processor, tokenizer()):
        part.save_pretrained(folder)
    return folder


def towers(layers: int, width: int, **text: Any) -> dict[str, dict[str, Any]]:
    """Sizes of both towers."""
    shared = {
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 2 if layers > 1 else 1,
    }
    words = {"vocab_size": len(WORDS), "max_position_embeddings": 16, "pad_token_id": 2}
    ends = {"bos_token_id": START, "eos_token_id": END}
    return {
        "vision_config": {**shared, "image_size": IMAGE_SIZE, "patch_size": PATCH},
        "text_config": {**shared, **words, **ends, **text},
    }


def _randomise(model: Any) -> None:
    """Weights under which different inputs give clearly different vectors."""
    torch.manual_seed(7)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "norm" not in name and "logit" not in name:
                weights.normal_(std=0.2)


def random_clip(folder: Path) -> Path:
    """A CLIP of random weights that crops the middle of its pictures."""
    model = CLIPModel(CLIPConfig(**towers(layers=3, width=32), projection_dim=24))
    _randomise(model)
    size = {"shortest_edge": IMAGE_SIZE}
    return save(folder, model, CLIPImageProcessorPil(size=size, crop_size=IMAGE_SIZE))


def random_siglip(folder: Path) -> Path:
    """A SigLIP of random weights that squashes its pictures."""
    model = SiglipModel(SiglipConfig(**towers(layers=3, width=32, projection_size=32)))
    _randomise(model)
    with torch.no_grad():
        model.logit_scale.fill_(2.0)
        model.logit_bias.fill_(-3.0)
    size = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    return save(folder, model, SiglipImageProcessorPil(size=size))


def colour_clip(folder: Path) -> Path:
    """A CLIP whose vector of a picture is its mean colour, and of a text the colour it names.

    Words that it does not know mean black, as do its background phrases. All attention is even,
    and nothing else is computed.
    """
    model = CLIPModel(CLIPConfig(**towers(layers=1, width=16), projection_dim=3))
    with torch.no_grad():
        for weights in model.parameters():
            weights.zero_()
        for tower in (model.vision_model, model.text_model):
            _passes_colours_on(tower)
        for channel in range(3):
            patch = model.vision_model.embeddings.patch_embedding.weight
            patch[channel, channel] = 1 / PATCH**2
            patch[3 + channel, channel] = -1 / PATCH**2
        for word, colour in {"<unknown>": (-1, -1, -1), **COLOURS}.items():
            token = torch.tensor(colour, dtype=torch.float32)
            row = model.text_model.embeddings.token_embedding.weight[WORDS[word]]
            row[:6] = torch.cat((token, -token))
        for projection in (model.visual_projection, model.text_projection):
            projection.weight[:, :3] = torch.eye(3)
        model.logit_scale.fill_(3.0)
    size = {"height": IMAGE_SIZE, "width": IMAGE_SIZE}
    plain = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3, "do_center_crop": False}
    save(folder, model, CLIPImageProcessorPil(size=size, **plain))
    phrases = {"templates": ["a photo of a {}"], "background": [["something"], ["floor"]]}
    (folder / "phrases.json").write_text(json.dumps(phrases))
    return folder


def _passes_colours_on(tower: Any) -> None:
    """Channels 0..5 are a colour and its opposite; each token takes the mean of what it sees."""
    channels = tower.embeddings.position_embedding.weight
    channels[:, 6], channels[:, 7] = LOUD, -LOUD
    for name, module in tower.named_modules():
        if "norm" in name:
            module.weight.fill_((2 * LOUD**2 / 16) ** 0.5)  # undoes its division
    attention = tower.encoder.layers[0].self_attn
    for layer in (attention.v_proj, attention.out_proj):
        layer.weight[:6, :6] = torch.eye(6)
