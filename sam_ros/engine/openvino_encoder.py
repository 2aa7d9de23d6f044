"""The image encoder compiled by OpenVINO for the CPU: the extra ``sam_ros[openvino]``."""

from __future__ import annotations

import sys
import warnings

import torch
from torch import Tensor

from sam_ros.model import Sam

# A robot tells nobody what it does: without this module OpenVINO sends no word of its conversions.
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

import openvino as ov  # noqa: E402
from openvino import properties  # noqa: E402

_TYPES = {torch.float32: ov.Type.f32, torch.bfloat16: ov.Type.bf16, torch.float16: ov.Type.f16}


def has_arithmetic(dtype: torch.dtype) -> bool:
    """Whether this CPU computes in a precision; else OpenVINO takes ten times as long."""
    known = ov.Core().get_property("CPU", properties.device.capabilities())
    return {torch.float32: "FP32", torch.bfloat16: "BF16", torch.float16: "FP16"}[dtype] in known


class OpenVinoEncoder:
    """An encoder converted from the loaded weights; single images as in the node.

    Args:
        sam: whose image encoder is converted, in float32 on the CPU.
        dtype: float32, or what the CPU may compute in where it can do that faster.
    """

    runtime = "openvino"

    def __init__(self, sam: Sam, dtype: torch.dtype = torch.float32) -> None:
        self.sam, self.dtype = sam, dtype
        self._core = ov.Core()
        self._requests: dict[torch.Size, ov.InferRequest] = {}

    def __call__(self, x: Tensor) -> Tensor:
        """As :class:`sam_ros.engine.encoder.Encoder`."""
        images = [self._encode(image) for image in x.split(1)]
        return torch.cat(images) if len(images) > 1 else images[0]

    def _encode(self, image: Tensor) -> Tensor:
        if image.shape not in self._requests:
            self._requests[image.shape] = self._compile(image.shape)
        (result,) = self._requests[image.shape].infer([image.contiguous().numpy()]).values()
        return torch.from_numpy(result.copy())  # the request writes the next one into its own

    def _compile(self, shape: torch.Size) -> ov.InferRequest:
        """For one shape of the input: a model that takes rectangles meets a few."""
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch's own, of its next version
            # Exported, not traced: torch never frees what it traced.
            exported = torch.export.export(self.sam.image_encoder, (torch.zeros(shape),))
            converted = ov.convert_model(exported)
        settings = {
            properties.hint.inference_precision: _TYPES[self.dtype],
            properties.hint.performance_mode: properties.hint.PerformanceMode.LATENCY,
            properties.inference_num_threads: torch.get_num_threads(),
        }
        return self._core.compile_model(converted, "CPU", settings).create_infer_request()
