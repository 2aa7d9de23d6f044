"""CLIP and SigLIP give what a direct call of transformers gives, from local files alone."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import numpy.typing as npt
import pytest
import torch
from safetensors.torch import load_file, save_file

pytest.importorskip("transformers", reason="pip install 'transformers>=5,<6' for text prompts")
import toy_clip
from transformers import AutoImageProcessor, AutoModel

from sam_ros.engine import clip as clip_module
from sam_ros.engine.clip import Clip
from sam_ros.engine.clip_folder import ClipError

MAKERS = {"clip": toy_clip.random_clip, "siglip": toy_clip.random_siglip}
TEXTS = ["a photo of a red mug", "blue", "a " * 40]
CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=MAKERS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return MAKERS[request.param](tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def clip(folder: Path) -> Clip:
    return Clip.load(folder, "cpu")


@pytest.fixture(scope="module")
def direct(folder: Path) -> Any:
    """The library's own model."""
    return AutoModel.from_pretrained(folder, local_files_only=True).eval()


@pytest.fixture
def pictures(picture: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.uint8]]:
    """Of different sizes."""
    return [picture, picture[:, 30:90], picture[20:60, ::-1]]


def inputs(direct: Any, texts: list[str]) -> torch.Tensor:
    padding = "max_length" if direct.config.model_type == "siglip" else True
    tokens = toy_clip.tokenizer()(texts, padding=padding, truncation=True, max_length=16)
    return torch.tensor(tokens["input_ids"])


@torch.inference_mode()
def test_vectors_and_logits_are_those_of_the_library(
    clip: Clip, direct: Any, pictures: list[npt.NDArray[np.uint8]]
) -> None:
    """On equal pixels, to 1e-5; texts that are too long are cut."""
    pixels = torch.stack([clip.pixels(picture, CPU) for picture in pictures])
    expected = direct(input_ids=inputs(direct, TEXTS), pixel_values=pixels)
    images, texts = clip.embed_images(pictures), clip.embed_texts(TEXTS)
    torch.testing.assert_close(images, expected.image_embeds, atol=1e-5, rtol=0)
    torch.testing.assert_close(texts, expected.text_embeds, atol=1e-5, rtol=0)
    torch.testing.assert_close(
        clip.logits(images, texts), expected.logits_per_image, atol=1e-4, rtol=0
    )
    torch.testing.assert_close(images.norm(dim=1), torch.ones(3))


@torch.inference_mode()
def test_pictures_from_the_librarys_own_processor_give_nearly_the_same_vector(
    clip: Clip, direct: Any, folder: Path, pictures: list[npt.NDArray[np.uint8]]
) -> None:
    """From the picture to the vector; the resizing differs by a grey level here and there."""
    processor = AutoImageProcessor.from_pretrained(folder)
    pixels = torch.cat([processor(p, return_tensors="pt").pixel_values for p in pictures])
    expected = torch.nn.functional.normalize(
        direct.get_image_features(pixel_values=pixels).pooler_output, dim=-1
    )
    cosines = (clip.embed_images(pictures) * expected).sum(dim=1)
    assert cosines.min() > 0.9999


