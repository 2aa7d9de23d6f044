"""What `clip_tiny` is taught: words, colours, captions, losses, towers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("transformers", reason="pip install sam_ros[text]")
pytest.importorskip("numba", reason="pip install sam_ros[train]")

import torch
from transformers import AutoTokenizer, CLIPModel

from training.clip.captions import LONGEST, Caption, Speaker, fits, make_tokenizer
from training.clip.colours import named, shares
from training.clip.crops import GROUND, SIZE, UNNAMED, _fragment_crop, cut
from training.clip.evaluate import LABELS, at_least, questions
from training.clip.meanings import Meanings
from training.clip.pictures import augment, on_plain
from training.clip.towers import IMAGE_SIZE, embed_pictures, embed_texts, make_model
from training.clip.train import Schedule, begin_from, contrast, export, new_state
from training.clip.vocabulary import COLOURS, Vocabulary


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    """The table of the project."""
    return Vocabulary.read()


def name(vocabulary: Vocabulary, library_name: str) -> str:
    """The concept that an object of the library belongs to, or nothing."""
    index = vocabulary.index(library_name)
    return vocabulary.concepts[index].name if index >= 0 else ""


@pytest.mark.parametrize(
    ("library_name", "concept"),
    [
        ("coffee mug", "mug"),
        ("hot beverage", "mug"),
        ("chicken burger bw", "hamburger"),  # the longest pattern counts: not the bird
        ("apple imac 1998", "computer"),
        ("glasses", "glasses"),
        ("glass", "glass"),
        ("sierra leone", ""),  # a country on a map, not a lion
        ("boxing glove", "gloves"),  # no `ring`, no `box`
        ("three button mouse", "computer mouse"),
        ("zanzibar", ""),
    ],
)
def test_names_of_the_library_find_their_concept(
    vocabulary: Vocabulary, library_name: str, concept: str
) -> None:
    """Whole words, whole names where asked for, exceptions respected."""
    assert name(vocabulary, library_name) == concept


def test_a_shared_word_may_be_said_of_several_concepts(vocabulary: Vocabulary) -> None:
    """`container` fits bottles and boxes; `mug` fits mugs alone."""
    index = {concept.name: k for k, concept in enumerate(vocabulary.concepts)}
    assert {index["bottle"], index["box"]} <= vocabulary.phrases["container"]
    assert vocabulary.phrases["mug"] == {index["mug"]}


def test_bad_rows_are_named(tmp_path: Path) -> None:
    """Errors quote the row, or the name that comes twice."""
    path = tmp_path / "words.txt"
    path.write_text("mug; cup; container\n")
    with pytest.raises(ValueError, match="mug; cup; container"):
        Vocabulary.read(path)
    path.write_text("mug; ; ; mug\nmug; ; ; cup\n")
    with pytest.raises(ValueError, match="mug more than once"):
        Vocabulary.read(path)


@pytest.mark.parametrize(
    ("rgb", "word"),
    [
        ((200, 20, 20), "red"), ((30, 60, 200), "blue"), ((20, 150, 40), "green"),
        ((250, 250, 250), "white"), ((10, 10, 12), "black"), ((128, 128, 128), "grey"),
        ((240, 220, 40), "yellow"), ((110, 70, 30), "brown"), ((250, 150, 190), "pink"),
        ((240, 130, 20), "orange"), ((110, 40, 160), "purple"),
    ],
)  # fmt: skip
def test_plain_colours_get_their_word(rgb: tuple[int, int, int], word: str) -> None:
    """Only the object counts, not the background."""
    rgba = np.zeros((8, 8, 4), np.uint8)
    rgba[:4] = (*rgb, 255)
    rgba[4:, :, :3] = (0, 255, 255)
    assert [COLOURS[k] for k in named(shares(rgba))] == [word]


@given(st.integers(0, 2**32 - 1))
def test_shares_add_up(seed: int) -> None:
    """Every pixel has one colour; at most two are named, and only large ones."""
    rgba = np.random.default_rng(seed).integers(0, 256, (6, 6, 4), dtype=np.uint8)
    rgba[0, 0, 3] = 255
    row = shares(rgba)
    assert row.sum() == pytest.approx(1)
    assert len(named(row)) <= 2 and all(row[k] >= 0.25 for k in named(row))


def test_captions_fit_what_they_say(vocabulary: Vocabulary) -> None:
    """A name fits its concept, a colour needs the colour, generic words fit objects only."""
    red, blue = COLOURS.index("red"), COLOURS.index("blue")
    labels = np.array([3, 4, UNNAMED, GROUND])
    colours = np.zeros((4, len(COLOURS)), bool)
    colours[[0, 1], red] = True
    captions = [
        Caption("three", frozenset({3})), Caption("red three", frozenset({3}), red),
        Caption("blue three", frozenset({3}), blue), Caption("red thing", None, red),
        Caption("thing", None, weight=0.2), Caption("floor", ground=True), Caption("zorblax"),
    ]  # fmt: skip
    expected = [
        [1, 1, 0, 1, 0.2, 0, 0],
        [0, 0, 0, 1, 0.2, 0, 0],
        [0, 0, 0, 0, 0.2, 0, 0],
        [0, 0, 0, 0, 0, 1, 0],
    ]
    np.testing.assert_allclose(fits(captions, labels, colours), expected)


def test_speaker_tells_the_truth(vocabulary: Vocabulary) -> None:
    """What it says of a concept fits that concept; invented words fit nothing."""
    speaker = Speaker(vocabulary, np.random.default_rng(0))
    colours = np.ones((1, len(COLOURS)), bool)
    for concept in range(len(vocabulary.concepts)):
        captions = [speaker.of(concept), speaker.coloured(concept, 3), speaker.nonsense()]
        weights = fits(captions, np.array([concept]), colours)[0]
        assert weights[0] and weights[1] and not weights[2], captions


def test_tokens_begin_end_and_tell_words_apart(vocabulary: Vocabulary, tmp_path: Path) -> None:
    """Every word of the table has tokens of its own, also after saving; case does not matter."""
    tokenizer = make_tokenizer(vocabulary)
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    words = sorted(set(vocabulary.words()))
    tokens = loaded(words).input_ids
    assert tokens == tokenizer(words).input_ids
    assert len({tuple(row) for row in tokens}) == len(words)
    assert all(row[0] == loaded.bos_token_id and row[-1] == loaded.eos_token_id for row in tokens)
    assert loaded("Red MUG").input_ids == loaded("red mug").input_ids
    assert len(loaded("mug " * 200, truncation=True).input_ids) == LONGEST


def test_contrast_is_cross_entropy_where_one_answer_is_right() -> None:
    """Against torch's own, rows and half of the columns."""
    logits = torch.randn(5, 5, generator=torch.Generator().manual_seed(0))
    order = torch.arange(5)
    cross_entropy = torch.nn.functional.cross_entropy
    expected = cross_entropy(logits, order) + 0.5 * cross_entropy(logits.T, order)
    torch.testing.assert_close(contrast(logits, torch.eye(5)), expected)


