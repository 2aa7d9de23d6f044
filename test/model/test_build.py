"""Building by name: layouts of the published files, modes and errors."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from sam_ros.model import CheckpointError, Sam, build_sam, model_names
from sam_ros.model.build import CONFIGS, assemble

PARAMETERS = {  # millions, of the published checkpoints
    "sam_vit_h": 641.1,
    "sam_vit_l": 312.3,
    "sam_vit_b": 93.7,
    "mobile_sam": 10.1,
}


def _layout(name: str, path: Path, dtype: torch.dtype = torch.float32) -> Path:
    """A checkpoint of the right names and shapes, all zero: a few hundred kilobytes."""
    with torch.device("meta"):
        model = assemble(CONFIGS[name])
    tensors = model.to(dtype).state_dict().items()
    torch.save({k: torch.zeros((), dtype=t.dtype).expand(t.shape) for k, t in tensors}, path)
    return path


@pytest.mark.parametrize("name", CONFIGS)
def test_sizes(name: str) -> None:
    """The models have as many weights as the published ones."""
    with torch.device("meta"):
        sam = assemble(CONFIGS[name])
    millions = sum(parameter.numel() for parameter in sam.parameters()) / 1e6
    assert millions == pytest.approx(PARAMETERS[name], abs=0.1)


@pytest.mark.parametrize("name", CONFIGS)
def test_nothing_stays_without_memory(name: str, tmp_path: Path) -> None:
    """After loading, every weight and every buffer that no file brings is real, in float32."""
    stored = torch.float16 if name == "mobile_sam" else torch.float32  # halves would take memory
    sam = build_sam(name, _layout(name, tmp_path / "w.pth", stored))
    assert isinstance(sam, Sam)
    assert not sam.training
    tensors = {**dict(sam.named_parameters()), **dict(sam.named_buffers())}
    assert all(tensor.device.type == "cpu" for tensor in tensors.values())
    assert {t.dtype for t in tensors.values() if t.is_floating_point()} == {torch.float32}
    assert sam.pixel_mean.flatten().tolist() == pytest.approx([123.675, 116.28, 103.53])
    assert sam.pixel_std.flatten().tolist() == pytest.approx([58.395, 57.12, 57.375])


def test_weights_of_another_model(tmp_path: Path) -> None:
    """The error names the file, the model asked for, the model found, and shapes of both."""
    path = _layout("sam_vit_l", tmp_path / "sam.pth")
    with pytest.raises(CheckpointError) as caught:
        build_sam("sam_vit_b", path)
    message = str(caught.value)
    assert message.startswith(
        f"{path} does not fit sam_vit_b, it holds the weights of sam_vit_l: "
    )
    assert "image_encoder.blocks.12.norm1.weight" in message
    assert "pos_embed is float (1, 64, 64, 1024), expected float (1, 64, 64, 768)" in message


def test_unknown_name() -> None:
    """The error lists the names there are."""
    with pytest.raises(ValueError, match="model is 'sam_vit_x', expected one of .*mobile_sam"):
        build_sam("sam_vit_x")


def test_names() -> None:
    """The names are those of the documentation."""
    assert set(CONFIGS) <= set(model_names())


def test_random_weights() -> None:
    """Without a checkpoint a published model starts from random weights, ready to be called."""
    sam = build_sam("mobile_sam")
    assert not sam.training
    assert torch.isfinite(sam.image_encoder(torch.zeros(1, 3, 64, 64))).all()


@pytest.mark.parametrize("order", ["eval first", "load first", "changed later"])
def test_attention_biases_are_never_stale(order: str) -> None:
    """TinyViT's attention uses the biases it has now, however and whenever they came."""
    torch.manual_seed(0)
    sams = [assemble(CONFIGS["mobile_sam"]).image_encoder for _ in range(2)]
    for name, parameter in sams[0].named_parameters():
        if name.endswith("attention_biases"):
            torch.nn.init.normal_(parameter)
    theirs, ours = sams[0].eval(), sams[1]
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        if order != "load first":
            ours.eval()(x)
        assign = order != "changed later"
        ours.load_state_dict(theirs.state_dict(), assign=assign)
        ours.eval()
        assert torch.equal(ours(x), theirs(x))
