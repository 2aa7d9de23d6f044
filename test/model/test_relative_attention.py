"""Both ways round the bias of all pairs equal the attention that writes it out."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sam_ros.model import relative_attention as module
from sam_ros.model.relative_attention import augmented, in_chunks, relative_attention

BATCH, HEADS, ROWS, COLUMNS, WIDTH = 3, 2, 5, 4, 6


@pytest.fixture
def given() -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(0)
    shapes = {
        **dict.fromkeys("qkv", (BATCH, HEADS, ROWS * COLUMNS, WIDTH)),
        "rows": (ROWS, ROWS, WIDTH),
        "columns": (COLUMNS, COLUMNS, WIDTH),
    }
    return {
        name: torch.randn(shape, generator=random, dtype=torch.float64)
        for name, shape in shapes.items()
    }


def biases(q: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
    """Of each query with each row and with each column of keys."""
    grid = q.unflatten(2, (ROWS, COLUMNS))
    return (
        (grid[:, :, :, :, None] * rows[:, None]).sum(-1),
        (grid[:, :, :, :, None] * columns).sum(-1),
    )


def written_out(q: Tensor, k: Tensor, v: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    vertical, horizontal = biases(q, rows, columns)
    bias = (vertical[..., None] + horizontal[..., None, :]).reshape(BATCH, HEADS, 20, 20)
    return (q @ k.transpose(2, 3) / WIDTH**0.5 + bias).softmax(-1) @ v


@pytest.mark.parametrize("chunk", [1, 160, 320, 800, 1600, 10**6])
def test_chunks(given: dict[str, Tensor], chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chunk of less than a row, of rows that do not divide the grid, of images, of all."""
    monkeypatch.setattr(module, "CHUNK", chunk)
    assert torch.allclose(relative_attention(**given), written_out(**given), atol=1e-12)


def test_augmented(given: dict[str, Tensor]) -> None:
    """The way of the GPU, computed here on the CPU."""
    q, k, v, rows, columns = given.values()
    vertical, horizontal = biases(q, rows, columns)
    expected = written_out(**given)
    assert torch.allclose(augmented(q, k, v, vertical, horizontal), expected, atol=1e-12)
    assert torch.allclose(in_chunks(q, k, v, vertical, horizontal), expected, atol=1e-12)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_the_gpu(given: dict[str, Tensor]) -> None:
    single = {name: x.float() for name, x in given.items()}
    on_gpu = relative_attention(**{name: x.cuda() for name, x in single.items()})
    assert torch.allclose(on_gpu.cpu(), relative_attention(**single), atol=1e-4)