def test_contrast_ignores_captions_that_fit_nothing_as_columns() -> None:
    """They are wrong answers for the rows; as columns they have no right one."""
    logits = torch.zeros(2, 3)
    weights = torch.tensor([[1.0, 0, 0], [0, 1.0, 0]])
    assert contrast(logits, weights).item() == pytest.approx(np.log(3) + 0.5 * np.log(2))


def test_meanings_add_up(vocabulary: Vocabulary) -> None:
    """A shared name lies between its concepts, a colour moves it, all vectors have length 1."""
    torch.manual_seed(0)
    meanings = Meanings(vocabulary, 64)
    red = COLOURS.index("red")
    captions = [
        Caption("3", frozenset({3})), Caption("4", frozenset({4})),
        Caption("3 or 4", frozenset({3, 4})),
        Caption("red 3", frozenset({3}), red), Caption("thing", None), Caption("zorblax"),
    ]  # fmt: skip
    vectors = meanings(captions).detach()
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(6))
    alike = vectors @ vectors.T
    assert min(alike[2, 0], alike[2, 1]) > max(alike[0, 1], 0.5)
    assert 0.5 < alike[3, 0] < 0.9
    hue = meanings.colours[red] / meanings.colours[red].norm()
    assert vectors[3] @ hue > vectors[0] @ hue + 0.3
    assert not torch.allclose(vectors[4], vectors[5])


