"""Words as a prompt of the decoder: with a projection that tells colours, all can be foretold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

pytest.importorskip("transformers", reason="pip install 'transformers>=5,<6' for text prompts")
import toy_clip
from safetensors.torch import save_file

from sam_ros.engine.embedding import Embedding
from sam_ros.engine.hypothesis import Hypotheses
from sam_ros.engine.prompt import Prompt
from sam_ros.engine.prompt_token import EPSILON, ROUNDS, PromptToken, region_of_the_peak
from sam_ros.engine.segmenter import Segmenter
from sam_ros.engine.text import TextScorer, finish, ground
from sam_ros.model import build_sam
from sam_ros.model.checkpoint import CheckpointError
from sam_ros.model.text_prompt import (
    TAKEN,
    TextPrompt,
    as_mask_prompt,
    digest,
    load_text_prompt,
)
from sam_ros.resources import find_resource

SIZE = (96, 128)
RED, GREEN, SECOND_RED = np.s_[10:50, 10:60], np.s_[40:90, 80:120], np.s_[60:90, 20:50]


class ColourPrompt(TextPrompt):
    """Cells whose colour points where the vector points are meant; the token says nothing."""

    def __init__(self, rgb: npt.NDArray[np.uint8]) -> None:
        super().__init__(clip_dim=3, features=512, dim=128, width=8)
        self._rgb = torch.from_numpy(rgb.astype(np.float32) / 127.5 - 1).permute(2, 0, 1)[None]

    def forward(self, vectors: Tensor, image_embedding: Tensor) -> tuple[Tensor, Tensor]:
        cells = torch.nn.functional.adaptive_avg_pool2d(self._rgb, image_embedding.shape[2:])
        unit = torch.nn.functional.normalize(cells, dim=1)
        logits = 8 * torch.einsum("bc,xchw->bxhw", vectors, unit) - 6
        return torch.zeros(len(vectors), 1, 128), logits


@pytest.fixture(scope="module")
def rgb() -> npt.NDArray[np.uint8]:
    picture = np.zeros((*SIZE, 3), np.uint8)
    picture[RED], picture[GREEN], picture[SECOND_RED] = (220, 0, 0), (0, 220, 0), (220, 0, 0)
    return picture


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter(build_sam("sam_tiny"))


@pytest.fixture(scope="module")
def embedding(segmenter: Segmenter, rgb: npt.NDArray[np.uint8]) -> Embedding:
    return segmenter.set_image(rgb)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_clip.colour_clip(tmp_path_factory.mktemp("colours"))


@pytest.fixture(scope="module")
def scorer(folder: Path) -> TextScorer:
    return TextScorer.load(folder, "cpu")


def iou(mask: npt.NDArray[np.bool_], *areas: tuple[slice, slice]) -> float:
    wanted = np.zeros(SIZE, np.bool_)
    for area in areas:
        wanted[area] = True
    return float((mask & wanted).sum() / (mask | wanted).sum())


def test_words_become_masks(
    segmenter: Segmenter, scorer: TextScorer, rgb: npt.NDArray[np.uint8], embedding: Embedding
) -> None:
    """The drawn rough mask is enough for the decoder; each text gets its own."""
    grounder = PromptToken(segmenter, ColourPrompt(rgb), scorer)
    found = ground(grounder, rgb, embedding, ["red mug", "green block"])
    best = {item.text: item for item in reversed(found)}
    assert set(best) == {"red mug", "green block"}
    assert iou(best["green block"].hypothesis.mask, GREEN) > 0.7
    red = best["red mug"].hypothesis.mask
    assert max(iou(red, RED), iou(red, SECOND_RED), iou(red, RED, SECOND_RED)) > 0.6
    assert all(item.label_score >= 0.5 for item in found)


@pytest.mark.parametrize("text", ["blue mug", "unicorn"])
def test_what_is_not_there_is_not_found(
    segmenter: Segmenter,
    scorer: TextScorer,
    rgb: npt.NDArray[np.uint8],
    embedding: Embedding,
    text: str,
) -> None:
    assert ground(PromptToken(segmenter, ColourPrompt(rgb), scorer), rgb, embedding, [text]) == []


def test_what_was_answered_is_taken_out_before_the_text_is_asked_again(
    segmenter: Segmenter, scorer: TextScorer, rgb: npt.NDArray[np.uint8], embedding: Embedding
) -> None:
    """In steps, until nothing resembles the words any more; never forever."""
    clicks = []

    class Listening(Segmenter):
        def segment(self, embedding: Embedding, prompts: Sequence[Prompt]) -> list[Hypotheses]:
            clicks.append(tuple(prompts[0].points[0]))
            return super().segment(embedding, prompts)

    listening = Listening(segmenter.sam, segmenter.config, segmenter.encoder)
    steps = PromptToken(listening, ColourPrompt(rgb), scorer).answers(embedding, ["red"])
    rounds = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found, resemblance = end.value
            break
        rounds += 1
    assert 1 < rounds == len(clicks) <= ROUNDS and len(found) <= rounds
    assert len(set(clicks)) == rounds
    assert iou(found[0].mask, RED) > 0.5 and iou(found[0].mask, SECOND_RED) < 0.1
    assert any(iou(item.mask, SECOND_RED) > 0.5 for item in found[1:])
    assert resemblance.shape == (len(found), 1) and (resemblance[:2] > 1).all()


def test_cells_and_clip_judge_together(
    segmenter: Segmenter, scorer: TextScorer, rgb: npt.NDArray[np.uint8], embedding: Embedding
) -> None:
    """Scores are those of the verdict on the log odds of the crop and the best covered cell."""
    prompt = ColourPrompt(rgb)
    grounder = PromptToken(segmenter, prompt, scorer)
    texts = ["red mug", "green block"]
    found, resemblance = finish(grounder.answers(embedding, texts))
    clip = torch.from_numpy(scorer.crops(rgb, found, texts))
    with torch.no_grad():
        prompt.verdict.weight.copy_(torch.tensor([[0.5, 2.0]]))
        prompt.verdict.bias.fill_(-1.0)
        expected = (0.5 * clip.logit(EPSILON) + 2 * resemblance - 1).sigmoid()
        torch.testing.assert_close(prompt.judge(clip.logit(EPSILON), resemblance), expected)
    for item in ground(grounder, rgb, embedding, texts):
        row = [np.array_equal(other.mask, item.hypothesis.mask) for other in found].index(True)
        assert item.label_score == pytest.approx(float(expected[row, texts.index(item.text)]))
    with torch.no_grad():
        prompt.verdict.bias.fill_(-99.0)
    assert ground(grounder, rgb, embedding, texts) == []


def test_the_shipped_projection_finds_by_word(segmenter: Segmenter) -> None:
    """Offline, with the embedded models: a thing by its name, and nothing for nonsense."""
    models = find_resource("models")
    scorer = TextScorer.load(models / "clip_tiny", "cpu")
    files = (models / f"{name}.safetensors" for name in ("sam_tiny_text", "sam_tiny"))
    grounder = PromptToken.load(segmenter, scorer, *files, models / "clip_tiny")
    bgr = cv2.imread(str(find_resource("samples", "table_mug_book.jpg")))
    picture = bgr[..., ::-1].copy()
    embedding = segmenter.set_image(picture)
    (pen,) = ground(grounder, picture, embedding, ["blue pen"])
    click = Prompt(points=np.array([[170, 270]], np.float32), labels=np.array([1], np.int32))
    wanted = segmenter.segment(embedding, [click])[0].best.mask
    mask = pen.hypothesis.mask
    assert (mask & wanted).sum() / (mask | wanted).sum() > 0.7
    assert ground(grounder, picture, embedding, ["blorp", "xyzzy"]) == []


def test_only_the_region_around_the_peak_is_drawn() -> None:
    """Corners belong together; what is negative and the peak's region stay as they are."""
    logits = np.array([[3, -1, 2, 1], [-1, 5, -1, -1], [-9, -1, -1, 4]], np.float32)
    expected = logits.copy()
    expected[2, 3] -= TAKEN
    np.testing.assert_array_equal(region_of_the_peak(logits), expected)
    np.testing.assert_array_equal(region_of_the_peak(-np.abs(logits)), -np.abs(logits))


