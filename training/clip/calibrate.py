"""Choose from which score on `clip_tiny` is believed: `python -m training.clip.calibrate`.

Held-out crops are laid together as if they were the masks of one picture. Half of the questions
are about a thing that is among them, half about one that is not. The log odds of a text against
the background phrases at which the most questions are answered rightly become the middle of the
score, 0.5: the negative of them is the `bias` in the model's `phrases.json`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from sam_ros.engine.clip import Clip
from sam_ros.engine.phrases import FILE, Phrases
from sam_ros.engine.text import TextScorer
from training.clip.crops import GROUND
from training.clip.evaluate import embed
from training.clip.pictures import Pictures
from training.clip.vocabulary import COLOURS, Vocabulary

OBJECTS, GROUNDS = 6, 4  # of a picture: masks of things, and masks of nothing
QUESTIONS = 4000


@dataclass(frozen=True)
class Question:
    """What is asked of a picture that is made of crops.

    Attributes:
        text: words.
        rows: of the crops.
        right: (len(rows),) bool, those that the words may be said of; none when absent.
    """

    text: str
    rows: np.ndarray
    right: np.ndarray


def questions(pictures: Pictures, count: int, rng: np.random.Generator) -> Iterator[Question]:
    """Every second one is about a thing that is not there."""
    vocabulary = Vocabulary.read()
    things, grounds = (
        np.flatnonzero(pictures.labels > GROUND),
        np.flatnonzero(pictures.labels == GROUND),
    )
    known = np.unique(pictures.labels[pictures.labels >= 0])
    for number in range(count):
        # As often each concept, not each picture.
        wanted = int(rng.choice(np.flatnonzero(pictures.labels == rng.choice(known))))
        concept, colours = pictures.labels[wanted], np.flatnonzero(pictures.colours[wanted])
        text, fits = vocabulary.concepts[concept].name, pictures.labels == concept
        fits = np.isin(pictures.labels, list(vocabulary.phrases[text]))
        if len(colours) and rng.random() < 0.5:
            colour = int(rng.choice(colours))
            text, fits = f"{COLOURS[colour]} {text}", fits & pictures.colours[:, colour]
        present = number % 2 == 0
        others = rng.choice(things[~fits[things]], OBJECTS - present, replace=False)
        rows = np.concatenate([[wanted] * present, others, rng.choice(grounds, GROUNDS)])
        rows = rows.astype(int)
        yield Question(text, rows, fits[rows])


def outcomes(scorer: TextScorer, vectors: torch.Tensor, asked: list[Question]) -> np.ndarray:
    """(Q, 3): the best log odds, whether the thing is there, whether the best crop is right."""
    table = []
    for question in asked:
        odds = scorer.log_odds(vectors[question.rows], question.text).numpy()
        best = int(odds.argmax())
        table.append((odds[best], question.right.any(), question.right[best]))
    return np.array(table, float)


def rates(table: np.ndarray, threshold: float) -> tuple[float, float, float]:
    """Of the present things: right, wrong object; of the absent ones: something is found."""
    found, present = table[:, 0] >= threshold, table[:, 1] > 0
    right = table[:, 2] > 0
    return (
        float((found & right)[present].mean()),
        float((found & ~right)[present].mean()),
        float(found[~present].mean()),
    )


def best_threshold(table: np.ndarray) -> float:
    """The log odds from which on an answer is right as often as can be, or rightly none."""
    candidates = np.quantile(table[:, 0], np.linspace(0.01, 0.99, 99))

    def answered_rightly(threshold: float) -> float:
        right, _, invented = rates(table, threshold)
        return right - invented

    return float(max(candidates, key=answered_rightly))


def main() -> None:
    """Print the trade-off and, when asked, write the bias."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path, default=Path("resource/models/clip_tiny"))
    parser.add_argument("--pictures", type=Path, default=Path("training/data/clip/val"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="into the model's phrases.json")
    options = parser.parse_args()
    clip, phrases = Clip.load(options.model, "cpu"), Phrases.read(options.model)
    pictures = Pictures(options.pictures)
    vectors = torch.from_numpy(embed(clip, pictures, np.arange(len(pictures)), True))
    asked = list(questions(pictures, QUESTIONS, np.random.default_rng(options.seed)))
    table = outcomes(TextScorer(clip, phrases), vectors, asked)
    chosen = best_threshold(table)
    print("| log odds | right | wrong object | found though absent |\n|---|---|---|---|")
    for threshold in sorted({-4.0, -3.0, -2.0, -1.0, 0.0, chosen}):
        cells = " | ".join(f"{rate:.0%}" for rate in rates(table, threshold))
        print(f"| {threshold:.2f}{' (chosen)' if threshold == chosen else ''} | {cells} |")
    if options.write:
        path = options.model / FILE
        values = json.loads(path.read_text()) | {"bias": round(-chosen, 2)}
        path.write_text(json.dumps(values, indent=1) + "\n")


if __name__ == "__main__":
    main()
