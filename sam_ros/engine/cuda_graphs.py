"""Work on a GPU recorded once and replayed: one launch instead of hundreds.

A small network spends its time waiting for the processor to launch kernels. A CUDA graph launches
all of them at once, but always on the same memory; so inputs are copied to where the recording
reads them, and results from where it leaves them. Recording and replaying belong into one thread.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import Tensor

MOST = 32  # shapes that are remembered
WARM_UP = 3  # runs before a recording, in which libraries choose their kernels

Tensors = tuple[Tensor, ...]
Function = Callable[..., Tensors]
Recorder = Callable[[Function, Tensors], tuple[Callable[[], None], Tensors]]


class Recorded:
    """A function of tensors that does the same on the device whatever their values are.

    Args:
        function: of tensors, returns tensors; nothing in it may wait for the device.
        record: of :class:`CudaRecorder`; another one for tests without a GPU.
    """

    def __init__(self, function: Function, record: Recorder) -> None:
        self._function, self._record = function, record
        self._recordings: OrderedDict[tuple[object, ...], _Recording] = OrderedDict()

    def __call__(self, *inputs: Tensor) -> Tensors:
        """The function's results, by a recording for inputs of these shapes."""
        key = tuple((x.shape, x.dtype) for x in inputs)
        if key not in self._recordings:
            self._recordings[key] = _Recording(self._function, inputs, self._record)
            if len(self._recordings) > MOST:
                self._recordings.popitem(last=False)
        self._recordings.move_to_end(key)
        return self._recordings[key](inputs)


class _Recording:
    """One shape of inputs and the memory that belongs to it."""

    def __init__(self, function: Function, inputs: Tensors, record: Recorder) -> None:
        self._inputs = tuple(x.clone() for x in inputs)
        self._replay, self._outputs = record(function, self._inputs)

    def __call__(self, inputs: Tensors) -> Tensors:
        for own, given in zip(self._inputs, inputs, strict=True):
            own.copy_(given)
        self._replay()
        return tuple(x.clone() for x in self._outputs)  # the next replay writes over them


class CudaRecorder:
    """Records CUDA graphs, which share the memory of what they compute on the way.

    They may, because each is finished with it, and its results are copied, before the next runs.
    """

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def __call__(self, function: Function, inputs: Tensors) -> tuple[Callable[[], None], Tensors]:
        """How to run the function on these inputs again, and where its results are then."""
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                function(*inputs)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        # Other threads may use the device meanwhile: they are none of this one's business.
        with torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"):
            outputs = function(*inputs)
        return graph.replay, outputs
