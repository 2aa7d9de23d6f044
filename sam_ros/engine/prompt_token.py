"""Text to masks by way of a prompt token: the decoder itself is told what to look for."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from sam_ros.engine.clip_pixels import Picture
from sam_ros.engine.embedding import Embedding
from sam_ros.engine.hypothesis import Hypothesis
from sam_ros.engine.prompt import FOREGROUND, Prompt
from sam_ros.engine.propose_and_rank import select
from sam_ros.engine.segmenter import Segmenter
from sam_ros.engine.text import Search, TextConfig, TextScorer
from sam_ros.model.text_prompt import TAKEN, TextPrompt, as_mask_prompt, load_text_prompt

ROUNDS = 6  # questions about one text in one picture, and so its most instances
HALF = 0.5  # share of a cell from which on a mask covers it
EPSILON = 1e-6  # of probabilities, so that their log odds are finite


class PromptToken:
    """A `Grounder` for the model and the CLIP that a :class:`TextPrompt` was trained for.

    The decoder returns one mask for a prompt, as in the paper, so of the cells that resemble the
    words only the region around the best one is drawn, and that cell is clicked: of a click the
    decoder knows best what it belongs to. What was answered is taken out and the text asked
    again, until no cell resembles the words any more. The decoder cannot say that a thing is
    absent, so an answer is looked at by CLIP in a crop, as in propose-and-rank, and its score says
    how well crop and cells fit together.

    Args:
        segmenter: decodes.
        prompt: projects the words.
        scorer: with the CLIP that the projection was trained for.
        config: may be replaced at any time through the attribute of this name.
    """

    def __init__(
        self,
        segmenter: Segmenter,
        prompt: TextPrompt,
        scorer: TextScorer,
        config: TextConfig | None = None,
    ) -> None:
        self._segmenter, self._prompt, self._scorer = segmenter, prompt, scorer
        self.config = config or TextConfig()

    @classmethod
    def load(
        cls, segmenter: Segmenter, scorer: TextScorer, path: Path, sam: Path, clip: Path
    ) -> PromptToken:
        """Loads a projection for the weights of a model and the folder of a CLIP.

        Raises:
            ValueError: there is none, or it was trained for others; the message says so.
        """
        prompt = load_text_prompt(path, sam, clip / "model.safetensors")
        return cls(segmenter, prompt.to(segmenter.sam.device), scorer)

    def search(self, rgb: Picture, embedding: Embedding, texts: Sequence[str]) -> Search:
        """See `Grounder`; each round of questions is a step."""
        found, resemblance = yield from self.answers(embedding, texts)
        if not found:
            return []
        clip = torch.from_numpy(self._scorer.crops(rgb, found, texts))
        with torch.inference_mode():
            scores = self._prompt.judge(clip.logit(EPSILON).to(resemblance.device), resemblance)
        return select(found, scores.cpu().numpy(), texts, self.config)

    def answers(
        self, embedding: Embedding, texts: Sequence[str]
    ) -> Generator[None, None, tuple[list[Hypothesis], Tensor]]:
        """The masks that the decoder gives to any of the texts, in steps.

        Returns:
            N masks, none of them empty, and (N, T) the highest logit of a cell that each covers.
        """
        vectors = self._scorer.vectors(texts)
        taken = vectors.new_zeros(len(texts), 1, *embedding.features.shape[2:])
        with torch.inference_mode():
            tokens, untaken = self._prompt(vectors, embedding.features.float())
        found: list[Hypothesis] = []
        resemblance: list[Tensor] = []
        for _ in range(ROUNDS):
            logits = untaken - TAKEN * taken
            prompts = self._prompts(embedding, tokens, logits)
            if not prompts:
                break
            answers = self._segmenter.segment(embedding, list(prompts.values()))
            for row, answer in zip(prompts, answers, strict=True):
                covered = _cells(answer.best, taken.shape[2:]).to(taken.device)
                taken[row, 0] = torch.maximum(taken[row, 0], covered)
                taken[row, 0].view(-1)[logits[row].argmax()] = 1
                if answer.best.area:
                    found.append(answer.best)
                    outside = covered < covered.max().clamp(max=HALF)
                    resemblance.append((untaken[:, 0] - TAKEN * outside).amax(dim=(1, 2)))
            yield
        nothing = untaken.new_zeros(0, len(texts))
        return found, torch.stack(resemblance) if found else nothing

    def _prompts(self, embedding: Embedding, tokens: Tensor, logits: Tensor) -> dict[int, Prompt]:
        """What the decoder is asked about each text (row) that resembles a cell."""
        size = self._segmenter.sam.prompt_encoder.mask_input_size
        maps = logits[:, 0].cpu().numpy()
        one = torch.from_numpy(np.stack([region_of_the_peak(row) for row in maps]))
        drawn = as_mask_prompt(one[:, None], size)[:, 0].numpy()
        words = tokens[:, 0].cpu().numpy()
        return {
            row: Prompt(
                points=self._middle(embedding, int(maps[row].argmax()), maps.shape[2]),
                labels=np.array([FOREGROUND], np.int32),
                logits=drawn[row],
                token=words[row],
            )
            for row in np.flatnonzero(maps.max(axis=(1, 2)) > 0).tolist()
        }

    def _middle(self, embedding: Embedding, cell: int, columns: int) -> npt.NDArray[np.float32]:
        """(1, 2) x, y of the middle of a cell in the picture."""
        sam, transform = self._segmenter.sam, embedding.transform
        side = 4 * sam.image_size / sam.prompt_encoder.mask_input_size[0]
        row, column = divmod(cell, columns)
        middle = np.array([[column + 0.5, row + 0.5]], np.float32) * np.float32(side)
        most = np.array(transform.size[::-1], np.float32) - 1
        return np.minimum(transform.to_original(middle), most)


def region_of_the_peak(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """(h, w) logits of cells in which only the region around the highest one stays positive."""
    _, regions = cv2.connectedComponents((logits > 0).astype(np.uint8), connectivity=8)
    others = (regions > 0) & (regions != regions.flat[logits.argmax()])
    return logits - np.float32(TAKEN) * others


def _cells(answer: Hypothesis, size: tuple[int, ...]) -> Tensor:
    """(h, w) How much of each cell of the image a mask covers, 0..1."""
    inside = torch.from_numpy((answer.logits > 0).astype(np.float32))
    return F.avg_pool2d(inside[None], 4)[0, : size[0], : size[1]]
