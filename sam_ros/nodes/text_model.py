"""The text model behind the node's text prompts, loaded when the first text comes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sam_ros.engine.config import EverythingConfig
from sam_ros.engine.hypothesis import Hypotheses
from sam_ros.models import cache
from sam_ros.msg import Status
from sam_ros.nodes.parameters import Parameters
from sam_ros.nodes.status import Refused
from sam_ros.resources import find_resource

if TYPE_CHECKING:  # they import torch and transformers
    from sam_ros.engine.embedding import Embedding
    from sam_ros.engine.prompt_token import PromptToken
    from sam_ros.engine.segmenter import Segmenter
    from sam_ros.engine.text import Grounder, Search, TextConfig, TextScorer
    from sam_ros.nodes.images import Picture

EMBEDDED = "clip_tiny"
SAM_TINY, PROJECTION = "sam_tiny", "sam_tiny_text.safetensors"
ADVICE = (
    "run: ros2 run sam_ros models fetch clip-vit-base-patch32, and set the parameter clip_model "
    "to that name, or to a folder"
)
PRED_IOU, STABILITY, MASK_NMS = 0.5, 0.7, 0.85


class TextModel:
    """CLIP beside the segmenter. Only the worker touches it.

    Args:
        segmenter: proposes the masks.
        parameters: as they are now.
    """

    def __init__(self, segmenter: Segmenter, parameters: Parameters) -> None:
        self._segmenter, self._parameters = segmenter, parameters
        self._scorer: TextScorer | None = None
        self._token: PromptToken | None = None
        self._grounder: Grounder | None = None

    def update(self, parameters: Parameters) -> None:
        """Takes new values of the live parameters."""
        self._parameters = parameters
        if self._scorer is not None:
            self._grounder = self._grounder_with(self._scorer)

    def load(self) -> None:
        """Loads it, if that has not been done.

        Raises:
            Refused: TEXT_UNAVAILABLE, with what to do about it.
        """
        if self._grounder is not None:
            return
        try:
            source = _source(self._parameters.clip_model)
            # Seconds the first time, which a model that is not there does not take.
            from sam_ros.engine.text import TextScorer

            self._scorer = TextScorer.load(source, self._segmenter.sam.device)
            self._token = self._load_token(self._scorer, source)
        except ImportError as error:
            text = f"text: {error}; run: pip install 'transformers>=5,<6'"
            raise Refused(Status.TEXT_UNAVAILABLE, text) from error
        except (ValueError, OSError, RuntimeError) as error:
            text = f"text: clip_model: {error}; {ADVICE}"
            raise Refused(Status.TEXT_UNAVAILABLE, text) from error
        self._grounder = self._grounder_with(self._scorer)

    def search(self, rgb: Picture, embedding: Embedding, texts: Sequence[str]) -> Search:
        """See `sam_ros.engine.text.Grounder`; the model must be loaded."""
        assert self._grounder is not None
        return self._grounder.search(rgb, embedding, texts)

    def choose(
        self, rgb: Picture, hypotheses: Hypotheses, texts: Sequence[str]
    ) -> tuple[int, str, float]:
        """Which hypothesis of a click or a box any of the texts means.

        Returns:
            Its index, the text and its probability; the first one and 0 when all are empty.
        """
        assert self._scorer is not None
        seen = [index for index, item in enumerate(hypotheses) if item.area]
        if not seen:
            return 0, texts[0], 0.0
        scores = self._scorer.crops(rgb, [hypotheses[index] for index in seen], texts)
        trust = np.array([[hypotheses[index].score] for index in seen])
        row, column = divmod(int((scores * trust).argmax()), len(texts))
        return seen[row], texts[column], float(scores[row, column])

    def _load_token(self, scorer: TextScorer, clip: str | Path) -> PromptToken | None:
        """The way by a prompt token, if there is a projection for this model and this CLIP.

        Raises:
            Refused: TEXT_UNAVAILABLE; there is none, and text_method asks for it.
        """
        from sam_ros.engine.clip_folder import find_folder
        from sam_ros.engine.prompt_token import PromptToken

        method, model = self._parameters.text_method, self._parameters.model
        if method == "propose_and_rank":
            return None
        try:
            if model != SAM_TINY:
                raise ValueError(f"model is {model}, expected {SAM_TINY}")
            path = find_resource("models", PROJECTION)
            sam = self._parameters.checkpoint or find_resource("models", f"{SAM_TINY}.safetensors")
            weights = Path(sam).expanduser()
            return PromptToken.load(self._segmenter, scorer, path, weights, find_folder(clip))
        except (ValueError, OSError) as error:
            if method == "auto":
                return None
            text = f"text: text_method: prompt_token is not offered: {error}; set it to auto"
            raise Refused(Status.TEXT_UNAVAILABLE, text) from error

    def _grounder_with(self, scorer: TextScorer) -> Grounder:
        from sam_ros.engine.text import TextConfig

        text_config = TextConfig(threshold=self._parameters.text_threshold)
        if self._token is None:
            return self._propose_and_rank(scorer, text_config)
        self._token.config = text_config
        return self._token

    def _propose_and_rank(self, scorer: TextScorer, text_config: TextConfig) -> Grounder:
        from sam_ros.engine.everything import everything_steps
        from sam_ros.engine.propose_and_rank import ProposeAndRank

        config = lenient(self._parameters.everything_config())
        return ProposeAndRank(
            lambda rgb, embedding: everything_steps(self._segmenter, rgb, config, embedding),
            scorer,
            text_config,
        )


def lenient(config: EverythingConfig) -> EverythingConfig:
    """Filters that let doubtful masks pass: the words choose, and can only choose what is there.

    Masks that are nearly the same are thinned out instead.
    """
    return replace(
        config,
        pred_iou_thresh=min(config.pred_iou_thresh, PRED_IOU),
        stability_score_thresh=min(config.stability_score_thresh, STABILITY),
        mask_nms_thresh=min(config.mask_nms_thresh, MASK_NMS),
    )


def _source(clip_model: str) -> str | Path:
    """The parameter's model: embedded, fetched by `models`, or a folder or name of the hub."""
    if not clip_model:
        try:
            return find_resource("models", EMBEDDED)
        except FileNotFoundError:
            raise ValueError(f"empty, and {EMBEDDED} is not part of this package") from None
    path = Path(clip_model).expanduser()
    if path.is_absolute() and not path.is_dir():
        raise ValueError(f"{path} is not a folder")
    return cache.find(clip_model) or clip_model
