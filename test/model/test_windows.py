"""Windows: what is cut out is put back, and the padding is zeros."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from sam_ros.model.windows import merge, partition

SIDES = st.integers(1, 9)


@given(height=SIDES, width=SIDES, size=SIDES, batch=st.integers(1, 3))
def test_merge_undoes_partition(height: int, width: int, size: int, batch: int) -> None:
    """Any image comes back from windows of any size, padding gone."""
    x = torch.arange(batch * height * width * 2.0).reshape(batch, height, width, 2)
    windows = partition(x, size)
    assert windows.shape == (batch * -(-height // size) * -(-width // size), size, size, 2)
    assert torch.equal(merge(windows, (height, width)), x)


def test_windows_hold_neighbours_and_zeros() -> None:
    """The windows come row by row; beyond the image there are zeros."""
    x = torch.arange(1, 16).reshape(1, 3, 5, 1)
    windows = partition(x, 2)[..., 0]
    assert windows[1].tolist() == [[3, 4], [8, 9]]
    assert windows[2].tolist() == [[5, 0], [10, 0]]
    assert windows[5].tolist() == [[15, 0], [0, 0]]
