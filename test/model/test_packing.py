"""Packed linear layers give the numbers of the plain ones."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from sam_ros.model import packing
from sam_ros.model.packing import PackedLinear, pack
from sam_ros.model.tiny import build_sam_tiny

OPERATORS = all(hasattr(torch.ops.mkldnn, name) for name in packing.OPERATORS)
pytestmark = pytest.mark.skipif(not OPERATORS, reason="needs a torch with oneDNN")
WIDTH = st.integers(1, 70)


@given(st.lists(st.integers(1, 9), max_size=3), WIDTH, WIDTH, st.booleans())
def test_a_packed_layer(lead: list[int], inside: int, outside: int, bias: bool) -> None:
    linear = nn.Linear(inside, outside, bias=bias)
    x = torch.randn(*lead, inside)
    with torch.inference_mode():
        expected, found = linear(x), PackedLinear(linear)(x)
    assert found.shape == expected.shape
    assert torch.allclose(found, expected, rtol=0, atol=1e-5)


def test_packed_on_the_spot(monkeypatch: pytest.MonkeyPatch) -> None:
    """For many rows, and not where somebody wants a gradient."""
    monkeypatch.setattr(packing, "is_faster", lambda: True)
    layer, x = nn.Linear(64, 48), torch.randn(2, packing.WORTH_IT, 64)
    expected = layer(x)
    assert torch.equal(packing.linear(x, layer.weight, layer.bias), expected)
    packing.linear(x, layer.weight, layer.bias).sum().backward()
    assert layer.weight.grad is not None
    with torch.inference_mode():
        found = packing.linear(x, layer.weight, layer.bias)
    assert torch.allclose(found, expected, rtol=0, atol=1e-5)


@given(st.integers(1, 3), st.sampled_from((1, 3, 5)), st.integers(1, 2), st.booleans())
def test_a_layer_and_its_activation_in_one(
    batch: int, kernel: int, stride: int, depthwise: bool
) -> None:
    """A convolution in both layouts of memory, a packed layer, and a plain one."""
    conv = nn.Conv2d(6, 12, kernel, stride, kernel // 2, groups=6 if depthwise else 1)
    linear, x = nn.Linear(6, 12), torch.randn(batch, 6, 9, 11)
    last = x.contiguous(memory_format=torch.channels_last)
    cells = x.permute(0, 2, 3, 1).contiguous()
    with pytest.MonkeyPatch.context() as patch, torch.inference_mode():
        patch.setattr(packing, "is_faster", lambda: True)
        pairs = [(packing.gelu(conv, form), F.gelu(conv(x))) for form in (x, last)]
        for layer in (linear, PackedLinear(linear)):
            pairs.append((packing.gelu(layer, cells), F.gelu(linear(cells))))
    for found, expected in pairs:
        assert torch.allclose(found, expected, rtol=0, atol=1e-5)


def test_what_is_trained_or_converted_is_made_of_plain_operators(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packing, "is_faster", lambda: True)
    encoder = build_sam_tiny(image_size=128).image_encoder
    image = torch.randn(1, 3, 128, 128)
    encoder(image).sum().backward()
    assert encoder.stride2.weight.grad is not None
    with torch.inference_mode():
        graph = torch.export.export(encoder.eval(), (image,)).graph
    assert not [node for node in graph.nodes if "mkldnn" in str(node.target)]


@pytest.mark.skipif(
    OPERATORS and not torch.ops.mkldnn._is_mkldnn_bf16_supported(),
    reason="needs a processor with bfloat16",
)
def test_in_bfloat16() -> None:
    """As near to single precision as the plain layer."""
    linear, x = nn.Linear(192, 64), torch.randn(50, 192)
    with torch.inference_mode():
        exact = linear(x)
        plain = (linear.to(torch.bfloat16)(x.to(torch.bfloat16)) - exact).abs().max()
        packed = (PackedLinear(linear)(x.to(torch.bfloat16)) - exact).abs().max()
    assert packed < 1.5 * plain


def test_it_is_the_plain_layer_again_where_it_changes() -> None:
    """Cast, moved or loaded; a copy of it changes nothing about the first."""
    plain, x = nn.Linear(24, 16), torch.randn(5, 24)
    with torch.inference_mode():
        expected = plain(x)
        packed = PackedLinear(deepcopy(plain))
        twin, state = deepcopy(packed), packed.state_dict()
        assert torch.allclose(twin(x), expected, rtol=0, atol=1e-5)
        assert torch.equal(packed.to("cpu")(x), twin(x)), "nothing changes"
        assert packed.weight is None, "and it stays packed"
        cast = deepcopy(packed).double()
        assert torch.allclose(cast(x.double()), plain.double()(x.double()), rtol=0, atol=1e-5)
        assert deepcopy(packed).to("meta")(x.to("meta")).shape == expected.shape
        assert torch.allclose(packed(x), expected, rtol=0, atol=1e-5)
        packed.load_state_dict({key: 2 * value for key, value in state.items()})
        assert torch.allclose(packed(x), 2 * expected, rtol=0, atol=1e-5)
        assert torch.allclose(twin(x), expected, rtol=0, atol=1e-5)


def test_a_module_is_packed_where_that_is_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = build_sam_tiny(image_size=128).eval().image_encoder
    image, state = torch.randn(1, 3, 128, 128), deepcopy(encoder.state_dict())
    monkeypatch.setattr(packing, "is_faster", lambda: False)
    with torch.inference_mode():
        expected = encoder(image)
        pack(encoder)
        assert torch.equal(encoder(image), expected)
        monkeypatch.setattr(packing, "is_faster", lambda: True)
        pack(encoder)
        pack(encoder)  # once more changes nothing
        difference = (encoder(image) - expected).abs().max()
        assert torch.equal(deepcopy(encoder)(image), encoder(image))
    assert any(isinstance(part, PackedLinear) for part in encoder.modules())
    assert not any(type(part) is nn.Linear for part in encoder.modules())
    assert difference < 1e-5 * (expected.max() - expected.min())
    assert list(encoder.state_dict()) == list(state)
    assert all(torch.equal(encoder.state_dict()[key], value) for key, value in state.items())
