"""Every way to run the image encoder gives the embedding of the plain one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from engine_cases import clicks

from sam_ros.engine import encoder as module
from sam_ros.engine.encoder import TorchEncoder, make_encoder
from sam_ros.engine.segmenter import Segmenter
from sam_ros.model import Sam, build_sam
from sam_ros.model.tiny import build_sam_tiny
from sam_ros.resources import find_resource

OPENVINO = pytest.mark.skipif(
    not module.has_openvino(), reason="needs OpenVINO: pip install sam_ros[openvino]"
)


@pytest.fixture
def small() -> Sam:
    torch.manual_seed(0)
    return build_sam_tiny(image_size=128).eval()


@pytest.fixture
def without_openvino(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_openvino", lambda: False)


Masks = list[np.ndarray]


def answers(segmenter: Segmenter, pictures: list[np.ndarray]) -> Masks:
    """The best masks of eight clicks on each picture."""
    masks = []
    for picture in pictures:
        height, width = picture.shape[:2]
        places = product((0.2, 0.4, 0.6, 0.8), (0.3, 0.7))
        prompts = [clicks((x * width, y * height)) for x, y in places]
        found = segmenter.segment(segmenter.set_image(picture), prompts)
        masks += [answer.best.mask for answer in found]
    return masks


def agreement(ours: Masks, expected: Masks) -> float:
    """Mean IoU of masks."""
    pairs = zip(ours, expected, strict=True)
    return float(np.mean([(x & y).sum() / max((x | y).sum(), 1) for x, y in pairs]))


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """All samples of the package."""
    cv2 = pytest.importorskip("cv2")
    files = sorted(find_resource("samples", "coffee.jpg").parent.glob("*.jpg"))
    return [cv2.imread(str(file))[..., ::-1].copy() for file in files]


@pytest.fixture(scope="module")
def expected(pictures: list[np.ndarray]) -> Masks:
    """In single precision."""
    return answers(Segmenter(build_sam("sam_tiny")), pictures)


def test_unknown_dtype(small: Sam) -> None:
    with pytest.raises(ValueError, match="dtype: 'int8'; expected auto, float32, bfloat16"):
        make_encoder(small, "int8")


@pytest.mark.usefixtures("without_openvino")
def test_auto_on_a_cpu_is_torch_in_single_precision(small: Sam) -> None:
    image = torch.randn(1, 3, 128, 128)
    with torch.inference_mode():
        expected = small.image_encoder(image)
        encoder = make_encoder(small)
        difference = (encoder(image) - expected).abs().max()
    assert isinstance(encoder, TorchEncoder)
    assert (encoder.runtime, encoder.dtype) == ("torch", torch.float32)
    assert difference < 1e-5 * (expected.max() - expected.min())


@pytest.mark.usefixtures("without_openvino")
def test_reduced_precision_leaves_the_decoder_alone(small: Sam) -> None:
    """On a CPU the encoder is cast, the decoder is not, and prompts are answered."""
    encoder = make_encoder(small, "bfloat16")
    assert (encoder.runtime, encoder.dtype) == ("torch", torch.bfloat16)
    segmenter = Segmenter(small, encoder=encoder)
    embedding = segmenter.set_image(np.zeros((90, 120, 3), np.uint8))
    (answer,) = segmenter.segment(embedding, [clicks((40, 30))])
    assert answer.best.mask.shape == (90, 120)
    assert small.mask_decoder.iou_token.weight.dtype == torch.float32


@pytest.mark.usefixtures("without_openvino")
def test_masks_in_bfloat16(pictures: list[np.ndarray], expected: Masks) -> None:
    """The embedded model on all samples: a mean IoU above 0.99 with single precision."""
    sam = build_sam("sam_tiny")
    fast = Segmenter(sam, encoder=make_encoder(sam, "bfloat16"))
    assert agreement(answers(fast, pictures), expected) > 0.99


@pytest.mark.usefixtures("without_openvino")
def test_all_of_a_frozen_model_moves_to_its_device() -> None:
    """What freezing made too, and in the precision that was asked for."""
    sam = make_encoder(build_sam("mobile_sam"), "float16", device="meta").sam
    tensors = [*sam.parameters(), *sam.buffers()]
    assert {x.device.type for x in tensors} == {"meta"}
    floats = [x for x in sam.image_encoder.buffers() if x.is_floating_point()]
    assert floats and {x.dtype for x in floats} == {torch.float16}
    own = [x for part in sam.modules() for x in vars(part).values()]
    assert not any(isinstance(x, torch.Tensor) for x in own)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("dtype", module.DTYPES)
def test_masks_on_a_gpu(pictures: list[np.ndarray], expected: Masks, dtype: str) -> None:
    """The embedded model on all samples, as the node runs it: a mean IoU above 0.99."""
    sam = build_sam("sam_tiny")
    fast = Segmenter(sam, encoder=make_encoder(sam, dtype, device="cuda"))
    assert agreement(answers(fast, pictures), expected) > 0.99


@OPENVINO
def test_openvino_is_exact_in_single_precision(small: Sam) -> None:
    """Less than 1e-5 of the range, for a batch too."""
    from sam_ros.engine.openvino_encoder import OpenVinoEncoder

    images = torch.randn(2, 3, 128, 128)
    with torch.inference_mode():
        expected = small.image_encoder(images)
        encoder = OpenVinoEncoder(small)
        assert (encoder.runtime, encoder.dtype) == ("openvino", torch.float32)
        difference = (encoder(images) - expected).abs().max()
    assert difference < 1e-5 * (expected.max() - expected.min())
    from openvino.tools.ovc import telemetry_utils

    assert telemetry_utils.tm.__name__.endswith("telemetry_stub"), "OpenVINO would report on us"


@OPENVINO
def test_openvino_is_taken_where_it_is_faster(small: Sam, monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32 for ViT, and for MobileSAM in a reduced precision that the CPU has."""
    from sam_ros.engine import openvino_encoder

    assert make_encoder(build_sam("mobile_sam")).runtime == "torch"
    assert make_encoder(build_sam("sam_vit_b")).runtime == "openvino"
    for known in (True, False):
        monkeypatch.setattr(openvino_encoder, "has_arithmetic", lambda _, known=known: known)
        reduced = make_encoder(build_sam("mobile_sam"), "bfloat16")
        assert reduced.runtime == ("openvino" if known else "torch")
        assert reduced.dtype == torch.bfloat16
        assert make_encoder(small, "bfloat16").runtime == "torch"


@OPENVINO
def test_openvino_in_bfloat16_is_as_near_as_torch() -> None:
    """Where the CPU computes in bfloat16: to MobileSAM's embedding in single precision."""
    from sam_ros.engine.openvino_encoder import OpenVinoEncoder, has_arithmetic

    if not has_arithmetic(torch.bfloat16):
        pytest.skip("this CPU does not compute in bfloat16")
    torch.manual_seed(0)
    sam = build_sam("mobile_sam")
    image = torch.randn(1, 3, 256, 256)
    with torch.inference_mode():
        expected = sam.image_encoder(image)
        found = OpenVinoEncoder(sam, torch.bfloat16)(image)
        module.prepare(sam, torch.bfloat16)
        by_torch = TorchEncoder(sam)(image).float()
    ours, theirs = ((x - expected).square().mean().sqrt() for x in (found, by_torch))
    assert 0 < ours < 1.5 * theirs