def test_towers_are_those_of_transformers(vocabulary: Vocabulary, tmp_path: Path) -> None:
    """All patches: what get_image_features gives, also from the saved folder; a share: not."""
    torch.manual_seed(0)
    tokenizer = make_tokenizer(vocabulary)
    model = make_model(tokenizer).eval()
    model.save_pretrained(tmp_path)
    loaded = CLIPModel.from_pretrained(tmp_path)
    pixels = torch.randn(2, 3, IMAGE_SIZE, IMAGE_SIZE)
    with torch.no_grad():
        ours = embed_pictures(model, pixels)
        theirs = loaded.get_image_features(pixel_values=pixels).pooler_output
        part = embed_pictures(model, pixels, 0.4)
        texts = embed_texts(model, tokenizer, ["mug", "a photo of a red mug"])
        alone = embed_texts(model, tokenizer, ["mug"])
    torch.testing.assert_close(ours, torch.nn.functional.normalize(theirs, dim=-1))
    assert not torch.allclose(ours, part, atol=1e-3)
    torch.testing.assert_close(texts[:1], alone)  # padding changes nothing


def test_a_crop_keeps_the_object_in_view() -> None:
    """The square holds all of the box, and the mask lies on the object's pixels."""
    image = np.full((240, 260, 3), 30, np.uint8)
    mask = np.zeros((240, 260), bool)
    mask[90:130, 80:180] = True
    image[mask] = (200, 0, 0)
    rgba = cut(image, mask, (80, 90, 100, 40), np.random.default_rng(0))
    assert rgba.shape == (SIZE, SIZE, 4)
    red = rgba[..., 0] > 150
    assert np.mean(red == (rgba[..., 3] > 127)) > 0.97
    assert red.any(0).sum() > 0.55 * SIZE


def test_what_is_no_whole_thing_is_labelled_so() -> None:
    """Pieces of a thing hold less than half of it; what is around a thing holds none of it."""
    image = np.full((240, 260, 3), 30, np.uint8)
    thing = np.zeros((240, 260), bool)
    thing[90:190, 80:180] = True
    image[thing] = (200, 0, 0)
    rng = np.random.default_rng(0)
    crops = [c for _ in range(40) for c in _fragment_crop(image, thing, [thing], "a/b", rng)]
    assert len(crops) > 20 and {crop.label for crop in crops} == {GROUND}
    red = np.array([np.median(crop.rgba[crop.rgba[..., 3] > 127][:, 0]) for crop in crops])
    assert ((red < 40) | (red > 190)).all() and 5 < (red > 190).sum() < len(crops) - 5


def test_towers_are_taken_up_with_what_their_words_mean(
    vocabulary: Vocabulary, tmp_path: Path
) -> None:
    """The table says what the exported text tower says, also of a colour."""
    tokenizer = make_tokenizer(vocabulary)
    export(new_state(tokenizer, vocabulary, Schedule(), seed=1), tokenizer, tmp_path)
    state = new_state(tokenizer, vocabulary, Schedule(), seed=2)
    begin_from(state, tokenizer, tmp_path)
    name, red = vocabulary.concepts[3].name, COLOURS.index("red")
    captions = [Caption(name, frozenset({3})), Caption("red object", None, red)]
    texts = embed_texts(state.model, tokenizer, [caption.text for caption in captions])
    alike = (state.meanings(captions) * texts).sum(1)
    assert alike.tolist() == pytest.approx([1, 1], abs=1e-2)


def test_augmented_pictures_fit_the_tower() -> None:
    """Shape and type, for every kind of background; an object on plain ground stays as it is."""
    rng = np.random.default_rng(0)
    rgba = rng.integers(0, 256, (SIZE, SIZE, 4), dtype=np.uint8)
    for _ in range(30):
        picture = augment(rgba, rgba[..., :3], rng)
        assert picture.shape == (IMAGE_SIZE, IMAGE_SIZE, 3) and picture.dtype == np.uint8
    solid = rgba[..., 3] == 255
    plain = on_plain(rgba, np.array([128, 128, 128]))
    assert (plain[solid] == rgba[solid][:, :3]).all()
    assert (plain[rgba[..., 3] == 0] == 128).all()


def test_labels_of_the_photographs_ask_answerable_questions() -> None:
    """Each question has a right and a wrong object; every object has a noun and a phrase."""
    labels = json.loads(LABELS.read_text())
    assert all(
        row["nouns"] and row["phrases"] for scene in labels.values() for row in scene.values()
    )
    asked = questions(labels)
    assert len(asked) > 40
    for question in asked:
        assert 0 < len(question.right) < len(labels[question.scene])


def test_at_least_is_the_binomial_tail() -> None:
    """Two of three at even odds, or more: one half."""
    assert at_least(2, [0.5, 0.5, 0.5]) == pytest.approx(0.5)
    assert at_least(0, [0.3]) == pytest.approx(1)
