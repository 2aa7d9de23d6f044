"""Training of the text prompt: what is asked of a scene, and that it can be learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("transformers", reason="pip install sam_ros[text]")

from sam_ros.engine.clip import Clip
from sam_ros.model import build_sam
from sam_ros.model.text_prompt import digest, load_text_prompt
from training.clip.calibrate import rates
from training.clip.vocabulary import COLOURS, Vocabulary
from training.text_prompt.asker import Asker, Mixture, Prompts
from training.text_prompt.calibrate import FALSE_ALARMS, Answers, fit, outcomes
from training.text_prompt.scenes import Encoded
from training.text_prompt.train import (
    Schedule,
    cell_loss,
    export,
    most_alike,
    new_state,
    peaks,
    scene_loss,
    train_step,
    union,
)

CLIP = Path(__file__).parents[2] / "resource" / "models" / "clip_tiny"
SIZE = (6, 8)


def encoded(labels: list[int], colours: list[str]) -> Encoded:
    """Objects side by side, each of features of its own."""
    h, w = SIZE
    torch.manual_seed(0)
    features, coverage = torch.randn(1, 512, h, w) * 0.1, torch.zeros(len(labels), 4 * h, 4 * w)
    for row in range(len(labels)):
        left = row * w // len(labels)
        coverage[row, 4:20, 4 * left : 4 * left + 8] = 255
        features[0, :, 1:5, left : left + 2] += torch.randn(512, 1, 1)
    shares = torch.eye(len(COLOURS))[[COLOURS.index(colour) for colour in colours]]
    crops = torch.zeros(len(labels), 96, 96, 3, dtype=torch.uint8)
    return Encoded(features.half(), coverage.byte(), crops, torch.tensor(labels), shares)


def test_maps_are_joined_and_cells_weigh_by_side() -> None:
    maps = torch.tensor([[[1.0, 0.0]], [[0.5, 1.0]]])
    chosen = torch.tensor([[True, True], [False, True], [False, False]])
    assert union(chosen, maps).tolist() == [[[1, 1]], [[0.5, 1]], [[0, 0]]]
    wanted = torch.zeros(1, 10, 10)
    wanted[0, 0, 0] = 1
    low, high = -torch.ones(1, 10, 10), torch.where(wanted > 0, 1.0, -1.0)
    assert cell_loss(low, wanted) - cell_loss(high, wanted) == pytest.approx(1.0, abs=1e-5)


def test_the_fitting_object_that_resembles_the_vector_most_is_drawn() -> None:
    """The mean over its cells counts; what does not fit takes no part."""
    logits = torch.tensor([[[2.0, 1.0, 9.0]], [[0.0, 1.0, 9.0]]])
    cells = torch.tensor([[[1.0, 0, 0]], [[0.2, 0.8, 0]], [[0, 0, 1.0]]])
    fitting = torch.tensor([[True, True, False]] * 2)
    expected = [[True, False, False], [False, True, False]]
    assert most_alike(logits, fitting, cells).tolist() == expected


def test_the_middle_of_the_best_cell_is_clicked() -> None:
    logits = torch.zeros(2, 1, 3, 5)
    logits[0, 0, 2, 4] = logits[1, 0, 1, 0] = 1
    points, labels = peaks(logits, side=16)
    assert points.tolist() == [[[72, 40]], [[8, 24]]] and labels.tolist() == [[1], [1]]


def test_a_click_beside_the_object_teaches_the_cells_alone() -> None:
    sam = build_sam("sam_tiny").requires_grad_(False)
    scene = encoded([0, 1], ["red", "green"])
    prompt = new_state(128, sam, Schedule(), seed=0).prompt
    eye = torch.eye(2, dtype=torch.bool)
    asked = Prompts(torch.eye(2, 128), eye, torch.zeros_like(eye), torch.zeros(2).bool())
    beside = replace(scene, coverage=scene.coverage * 0)
    beside.coverage[:, -1, -1] = 255  # a sixteenth of a cell
    loss, figures = scene_loss(prompt, sam, beside, asked, decoded=2)
    assert loss.item() == pytest.approx(figures["cells"][0])
    assert not figures["iou_picture"] and not figures["iou_words"]


def test_the_verdict_weighs_both_witnesses_and_keeps_false_alarms_rare() -> None:
    """Crops and cells that know as much count as much; one absent thing in twenty is found."""
    rng = np.random.default_rng(0)
    answers = []
    for number in range(2000):
        right = np.array([number % 2 == 0, False, False])
        evidence = rng.normal(2.0 * right[:, None], 1, (3, 2)).astype(np.float32)
        answers.append(Answers(evidence, right, number % 2 == 0))
    answers += [Answers(np.zeros((0, 2), np.float32), np.zeros(0, bool), True)] * 10
    verdict = fit(answers)
    assert verdict.weight[0].tolist() == pytest.approx([2, 2], abs=0.3)
    found, wrong, invented = rates(outcomes(answers, verdict), 0.0)
    assert invented == pytest.approx(FALSE_ALARMS, abs=0.005)
    assert found > 0.7 and wrong < 0.05


def test_prompts_say_what_fits() -> None:
    """Pictures mean their own object, words all that they fit, and what is taken is out."""
    vocabulary = Vocabulary.read()
    names = [concept.name for concept in vocabulary.concepts]
    book, mug = names.index("book"), names.index("mug")
    scene = encoded([book, mug, book], ["red", "red", "blue"])
    clip, mixture = Clip.load(CLIP, "cpu"), Mixture(prompts=200, taken=0.0, absent=0.2)
    pictures = torch.eye(3, 128)
    asker = Asker(clip, mixture, np.random.default_rng(0))
    asked = asker(scene, pictures)
    assert asked.vectors.shape == (200, 128) and not asked.taken.any()
    by_picture = ~asked.by_words
    assert 40 < int(by_picture.sum()) < 120
    assert (asked.vectors[by_picture, :3] == asked.fitting[by_picture].float()).all()
    said = {tuple(row) for row in asked.fitting[asked.by_words].tolist()}
    assert {(True, False, True), (False, True, False), (False, False, False)} <= said
    some = Asker(clip, Mixture(taken=1.0), np.random.default_rng(0))
    asked = some(scene, pictures)
    assert asked.taken.sum(1).tolist() == [1] * 8 and not (asked.taken & asked.fitting).any()


def test_it_learns_and_is_written_for_its_models(tmp_path: Path) -> None:
    """Vectors of three objects of one scene: cells first, then through the frozen decoder."""
    sam = build_sam("sam_tiny").requires_grad_(False)
    before = {key: value.clone() for key, value in sam.state_dict().items()}
    scene = encoded([0, 1, 2], ["red", "green", "blue"])
    schedule = Schedule(warm_up_steps=1, decoded_from=0.5, average=0.5)
    state = new_state(128, sam, schedule, seed=0)
    eye = torch.eye(3, dtype=torch.bool)
    asked = Prompts(torch.eye(3, 128), eye, torch.zeros_like(eye), torch.zeros(3).bool())
    steps = [train_step(state, sam, [(scene, asked)], schedule, 0.0) for _ in range(40)]
    assert steps[-1]["cells"] < 0.3 * steps[0]["cells"]
    decoded = train_step(state, sam, [(scene, asked)], schedule, 0.6)
    assert decoded["loss"] > decoded["cells"] and 0 <= decoded["iou_picture"] <= 1
    assert all(torch.equal(value, before[key]) for key, value in sam.state_dict().items())

    state.save(tmp_path / "state.pt")
    again = new_state(128, sam, schedule, seed=1)
    again.load(tmp_path / "state.pt")
    assert again.step == 41
    files = {name: tmp_path / name for name in ("sam", "clip")}
    for path in files.values():
        path.write_text(path.name)
    path = tmp_path / "text.safetensors"
    export(again, path, {name: digest(file) for name, file in files.items()})
    loaded = load_text_prompt(path, files["sam"], files["clip"])
    vectors = torch.eye(3, 128)
    expected = state.average(vectors, scene.features.float())[1]
    found = loaded(vectors, scene.features.float())[1]
    torch.testing.assert_close(found, expected, atol=0.1, rtol=0.05)
    begun = new_state(128, sam, schedule, seed=2, init=path)
    for part in (begun.prompt, begun.average):
        found = part(vectors, scene.features.float())[1]
        torch.testing.assert_close(found, expected, atol=0.1, rtol=0.05)