def test_a_projection_that_always_says_yes_comes_to_an_end(
    segmenter: Segmenter, scorer: TextScorer, rgb: npt.NDArray[np.uint8], embedding: Embedding
) -> None:
    torch.manual_seed(0)
    prompt = TextPrompt(clip_dim=3, features=512, dim=128).eval()
    with torch.no_grad():
        last = prompt.resemblance[-1]
        last.bias.fill_(3.0)
    found = finish(PromptToken(segmenter, prompt, scorer).search(rgb, embedding, ["red"]))
    assert len(found) <= ROUNDS


def test_a_click_refines_what_a_token_found(segmenter: Segmenter, embedding: Embedding) -> None:
    """Token, click and fed-back logits go together, and the token is read."""
    point = {"points": np.array([[35, 30]], np.float32), "labels": np.array([1], np.int32)}
    low = segmenter.segment(embedding, [Prompt(**point)])[0].best.logits
    tokens = [None, *(np.full(128, value, np.float32) for value in (0.0, 3.0))]
    prompts = [Prompt(**point, logits=low, token=token) for token in tokens]
    answers = segmenter.segment(embedding, prompts)
    logits = [answer.best.logits for answer in answers]
    assert not np.allclose(logits[1], logits[2], atol=1e-3)
    alone = segmenter.segment(embedding, prompts[1:2])[0].best.logits
    np.testing.assert_allclose(alone, logits[1], atol=1e-4)
    assert iou(answers[1].best.mask, RED) > 0.5


