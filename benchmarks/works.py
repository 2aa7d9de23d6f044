"""What is measured, as the reference, `transformers` and ours do it, with the same weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from benchmarks.peers import pair, reference
from sam_ros.engine import EngineConfig, Prompt, Segmenter
from sam_ros.engine.config import EverythingConfig
from sam_ros.engine.decoder import make_decoder
from sam_ros.engine.embedding import Embedding
from sam_ros.engine.encoder import DTYPES, Encoder, TorchEncoder, make_encoder, prepare
from sam_ros.engine.everything import segment_everything
from sam_ros.engine.transform import Transform
from sam_ros.model import Sam, build_sam, packing
from sam_ros.model.build import CONFIGS, ViTConfig
from sam_ros.resources import find_resource

FRAME = (1080, 1920)
PICTURE = (683, 1024)  # for everything mode: the longest side is the encoder's, nothing is rounded
SHARE = 0.2  # of the masks that the predicted IoU lets through, as the official weights' 0.88 does
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

Work = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """One thing to measure, in a process of its own.

    Attributes:
        work: name of a function of this module.
        model: name of the network.
        by: reference, transformers, torch or openvino; the last two are ours.
        dtype: a key of :data:`DTYPES`.
        count: pictures of a batch, prompts, or clicks along a side.
    """

    work: str
    model: str
    by: str
    dtype: str = "float32"
    count: int = 1

    @property
    def package(self) -> str:
        """The reference package of the model."""
        return "mobile_sam" if self.model == "mobile_sam" else "segment_anything"


def encoder(case: Case) -> Work:
    """Pictures to embeddings."""
    torch.manual_seed(1)
    pictures = torch.randn(case.count, 3, 1024, 1024, device=DEVICE)
    if case.by == "transformers":
        encode = _transformers(case).vision_encoder
        return lambda: encode(pictures.to(DTYPES[case.dtype]))[0]
    theirs, sam = pair(case.model)
    if case.by == "reference":
        theirs.to(DEVICE)
        return lambda: theirs.image_encoder(pictures)
    ours = _encoder(sam, case)
    return lambda: ours(pictures)


def decoder(case: Case) -> Work:
    """Prompts on one picture to low-resolution masks."""
    clicks = _points(case.count), torch.ones(case.count, 1, dtype=torch.int32, device=DEVICE)
    if case.by == "transformers":
        model, features = _transformers(case), _features()
        given = {"input_points": clicks[0][None], "input_labels": clicks[1][None]}
        return lambda: model(image_embeddings=features, **given).pred_masks[0]
    theirs, sam = pair(case.model)
    features = _features()
    if case.by == "torch":
        sam.mask_decoder.to(DTYPES[case.dtype])
        decode, encode = make_decoder(sam.to(DEVICE)), sam.prompt_encoder
        return lambda: decode(features, *encode(points=clicks, boxes=None, masks=None), True)[0]
    theirs.to(DEVICE)

    def run() -> Tensor:
        sparse, dense = theirs.prompt_encoder(points=clicks, boxes=None, masks=None)
        return theirs.mask_decoder(
            image_embeddings=features,
            image_pe=theirs.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )[0]

    return run


def click(case: Case) -> Work:
    """Clicks on a picture that is encoded already to three masks each of its 1920 x 1080 px."""
    theirs, sam = pair(case.model)
    transform, points = Transform(FRAME, sam.image_size), _points(case.count)
    if case.by == "reference":
        predictor = reference(case.package).SamPredictor(theirs.to(DEVICE))
        predictor.features, predictor.is_image_set = _features(), True
        predictor.original_size, predictor.input_size = FRAME, transform.input_size
        labels = torch.ones(case.count, 1, dtype=torch.int32, device=DEVICE)
        return lambda: _areas(predictor.predict_torch(points, labels)[0].cpu().numpy())
    # Masks as the predictor gives them: nothing is cleaned away, all prompts have three.
    config = EngineConfig(min_area_px=0, prompts_per_batch=16)
    segmenter = Segmenter(sam, config, _encoder(sam, case))
    xy = [transform.to_original(point) for point in points.cpu().numpy()]
    prompts = [Prompt(points=point, labels=np.ones(1, np.int32)) for point in xy]
    features = _features().contiguous(memory_format=torch.channels_last)  # as ours gives them
    embedding = Embedding(features.to(segmenter.encoder.dtype), transform)
    return lambda: torch.tensor(
        [sorted(item.area for item in answer) for answer in segmenter.segment(embedding, prompts)]
    )


def everything(case: Case) -> Work:
    """A picture to all masks in it, through the filters."""
    theirs, sam = pair(case.model)
    rgb = cv2.resize(cv2.imread(str(find_resource("samples", "coffee.jpg"))), PICTURE[::-1])
    rgb = rgb[..., ::-1].copy()
    segmenter = Segmenter(sam, None, _encoder(sam, case))
    settings = _settings(segmenter, rgb, case.count)
    if case.by == "reference":
        make = reference(case.package).SamAutomaticMaskGenerator
        generator = make(theirs.to(DEVICE), **settings)
        return lambda: [found["segmentation"] for found in generator.generate(rgb)]
    config = EverythingConfig(**settings)
    return lambda: [found.mask for found in segment_everything(segmenter, rgb, config)]


def tiny(case: Case) -> Work:
    """A picture of 640 x 480 px and a click to masks, with the embedded model."""
    sam = build_sam("sam_tiny")
    segmenter = Segmenter(sam, None, _encoder(sam, case))
    rgb = cv2.imread(str(find_resource("samples", "table_mug_book.jpg")))[..., ::-1].copy()
    rgb = cv2.resize(rgb, (640, 480))
    prompt = Prompt(points=np.array([[320, 240]], np.float32), labels=np.ones(1, np.int32))
    return lambda: segmenter.segment(segmenter.set_image(rgb), [prompt])[0].best.area


def products(case: Case) -> Work:
    """The product of two square matrices of ``count`` rows, by the fastest way that torch has."""
    a, b = (
        torch.randn(case.count, case.count, device=DEVICE).to(DTYPES[case.dtype]) for _ in "ab"
    )
    layer = torch.nn.Linear(1, 1, bias=False)
    layer.weight = torch.nn.Parameter(b)
    if DEVICE == "cpu" and packing.is_faster():
        packed = packing.PackedLinear(layer)
        return lambda: packed(a)[:4, :4]
    return lambda: layer(a)[:4, :4]


def _encoder(sam: Sam, case: Case) -> Encoder:
    """Ours, as the node runs it on this device."""
    if case.by == "openvino":
        from sam_ros.engine.openvino_encoder import OpenVinoEncoder

        return OpenVinoEncoder(sam, DTYPES[case.dtype])
    if DEVICE == "cuda":
        return make_encoder(sam, case.dtype, device=DEVICE)
    prepare(sam, DTYPES[case.dtype])  # on a CPU make_encoder may choose OpenVINO
    return TorchEncoder(sam)


def _transformers(case: Case) -> Any:
    from transformers import SamConfig, SamModel

    encoder = CONFIGS[case.model].image_encoder
    if not isinstance(encoder, ViTConfig):
        raise ValueError(f"model: {case.model}; expected a sam_vit for transformers")
    sizes = {
        "hidden_size": encoder.dim,
        "num_hidden_layers": encoder.depth,
        "num_attention_heads": encoder.num_heads,
        "global_attn_indexes": list(encoder.global_blocks),
        "mlp_dim": 4 * encoder.dim,
    }
    return SamModel(SamConfig(vision_config=sizes)).eval().to(DEVICE, DTYPES[case.dtype])


def _features() -> Tensor:
    """A smooth embedding, for masks that are neither noise nor empty."""
    torch.manual_seed(2)
    coarse = torch.randn(1, 256, 9, 9)
    return torch.nn.functional.interpolate(coarse, (64, 64), mode="bicubic").to(DEVICE)


def _points(count: int) -> Tensor:
    """(N, 1, 2) x, y in the encoder's input of a wide picture."""
    torch.manual_seed(3)
    return (torch.rand(count, 1, 2) * torch.tensor([1023, 575])).to(DEVICE)


def _areas(masks: npt.NDArray[np.bool_]) -> Tensor:
    """(N, M) pixels of each of (N, M, H, W) masks, the smallest first."""
    return torch.from_numpy(np.sort(masks.sum((2, 3)), axis=1))


def _settings(segmenter: Segmenter, rgb: npt.NDArray[np.uint8], points: int) -> dict[str, Any]:
    """Thresholds that let as many masks of random weights through as usual ones of real ones."""
    every = EverythingConfig(
        points_per_side=4, pred_iou_thresh=0, stability_score_thresh=0, box_nms_thresh=1
    )
    found = segment_everything(segmenter, rgb, every)
    return {
        "points_per_side": points,
        "pred_iou_thresh": float(np.quantile([x.predicted_iou for x in found], 1 - SHARE)),
        "stability_score_thresh": float(np.quantile([x.stability for x in found], 0.5)),
        "box_nms_thresh": 1.0,  # masks of random weights have boxes as large as the picture
    }
