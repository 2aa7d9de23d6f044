"""Words to masks: with a CLIP that tells colours by name, everything can be foretold."""

from __future__ import annotations

import json
from collections.abc import Generator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("transformers", reason="pip install 'transformers>=5,<6' for text prompts")
import toy_clip

from sam_ros.engine.boxes import tight_box
from sam_ros.engine.clip import Clip
from sam_ros.engine.embedding import Embedding
from sam_ros.engine.hypothesis import Hypothesis
from sam_ros.engine.phrases import BACKGROUND, Phrases
from sam_ros.engine.propose_and_rank import ProposeAndRank, best_rows, select, shared
from sam_ros.engine.text import TextConfig, TextScorer, ground, masked_crop
from sam_ros.engine.transform import Transform

SIZE = (96, 128)
RED, GREEN, LEFT = np.s_[10:50, 10:60], np.s_[40:90, 80:120], np.s_[10:50, 10:30]
SECOND_RED = np.s_[60:90, 20:50]

EMBEDDING = Embedding(torch.zeros(1), Transform(SIZE, 64))

Mask = npt.NDArray[np.bool_]


def mask_of(*areas: tuple[slice, slice]) -> Mask:
    mask = np.zeros(SIZE, np.bool_)
    for area in areas:
        mask[area] = True
    return mask


def hypothesis_of(mask: Mask, score: float = 0.9) -> Hypothesis:
    logits = np.zeros((4, 4), np.float32)
    return Hypothesis(mask, score, score, score, int(mask.sum()), tight_box(mask), -1, logits)


@pytest.fixture(scope="module")
def rgb() -> npt.NDArray[np.uint8]:
    picture = np.zeros((*SIZE, 3), np.uint8)
    picture[RED], picture[GREEN], picture[SECOND_RED] = (220, 0, 0), (0, 220, 0), (200, 30, 30)
    return picture


