"""The node's parameters: one frozen dataclass that everything else is made from."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from sam_ros.engine.cache import MOST_BYTES, EmbeddingCache
from sam_ros.engine.config import EngineConfig, EverythingConfig

CHOICE = {"auto": None, "always": True, "never": False}
MODELS = ("sam_tiny", "mobile_sam", "sam_vit_b", "sam_vit_l", "sam_vit_h")


@dataclass(frozen=True)
class Facts:
    """What is known of a parameter beside its type and default.

    Attributes:
        text: what it does, with its unit.
        low, high: range of a number, inclusive.
        choices: allowed values of a string; empty for any.
        live: may be set while the node is configured.
    """

    text: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False

    @property
    def allowed(self) -> str:
        """The range or the choices as a person reads them; "" for any value."""
        if self.choices:
            return " | ".join(self.choices)
        return "" if self.low is None else f"{self.low:g} .. {self.high:g}"


def _declare(default: Any, text: str, **facts: Any) -> Any:
    return dataclasses.field(default=default, metadata={"facts": Facts(text, **facts)})


@dataclass(frozen=True)
class Parameters:
    """Values of all parameters; the texts below are their descriptions everywhere.

    Raises:
        ValueError: a string is not one of its choices.
    """

    model: str = _declare(
        "sam_tiny",
        "Network to load. sam_tiny is part of the package; the others are fetched once by "
        "`ros2 run sam_ros models fetch NAME`, or named by checkpoint.",
        choices=MODELS,
    )
    checkpoint: str = _declare(
        "",
        "File of the model's weights (.pth, .pt, .safetensors). Empty: the embedded sam_tiny, or "
        "what `models fetch` has fetched.",
    )
    device: str = _declare(
        "auto",
        "Where the model runs. auto: cuda if there is one, else cpu.",
        choices=("auto", "cpu", "cuda"),
    )
    dtype: str = _declare(
        "auto",
        "Precision of the image encoder; on a GPU of the decoder too. auto: bfloat16 on a GPU, "
        "float32 on a CPU, where bfloat16 moves masks by a percent and is 1.2 to 3 times as fast "
        "if the processor has it, slower if not.",
        choices=("auto", "float32", "bfloat16", "float16"),
    )
    compile: bool = _declare(
        False,
        "Speed the image encoder up by torch.compile. Needs a C++ compiler, and a minute at "
        "the first start; OpenVINO is not used then.",
    )
    autostart: bool = _declare(True, "Configure and activate as soon as the node has started.")
    image_transport: str = _declare(
        "raw",
        "raw: subscribe to image. compressed: subscribe to image/compressed.",
        choices=("raw", "compressed"),
    )
    encode: str = _declare(
        "on_demand",
        "on_demand: encode a picture when a prompt needs it. always: encode every picture that "
        "the node gets to, so that the first prompt on it is answered sooner.",
        choices=("on_demand", "always"),
        live=True,
    )
    max_rate_hz: float = _declare(
        0.0,
        "Most pictures to encode per second [Hz]; by stamps under use_sim_time. 0: no limit.",
        low=0,
        high=1000,
        live=True,
    )
    embedding_cache_size: int = _declare(
        16,
        "Pictures and embeddings that are remembered, so that a prompt is answered on the picture "
        "it was made on. A picture of 1920 x 1080 px takes 6 MB, an embedding 1 to 4 MB.",
        low=1,
        high=256,
    )
    embedding_cache_mb: int = _declare(
        MOST_BYTES >> 20,
        "Most memory of the device that remembered embeddings take together [MB, of 2^20 bytes]; "
        "the latest one is kept whatever it takes.",
        low=1,
        high=65536,
    )
    multimask: str = _declare(
        "auto",
        "Masks per prompt. auto: three for a lone point, else one. always: three. never: one.",
        choices=tuple(CHOICE),
        live=True,
    )
    max_area_fraction: float = _declare(
        EngineConfig.max_area_fraction,
        "A mask of a lone click that covers more than this fraction of the picture is ranked "
        "last.",
        low=0.01,
        high=1,
        live=True,
    )
    min_area_px: int = _declare(
        EngineConfig.min_area_px,
        "Islands and holes of fewer pixels are removed from a mask [px]. 0: none.",
        low=0,
        high=1_000_000,
        live=True,
    )
    sharpen: str = _declare(
        "auto",
        "Boundaries of masks are moved to the edges and colours of the picture, for a few "
        "milliseconds each. auto: of a model whose own are soft, which is sam_tiny.",
        choices=tuple(CHOICE),
        live=True,
    )
    max_objects: int = _declare(
        100,
        "Most objects to remember, and most prompts of one request.",
        low=1,
        high=10_000,
        live=True,
    )
    labels_file: str = _declare(
        "",
        "File with the classes of ~/label_mask: YAML, number: name, or one name on each line, "
        "counted from 1. Other labels get the numbers behind. Empty: numbers in order of arrival.",
    )
    sync_slop: float = _declare(
        0.02,
        "Most time between stamps that belong together: of a detector's box and of its picture, "
        "of a depth picture and of its colour picture [s].",
        low=0,
        high=1,
        live=True,
    )
    use_depth: bool = _declare(
        True, "Subscribe to depth, for ~/points, ~/detections_3d and the other outputs in space."
    )
    depth_scale: float = _declare(
        0.001,
        "Metres of one unit of a 16UC1 depth image; 32FC1 is in metres.",
        low=1e-6,
        high=1,
        live=True,
    )
    target_frame: str = _declare(
        "",
        "TF frame in which clouds, boxes and instances' frames are given. Empty: the camera's.",
        live=True,
    )
    publish_tf: bool = _declare(
        False, "Publish a TF frame for each object, NODE/OBJECT_ID, in its box.", live=True
    )
    clip_model: str = _declare(
        "",
        "Text model: a folder written by save_pretrained, a name that `models` fetched, or one in "
        "the hub's cache. Empty: the embedded clip_tiny.",
    )
    text_method: str = _declare(
        "auto",
        "From words to masks. propose_and_rank: CLIP chooses among all masks of the picture. "
        "prompt_token: the words become a prompt of the decoder, which needs a projection that "
        "was trained for model and clip_model. auto: prompt_token where there is one.",
        choices=("auto", "propose_and_rank", "prompt_token"),
    )
    text_threshold: float = _declare(
        0.5,
        "Instances of a text with a smaller label_score than this are left out.",
        low=0,
        high=1,
        live=True,
    )
    points_per_side: int = _declare(
        16,
        "Everything mode clicks on a grid of this many points along x and along y. The reference "
        "has 32, which finds smaller things in four times the time.",
        low=1,
        high=256,
        live=True,
    )
    points_per_batch: int = _declare(
        EverythingConfig.points_per_batch,
        "Clicks of everything mode decoded at once, which bounds the memory. Between two batches "
        "others are answered.",
        low=1,
        high=4096,
        live=True,
    )
    pred_iou_thresh: float = _declare(
        0.5,
        "Everything mode drops masks whose predicted IoU is not above it. The default suits "
        "sam_tiny; for the official checkpoints 0.88 is usual. 0: none.",
        low=0,
        high=1,
        live=True,
    )
    stability_score_thresh: float = _declare(
        0.6,
        "Everything mode drops masks of a lower stability. The default suits sam_tiny; for the "
        "official checkpoints 0.95 is usual. 0: none.",
        low=0,
        high=1,
        live=True,
    )
    everything_rate_hz: float = _declare(
        0.0,
        "Most pictures of the camera per second in which everything is segmented [Hz], for "
        "~/instances and the other outputs. 0: none.",
        low=0,
        high=1000,
        live=True,
    )
    request_timeout: float = _declare(
        10.0,
        "Longest time that a service call waits for its answer [s].",
        low=0.05,
        high=600,
        live=True,
    )

    def __post_init__(self) -> None:
        for item in dataclasses.fields(self):
            value, facts = getattr(self, item.name), item.metadata["facts"]
            if facts.choices and value not in facts.choices:
                raise ValueError(f"{item.name}: {value!r}; expected {facts.allowed}")

    def engine_config(self) -> EngineConfig:
        """The part of the parameters that the engine reads."""
        return EngineConfig(
            multimask=CHOICE[self.multimask],
            max_area_fraction=self.max_area_fraction,
            min_area_px=self.min_area_px,
            sharpen=CHOICE[self.sharpen],
        )

    def embedding_cache(self) -> EmbeddingCache:
        """A place for embeddings, of the size that the parameters give it."""
        return EmbeddingCache(self.embedding_cache_size, self.embedding_cache_mb << 20)

    def everything_config(self) -> EverythingConfig:
        """The part of the parameters that everything mode reads."""
        return EverythingConfig(
            points_per_side=self.points_per_side,
            points_per_batch=self.points_per_batch,
            pred_iou_thresh=self.pred_iou_thresh,
            stability_score_thresh=self.stability_score_thresh,
            min_mask_region_area=self.min_area_px,
            min_mask_area=self.min_area_px,
        )

    def changed(self, settings: Iterable[Parameter], live_only: bool) -> Parameters:
        """The parameters after a request to set some of them.

        Args:
            settings: as the parameter callback gets them; names of other parameters are passed by.
            live_only: refuse the ones that are read when the node is configured.

        Raises:
            ValueError: a value is not allowed, or not now.
        """
        known = facts()
        values = {item.name: item.value for item in settings if item.name in known}
        for name, value in values.items():
            if live_only and not known[name].live and value != getattr(self, name):
                raise ValueError(f"{name}: is read on configure; clean the node up first")
        return dataclasses.replace(self, **values)


def facts() -> dict[str, Facts]:
    """What is known of each parameter, by name."""
    return {item.name: item.metadata["facts"] for item in dataclasses.fields(Parameters)}


def declare(node: Node) -> Parameters:
    """Declares all parameters on a node and reads their first values.

    Raises:
        ValueError: a string is not one of its choices.
        rclpy.exceptions.ParameterException: a value of another type or out of its range.
    """
    for item in dataclasses.fields(Parameters):
        node.declare_parameter(item.name, item.default, descriptor(item.name))
    return Parameters(**{name: node.get_parameter(name).value for name in facts()})


def descriptor(name: str) -> ParameterDescriptor:
    """The description and range of a parameter."""
    known, default = facts()[name], getattr(Parameters, name)
    msg = ParameterDescriptor(name=name, description=known.text)
    msg.additional_constraints = " ".join(
        text
        for text in (
            f"One of: {known.allowed}." if known.choices else "",
            "" if known.live else "Read on configure.",
        )
        if text
    )
    if known.low is None or known.high is None:
        return msg
    if isinstance(default, float):
        msg.floating_point_range = [
            FloatingPointRange(from_value=float(known.low), to_value=float(known.high))
        ]
    else:
        msg.integer_range = [
            IntegerRange(from_value=int(known.low), to_value=int(known.high), step=1)
        ]
    return msg