def test_the_mask_prompt_covers_the_square() -> None:
    """Four cells for one, and beyond the image those of its edge."""
    logits = torch.arange(6.0).reshape(1, 1, 2, 3)
    drawn = as_mask_prompt(logits, (12, 12))
    assert drawn.shape == (1, 1, 12, 12)
    assert drawn[0, 0, 0, 0] == 0 and drawn[0, 0, 7, 11] == 5
    assert (drawn[0, 0, 8:] == drawn[0, 0, 7]).all()


@pytest.fixture
def saved(folder: Path, tmp_path: Path) -> tuple[Path, Path, TextPrompt]:
    """The file of a projection, and the model that it was made for."""
    sam, path = tmp_path / "sam.safetensors", tmp_path / "text.safetensors"
    save_file({"x": torch.ones(1)}, sam)
    prompt = TextPrompt(clip_dim=3, features=20, dim=16)
    tensors = {key: value.half() for key, value in prompt.state_dict().items()}
    made_for = {"sam": digest(sam), "clip": digest(folder / "model.safetensors")}
    save_file(tensors, path, made_for)
    return path, sam, prompt


def test_it_is_read_back(saved: tuple[Path, Path, TextPrompt], folder: Path) -> None:
    path, sam, prompt = saved
    loaded = load_text_prompt(path, sam, folder / "model.safetensors")
    for key, value in prompt.state_dict().items():
        torch.testing.assert_close(loaded.state_dict()[key], value, atol=1e-3, rtol=1e-2)


def test_it_is_refused_for_other_models(
    saved: tuple[Path, Path, TextPrompt], folder: Path, tmp_path: Path
) -> None:
    """Of another model's features it would make noise, and say nothing."""
    path, sam, _ = saved
    save_file({"x": torch.zeros(1)}, sam)
    with pytest.raises(CheckpointError, match=f"was not trained for {sam}"):
        load_text_prompt(path, sam, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="no such file"):
        load_text_prompt(tmp_path / "none", sam, sam)
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(CheckpointError, match="text.safetensors"):
        load_text_prompt(path, sam, folder / "model.safetensors")