@torch.inference_mode()
def test_a_mask_of_everything_gives_the_vector_of_the_squashed_picture(
    clip: Clip, direct: Any, pictures: list[npt.NDArray[np.uint8]]
) -> None:
    """However many other masks are pooled in the same pass."""
    picture = pictures[0]
    full, part = np.ones(picture.shape[:2], np.bool_), np.zeros(picture.shape[:2], np.bool_)
    part[3:17, 20:41] = True
    pixels = clip.pixels.squashed(picture, (toy_clip.IMAGE_SIZE,) * 2, CPU)[None]
    features = direct.get_image_features(pixel_values=pixels).pooler_output
    expected = torch.nn.functional.normalize(features, dim=-1)
    dense = clip.dense(picture, [part, full, part])
    torch.testing.assert_close(dense[1:2], expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(dense[0], dense[2])
    torch.testing.assert_close(dense[:1], clip.dense(picture, [part]), atol=1e-5, rtol=0)
    assert not torch.allclose(dense[0], dense[1], atol=1e-2)
    with pytest.raises(ValueError, match="empty"):
        clip.dense(picture, [full, ~full])


def test_texts_are_encoded_once_and_the_oldest_are_forgotten(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, encoded = Clip.load(folder, "cpu"), []
    clip._texts.clear()
    encode = clip._encode_texts
    monkeypatch.setattr(
        clip, "_encode_texts", lambda texts: encoded.append(texts) or encode(texts)
    )
    monkeypatch.setattr(clip_module, "REMEMBERED", 2)
    first = clip.embed_texts(["red", "green", "red"])
    torch.testing.assert_close(first[0], first[2])
    clip.embed_texts(["red"])  # now the more recent one
    clip.embed_texts(["blue"])
    clip.embed_texts(["red"])
    clip.embed_texts(["green"])
    assert encoded == [["red", "green"], ["blue"], ["green"]]


def test_it_is_loaded_without_a_network_and_in_silence(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Not a single connection is tried, whatever the environment says."""

    def refuse(*args: Any) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    capfd.readouterr()
    Clip.load(folder, "cpu").embed_texts(["red"])
    assert capfd.readouterr().err == ""


def test_a_name_is_found_in_the_hubs_cache(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "models--somebody--some-clip"
    shutil.copytree(folder, repository / "snapshots" / "abc")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    assert Clip.load("somebody/some-clip", "cpu").embed_texts(["red"]).shape[0] == 1
    with pytest.raises(ClipError, match="somebody/other.*neither a folder nor in the cache"):
        Clip.load("somebody/other", "cpu")


def edit_json(name: str, **values: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **values}))

    return edit


def edit_weights(change: Callable[[dict[str, torch.Tensor]], Any]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        weights = {name: tensor.clone() for name, tensor in weights.items()}
        change(weights)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    return edit


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])


DAMAGE = {
    "no config": (lambda f: (f / "config.json").unlink(), "no config.json"),
    "broken config": (lambda f: (f / "config.json").write_text("{"), "config.json"),
    "another model": (edit_json("config.json", model_type="bert"), "model_type 'bert'.*clip"),
    "only a pickle": (
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
        "no model.safetensors; pickled",
    ),
    "cut off": (cut, "."),
    "a weight missing": (edit_weights(lambda w: w.pop("logit_scale")), "missing.*logit_scale"),
    "a weight too many": (edit_weights(lambda w: w.update(x=torch.ones(1))), "unexpected.*x"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "no tokenizer.json"),
    "broken tokenizer": (lambda f: (f / "tokenizer.json").write_text("{}"), "."),
    "no padding": (edit_json("tokenizer_config.json", pad_token=None), "pad"),
    "no preprocessor": (
        lambda f: (f / "preprocessor_config.json").unlink(),
        "no preprocessor_config.json",
    ),
    "another picture size": (
        edit_json(
            "preprocessor_config.json",
            size={"height": 40, "width": 40},
            crop_size={"height": 40, "width": 40},
        ),
        ".",
    ),
    "unknown resampling": (edit_json("preprocessor_config.json", resample=5), "resample: 5"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_folder_that_cannot_be_used_is_told(folder: Path, tmp_path: Path, name: str) -> None:
    """By an error that names the folder and what is wrong."""
    damage, message = DAMAGE[name]
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    damage(copy)
    with pytest.raises(ClipError, match=message) as caught:
        Clip.load(copy, "cpu")
    assert str(copy) in str(caught.value)


def test_a_path_that_is_no_folder_is_told(tmp_path: Path) -> None:
    for source in (tmp_path / "nowhere", "~/no/such/folder", "a b"):
        with pytest.raises(ClipError, match="is not a folder"):
            Clip.load(source, "cpu")
