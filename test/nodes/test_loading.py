"""Where the node takes its weights from."""

from __future__ import annotations

from pathlib import Path

import pytest

from sam_ros.models import cache
from sam_ros.models.catalogue import CATALOGUE
from sam_ros.msg import Status
from sam_ros.nodes.loading import load_segmenter
from sam_ros.nodes.parameters import Parameters
from sam_ros.nodes.status import Refused

MOBILE_SAM = CATALOGUE["mobile_sam"]


def test_fetched_weights_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The parameter checkpoint stays empty; what was fetched is what runs."""
    import torch

    from sam_ros.model import build_sam

    monkeypatch.setenv("SAM_ROS_MODELS", str(tmp_path))
    cache.place(MOBILE_SAM).mkdir()
    state = build_sam("mobile_sam").state_dict()
    torch.save(state, cache.path_of(MOBILE_SAM, MOBILE_SAM.files[0]))
    segmenter = load_segmenter(Parameters(model="mobile_sam", device="cpu"))
    loaded = segmenter.sam.state_dict()
    tokens = "mask_decoder.mask_tokens.weight"  # the encoder may be rearranged for speed
    assert torch.equal(loaded[tokens], state[tokens])


def test_a_part_of_a_download_is_not_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal has the command that fetches the rest."""
    monkeypatch.setenv("SAM_ROS_MODELS", str(tmp_path))
    cache.place(MOBILE_SAM).mkdir()
    cache.part_of(MOBILE_SAM, MOBILE_SAM.files[0]).write_bytes(b"PK")
    with pytest.raises(Refused, match="ros2 run sam_ros models fetch mobile_sam") as refused:
        load_segmenter(Parameters(model="mobile_sam"))
    assert refused.value.code == Status.MODEL_UNAVAILABLE
    assert str(tmp_path) in str(refused.value)