@pytest.fixture(scope="module")
def proposals() -> list[Hypothesis]:
    everything = mask_of(np.s_[:, :])
    masks = (mask_of(RED), mask_of(GREEN), mask_of(LEFT), mask_of(SECOND_RED))
    return [hypothesis_of(mask) for mask in (*masks, everything, ~everything)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return toy_clip.colour_clip(tmp_path_factory.mktemp("colours"))


@pytest.fixture(scope="module")
def scorer(folder: Path) -> TextScorer:
    return TextScorer(Clip.load(folder, "cpu"), Phrases.read(folder))


@pytest.fixture
def grounder(scorer: TextScorer, proposals: list[Hypothesis]) -> ProposeAndRank:
    def propose(*_: object) -> Generator[float, None, list[Hypothesis]]:
        yield 0.5
        return proposals

    return ProposeAndRank(propose, scorer)


def areas(grounder: ProposeAndRank, rgb: npt.NDArray[np.uint8], *texts: str) -> list[object]:
    """(text, index of the proposal) of each instance that is found."""
    found = ground(grounder, rgb, EMBEDDING, texts)
    order = [hypothesis_of(mask_of(area)) for area in (RED, GREEN, LEFT, SECOND_RED)]
    assert all(item.label_score >= grounder.config.threshold for item in found)
    return [
        (item.text, next(i for i, o in enumerate(order) if (o.mask == item.hypothesis.mask).all()))
        for item in found
    ]


def test_texts_find_all_their_instances(
    grounder: ProposeAndRank, rgb: npt.NDArray[np.uint8]
) -> None:
    """Two red things, one green one; a part of an instance is no other instance."""
    found = areas(grounder, rgb, "red mug", "green block")
    assert sorted(found[:2])[1] == ("red mug", 3)
    assert sorted(found[:2])[0] in (("red mug", 0), ("red mug", 2))
    assert found[2:] == [("green block", 1)]


@pytest.mark.parametrize("text", ["blue mug", "white", "unicorn"])
def test_what_is_not_there_is_not_found(
    grounder: ProposeAndRank, rgb: npt.NDArray[np.uint8], text: str
) -> None:
    """Neither the best of a bad lot nor a word that means nothing to the checkpoint."""
    assert areas(grounder, rgb, text) == []


def test_a_region_goes_to_the_text_that_fits_it_best_and_scores_stay(
    grounder: ProposeAndRank, scorer: TextScorer, rgb: npt.NDArray[np.uint8]
) -> None:
    """Asking for more changes no score: each text competes with the background alone."""
    alone = ground(grounder, rgb, EMBEDDING, ["red"])
    more = ground(grounder, rgb, EMBEDDING, ["red", "blue", "green"])
    assert {i.text for i in more} == {"red", "green"}
    assert [i.label_score for i in alone] == pytest.approx(
        [i.label_score for i in more if i.text == "red"]
    )


def test_other_work_fits_between_the_steps_and_masks_are_proposed_once(
    scorer: TextScorer, proposals: list[Hypothesis], rgb: npt.NDArray[np.uint8]
) -> None:
    """A second text on the same picture costs its scores alone."""
    asked = []

    def propose(*_: object) -> Generator[float, None, list[Hypothesis]]:
        asked.append(True)
        yield 0.3
        yield 0.6
        return proposals

    grounder = ProposeAndRank(propose, scorer)
    steps = [len(list(grounder.search(rgb, item, ["red"]))) for item in (EMBEDDING, EMBEDDING)]
    assert steps == [3, 1]
    ground(grounder, rgb, Embedding(torch.zeros(1), Transform(SIZE, 64)), ["red"])
    assert len(asked) == 2


def test_the_score_is_a_softmax_over_the_text_and_the_background(
    scorer: TextScorer, folder: Path, rgb: npt.NDArray[np.uint8], proposals: list[Hypothesis]
) -> None:
    """With the checkpoint's own scale; computed here the long way."""
    clip = Clip.load(folder, "cpu")
    crop = masked_crop(rgb, proposals[0].mask, proposals[0].box, clip.pixels.colour)
    sentences = [f"a photo of a {words}" for words in ("red", "something", "floor")]
    logits = clip.logits(clip.embed_images([crop]), clip.embed_texts(sentences))
    expected = float(logits.softmax(dim=1)[0, 0])
    assert scorer.crops(rgb, proposals[:1], ["red"])[0, 0] == pytest.approx(expected, abs=1e-6)


def test_a_bias_moves_the_log_odds(
    scorer: TextScorer, folder: Path, rgb: npt.NDArray[np.uint8], proposals: list[Hypothesis]
) -> None:
    """So that a checkpoint's scores say how often they are right; the order stays."""
    common = Phrases.read(folder)
    biased = TextScorer(
        Clip.load(folder, "cpu"), Phrases(common.templates, common.background, -1.5)
    )
    scores = [one.crops(rgb, proposals[:2], ["red"])[:, 0] for one in (scorer, biased)]
    plain, moved = (np.log(score / (1 - score)) for score in scores)
    np.testing.assert_allclose(moved, plain - 1.5, rtol=1e-2)


def test_siglip_gives_its_sigmoid_where_the_background_does_not_fit(
    tmp_path: Path, rgb: npt.NDArray[np.uint8], proposals: list[Hypothesis]
) -> None:
    """One more alternative of logit 0: between the sigmoid and the softmax, below both."""
    clip = Clip.load(toy_clip.random_siglip(tmp_path), "cpu")
    phrases = Phrases(("{}",), (("green",),))
    crop = masked_crop(rgb, proposals[0].mask, proposals[0].box, clip.pixels.colour)
    logits = clip.logits(clip.embed_images([crop]), clip.embed_texts(["red", "green"]))[0]
    with_zero = torch.cat((logits, torch.zeros(1))).softmax(dim=0)[0]
    score = TextScorer(clip, phrases).crops(rgb, proposals[:1], ["red"])[0, 0]
    assert score == pytest.approx(float(with_zero), abs=1e-6)
    assert score < min(logits[0].sigmoid(), logits.softmax(dim=0)[0])


def test_dense_scores_rank_as_the_crops_do(
    scorer: TextScorer, rgb: npt.NDArray[np.uint8], proposals: list[Hypothesis]
) -> None:
    """Coarser, but the best mask of each text is the same."""
    texts = ["red", "green"]
    dense = scorer.dense(rgb, [item.mask for item in proposals[:2]], texts)
    crops = scorer.crops(rgb, proposals[:2], texts)
    assert (dense.argmax(axis=0) == crops.argmax(axis=0)).all()


@given(st.integers(1, 5), st.integers(0, 99))
def test_best_rows_are_the_best_of_every_column(count: int, seed: int) -> None:
    scores = np.random.default_rng(seed).uniform(size=(9, 3)).astype(np.float32)
    rows = best_rows(scores, count)
    for column in scores.T:
        assert set(np.argsort(-column)[:count]) <= set(rows)
    assert len(rows) <= 3 * count


@given(st.lists(st.tuples(st.integers(0, 80), st.integers(5, 40)), min_size=1, max_size=6))
def test_chosen_instances_do_not_overlap(bars: list[tuple[int, int]]) -> None:
    """By more than the limit, and the best one is always among them."""
    items = [hypothesis_of(mask_of(np.s_[:, x : x + width])) for x, width in bars]
    scores = np.linspace(0.9, 0.5, len(items), dtype=np.float32)[:, None]
    config = TextConfig(threshold=0.6, overlap=0.3)
    found = select(items, scores, ["red"], config)
    assert found[0].hypothesis is items[0]
    assert all(one.label_score >= 0.6 for one in found)
    pairs = [(a.hypothesis, b.hypothesis) for a in found for b in found if a is not b]
    assert all(shared(a, b) <= 0.3 for a, b in pairs)


@pytest.mark.parametrize("area", [RED, np.s_[0:3, 0:120], np.s_[95:96, 127:128], np.s_[:, :]])
def test_a_crop_shows_the_thing_and_nothing_else(area: tuple[slice, slice]) -> None:
    """Whole, in the middle of a square, all else in one colour; also at the picture's edge."""
    rng = np.random.default_rng(1)
    picture = rng.integers(1, 255, (*SIZE, 3), np.uint8)
    mask = mask_of(area)
    crop = masked_crop(picture, mask, tight_box(mask), (255, 255, 255))
    rows, columns = np.nonzero((crop != 255).any(axis=2))
    height, width = crop.shape[:2]
    assert height == width
    assert len(rows) == mask.sum()
    thing = crop[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    np.testing.assert_array_equal(thing, picture[area])
    assert abs(rows.min() - (height - 1 - rows.max())) <= 1
    assert abs(columns.min() - (width - 1 - columns.max())) <= 1


def test_phrases_of_the_same_meaning_do_not_compete() -> None:
    against = Phrases().against("red mugs")
    assert not {"mug", "cup", "coffee cup"} & set(against)
    assert {"bottle", "wall"} <= set(against)
    assert len(Phrases().against("unicorn")) == sum(map(len, BACKGROUND))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"templates": ["no braces"], "background": [["x"]]}, "no braces"),
        ({"templates": [], "background": [["x"]]}, "at least one"),
        ({"templates": ["{}"], "background": []}, "at least one"),
        ({"templates": ["{}"]}, "background"),
        ({"templates": ["{}"], "background": [["x"]], "bias": "high"}, "high"),
        ({"templates": ["{}"], "background": [["x"]], "bias": float("inf")}, "bias: inf"),
        ([], "phrases.json"),
    ],
)
def test_a_wrong_file_of_phrases_is_told(tmp_path: Path, values: object, message: str) -> None:
    (tmp_path / "phrases.json").write_text(json.dumps(values))
    with pytest.raises(ValueError, match=message):
        Phrases.read(tmp_path)


def test_a_checkpoint_brings_its_phrases_or_gets_the_common_ones(
    tmp_path: Path, folder: Path
) -> None:
    assert Phrases.read(tmp_path) == Phrases()
    assert Phrases.read(folder).background == (("something",), ("floor",))
