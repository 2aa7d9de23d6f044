"""Filling a batch up, as the GPU's recordings need it, changes no answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from engine_cases import boxed, clicks, rectangle

from sam_ros.engine.batching import encode_prompts
from sam_ros.engine.cuda_graphs import Recorded, Tensors
from sam_ros.engine.decoder import Decoder, bucket, fill, make_decoder
from sam_ros.engine.embedding import Embedding
from sam_ros.engine.prompt import Prompt
from sam_ros.engine.segmenter import Segmenter
from sam_ros.model import Sam

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
SIZE = (97, 141)


class Replays:
    """In place of a CUDA graph: does the work again, on the memory of the recording alone."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def __call__(self, function, inputs: Tensors):  # type: ignore[no-untyped-def]
        self.batches.append(len(inputs[1]))
        outputs = tuple(torch.full_like(x, torch.nan) for x in function(*inputs))

        def replay() -> None:
            for own, result in zip(outputs, function(*inputs), strict=True):
                own.copy_(result)

        return replay, outputs


@pytest.fixture(scope="module")
def embedding(tiny: Sam) -> Embedding:
    rgb = np.random.default_rng(2).integers(0, 255, (*SIZE, 3)).astype(np.uint8)
    return Segmenter(tiny).set_image(rgb)


def some(count: int) -> list[Prompt]:
    return [clicks((5 + 130 * i / count, 10 + 80 * i / count)) for i in range(count)]


def decoded(decoder: Decoder, sam: Sam, embedding: Embedding, prompts: list[Prompt]) -> Tensors:
    with torch.inference_mode():
        sparse, dense = encode_prompts(sam.prompt_encoder, embedding.transform, prompts)
        return decoder(embedding.features, sparse, dense, multimask=True)


def assert_alike(got: Tensors, expected: Tensors) -> None:
    """But for rounding, which depends on the size of a batch."""
    for ours, plain in zip(got, expected, strict=True):
        assert (ours - plain).abs().max() < 1e-4 * (plain.max() - plain.min())


def test_buckets() -> None:
    assert [bucket(count) for count in (1, 2, 3, 4, 5, 9, 33, 64)] == [1, 2, 4, 4, 8, 16, 64, 64]
    assert fill(torch.tensor([[1], [2]]), 4).tolist() == [[1], [2], [2], [2]]


def test_filling_up_changes_no_answer(tiny: Sam, embedding: Embedding) -> None:
    """Of any number of prompts; a recording for each power of two, and used again."""
    replays = Replays()
    plain, filled = Decoder(tiny, None), Decoder(tiny, replays)
    for count in (3, 1, 5, 2, 3, 7, 4):
        prompts = some(count)
        expected = decoded(plain, tiny, embedding, prompts)
        got = decoded(filled, tiny, embedding, prompts)
        assert [len(x) for x in got] == [count, count]
        assert_alike(got, expected)
    assert replays.batches == [4, 1, 8, 2]


def test_filling_up_with_the_papers_decoder(sam: Sam) -> None:
    """Whose dense embedding is one for all prompts, or one for each that has a mask."""
    features = torch.randn(1, 32, 16, 16)
    embedding = Embedding(
        features, Segmenter(sam).set_image(np.zeros((*SIZE, 3), np.uint8)).transform
    )
    replays = Replays()
    plain, filled = Decoder(sam, None), Decoder(sam, replays)
    masked = [Prompt(mask=rectangle(SIZE, 10 * i, 5, 10 * i + 40, 60)) for i in range(3)]
    boxes = [boxed(10, 10, 40 + i, 50) for i in range(3)]
    for prompts in (some(3), masked, boxes):
        expected = decoded(plain, sam, embedding, prompts)
        assert_alike(decoded(filled, sam, embedding, prompts), expected)
    assert replays.batches == [4, 4]  # boxes and clicks have the same shape


def test_results_outlive_the_next_call() -> None:
    """They are copies: the recording's own memory is written again."""
    double = Recorded(lambda x, y: (2 * x + y,), Replays())
    zero = torch.zeros(2)
    first = double(torch.ones(2), zero)
    second = double(torch.full((2,), 5.0), zero)
    assert first[0].tolist() == [2, 2] and second[0].tolist() == [10, 10]


def test_recordings_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was not used for longest goes."""
    monkeypatch.setattr("sam_ros.engine.cuda_graphs.MOST", 2)
    replays = Replays()
    same = Recorded(lambda x, y: (x + y,), replays)
    for count in (1, 2, 1, 3, 1, 2):
        same(torch.ones(count), torch.ones(count))
    assert replays.batches == [1, 2, 3, 2]


@GPU
def test_cuda_graphs(tiny: Sam, embedding: Embedding) -> None:
    expected = decoded(Decoder(tiny, None), tiny, embedding, some(3))
    try:
        tiny.to("cuda")
        on_gpu = Embedding(embedding.features.cuda(), embedding.transform)
        got = decoded(make_decoder(tiny), tiny, on_gpu, some(3))
    finally:
        tiny.to("cpu")
    assert_alike(tuple(x.cpu() for x in got), expected)
