"""Choose how cells and CLIP judge together: `python -m training.text_prompt.calibrate --write`.

Composed scenes of objects that nothing was trained on, the last ones first, are asked for their
objects and as often for words that fit none of them. A logistic regression tells how much the
resemblance of an answer's cells and the log odds of its crop say about its being right. The middle
of the score, 0.5, is where one absent thing in twenty is found.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F

from sam_ros.engine.prompt_token import EPSILON, PromptToken
from sam_ros.engine.segmenter import Segmenter
from sam_ros.engine.text import TextScorer, finish
from training.clip.calibrate import rates
from training.clip.vocabulary import Vocabulary
from training.text_prompt.evaluate import FOUND, Picture, from_scenes, iou, load, parser_of

NOTHING = -99.0  # log odds of no answer
FALSE_ALARMS = 0.05  # share of absent things that are found at a score of 0.5


@dataclass(frozen=True)
class Answers:
    """What one question found: N masks.

    Attributes:
        evidence: (N, 2) float32, the log odds of the crops and the resemblance of the cells.
        right: (N,) bool, masks of an object that the text means.
        present: whether there is such an object.
    """

    evidence: np.ndarray
    right: np.ndarray
    present: bool


def ask(
    pictures: list[Picture],
    segmenter: Segmenter,
    scorer: TextScorer,
    token: PromptToken,
    rng: np.random.Generator,
) -> list[Answers]:
    """What is in each picture, and as often what is not."""
    words = [concept.name for concept in Vocabulary.read().concepts]
    answers = []
    for picture in pictures:
        embedding = segmenter.set_image(picture.rgb)
        elsewhere = [word for word in words if word not in picture.present]
        absent = rng.choice(elsewhere, len(picture.asked), replace=False).tolist()
        for text, right in [*picture.asked, *((word, []) for word in absent)]:
            found, resemblance = finish(token.answers(embedding, [text]))
            if not found:
                answers.append(
                    Answers(np.zeros((0, 2), np.float32), np.zeros(0, bool), bool(right))
                )
                continue
            clip = torch.from_numpy(scorer.crops(picture.rgb, found, [text])).logit(EPSILON)
            hits = [any(iou(item.mask, mask) >= FOUND for mask in right) for item in found]
            evidence = torch.cat((clip, resemblance), dim=1).numpy()
            answers.append(Answers(evidence, np.array(hits), bool(right)))
    return answers


def fit(answers: list[Answers]) -> nn.Linear:
    """The log odds that an answer is right, by logistic regression; 0 where it is believed."""
    evidence = torch.from_numpy(np.concatenate([a.evidence for a in answers]))
    right = torch.from_numpy(np.concatenate([a.right for a in answers]).astype(np.float32))
    verdict = nn.Linear(2, 1)
    optimizer = torch.optim.LBFGS(
        verdict.parameters(), max_iter=200, line_search_fn="strong_wolfe"
    )

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        entropy = F.binary_cross_entropy_with_logits(verdict(evidence)[:, 0], right)
        entropy.backward()
        return entropy

    optimizer.step(loss)
    table = outcomes(answers, verdict)
    absent = table[table[:, 1] == 0, 0]
    with torch.no_grad():
        verdict.bias -= float(np.quantile(absent, 1 - FALSE_ALARMS))
    return verdict


@torch.inference_mode()
def outcomes(answers: list[Answers], verdict: nn.Linear) -> np.ndarray:
    """(Q, 3): the best log odds, whether the thing is there, whether the best answer is right."""
    table = []
    for answer in answers:
        if not len(answer.right):
            table.append((NOTHING, answer.present, False))
            continue
        odds = verdict(torch.from_numpy(answer.evidence))[:, 0].numpy()
        best = int(odds.argmax())
        table.append((odds[best], answer.present, answer.right[best]))
    return np.array(table, float)


def main() -> None:
    """Print the trade-off and, when asked, write the verdict."""
    parser = parser_of(__doc__.split("\n")[0], count=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="into the projection's file")
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    segmenter, scorer, token = load(options, token=True)
    assert token is not None
    shards = sorted(options.scenes.glob("*.npz"), reverse=True)
    pictures = list(from_scenes(shards, options.count))
    answers = ask(pictures, segmenter, scorer, token, np.random.default_rng(options.seed))
    verdict = fit(answers)
    weights = [*verdict.weight[0].tolist(), verdict.bias.item()]
    print("log odds: {:.3f} of the crop's + {:.3f} of the cells' + {:.3f}".format(*weights))
    print("| log odds | right | wrong object | found though absent |\n|---|---|---|---|")
    table = outcomes(answers, verdict)
    for threshold in (-2.0, -1.0, -0.5, 0.0, 0.5, 1.0):
        cells = " | ".join(f"{rate:.0%}" for rate in rates(table, threshold))
        print(f"| {threshold:.2f} | {cells} |")
    if options.write:
        with safe_open(options.prompt, "pt") as file:
            made_for = file.metadata()
        fitted = {f"verdict.{key}": value.half() for key, value in verdict.state_dict().items()}
        save_file(load_file(options.prompt) | fitted, options.prompt, made_for)


if __name__ == "__main__":
    main()
