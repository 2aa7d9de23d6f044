"""The published weights that can be fetched: from where, how large, under which licence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

META = "https://dl.fbaipublicfiles.com/segment_anything"
MOBILE_SAM = (
    "https://github.com/ChaoningZhang/MobileSAM/raw/f706ad9c4eb7f219c00d9050e46328518ffb65d2"
)
HUB = "https://huggingface.co"


@dataclass(frozen=True)
class File:
    """One file of weights, or beside them.

    Attributes:
        name: what it is called on the disk.
        url: where its publisher has it.
        sha256: 64 hexadecimal digits that its content must have.
        size: bytes.
    """

    name: str
    url: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Entry:
    """What is fetched and removed together.

    Attributes:
        name: for the command line; for a SAM also the value of the parameter ``model``.
        licence: of the weights, as SPDX names it.
        origin: who says that the hashes are right.
        files: one checkpoint, or all that transformers reads from a folder.
    """

    name: str
    licence: str
    origin: str
    files: tuple[File, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)


def _checkpoint(name: str, url: str, sha256: str, size: int) -> Entry:
    """One file of the Segment Anything family; none of its publishers states a SHA-256."""
    file = File(url.rpartition("/")[2], url, sha256, size)
    return Entry(
        name, "Apache-2.0", "recorded by users of the file, not by its publisher", (file,)
    )


def _clip(
    name: str, weights: tuple[str, str, int], rest: str, *files: tuple[str, str, int]
) -> Entry:
    """A folder of transformers from the hub, weights as safetensors.

    Args:
        name: repository of OpenAI.
        weights: their revision, SHA-256 and size.
        rest: revision of the other files.
        files: name, SHA-256 and size of each.
    """
    base = f"{HUB}/openai/{name}/resolve"
    revision, sha256, size = weights
    safetensors = "model.safetensors"
    listed = [File(safetensors, f"{base}/{revision}/{safetensors}", sha256, size)]
    listed += [File(item[0], f"{base}/{rest}/{item[0]}", *item[1:]) for item in files]
    return Entry(name, "MIT", "weights: stated by the hub; the rest: recorded", tuple(listed))


def _by_name(entries: Iterable[Entry]) -> dict[str, Entry]:
    return {entry.name: entry for entry in entries}


CATALOGUE = _by_name(
    (
        _checkpoint(
            "mobile_sam",
            f"{MOBILE_SAM}/weights/mobile_sam.pt",
            "6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
            40_728_226,
        ),
        _checkpoint(
            "sam_vit_b",
            f"{META}/sam_vit_b_01ec64.pth",
            "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
            375_042_383,
        ),
        _checkpoint(
            "sam_vit_l",
            f"{META}/sam_vit_l_0b3195.pth",
            "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
            1_249_524_607,
        ),
        _checkpoint(
            "sam_vit_h",
            f"{META}/sam_vit_h_4b8939.pth",
            "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
            2_564_550_879,
        ),
        _clip(
            "clip-vit-base-patch32",
            (  # of the hub's own conversion, pull request 15: the main branch has a pickle only
                "b33cedfd0df4e43b8238760678fcc89e1a0d38b3",
                "99d28a652e6ec46629ab7047a0ac82c69b1fe11e0ce672c43af65d3a9a3fc05d",
                605_157_884,
            ),
            "3d74acf9a28c67741b2f4f2ea7635f0aaf6f0268",
            (
                "config.json",
                "b575ef3c36f2a057fa19e221650105052d61cc9c1a972ec15019c6261ec98770",
                4_186,
            ),
            (
                "merges.txt",
                "f526393189112391ce6f9795d4695f704121ce452c3aad1f5335cc41337eba85",
                524_657,
            ),
            (
                "preprocessor_config.json",
                "910e70b3956ac9879ebc90b22fb3bc8a75b6a0677814500101a4c072bd7857bd",
                316,
            ),
            (
                "special_tokens_map.json",
                "f8c0d6c39aee3f8431078ef6646567b0aba7f2246e9c54b8b99d55c22b707cbf",
                389,
            ),
            (
                "tokenizer.json",
                "b556ac8c99757ffb677208af34bc8c6721572114111a6e0aaf5fa69ff0b8d842",
                2_224_041,
            ),
            (
                "tokenizer_config.json",
                "34b7336e4bee12e0a9730eaf5189f582ef3c3eea5027f65730e5717256755aad",
                592,
            ),
            (
                "vocab.json",
                "5047b556ce86ccaf6aa22b3ffccfc52d391ea4accdab9c2f2407da5b742d4363",
                862_328,
            ),
        ),
        _clip(
            "clip-vit-large-patch14",
            (
                "32bd64288804d66eefd0ccbe215aa642df71cc41",
                "a2bf730a0c7debf160f7a6b50b3aaf3703e7e88ac73de7a314903141db026dcb",
                1_710_540_580,
            ),
            "32bd64288804d66eefd0ccbe215aa642df71cc41",
            (
                "config.json",
                "8a09b467700c58138c29d53c605b34ebc69beaadd13274a8a2af8ad2c2f4032a",
                4_519,
            ),
            (
                "merges.txt",
                "9fd691f7c8039210e0fced15865466c65820d09b63988b0174bfe25de299051a",
                524_619,
            ),
            (
                "preprocessor_config.json",
                "910e70b3956ac9879ebc90b22fb3bc8a75b6a0677814500101a4c072bd7857bd",
                316,
            ),
            (
                "special_tokens_map.json",
                "f8c0d6c39aee3f8431078ef6646567b0aba7f2246e9c54b8b99d55c22b707cbf",
                389,
            ),
            (
                "tokenizer.json",
                "a83e0809aa4c3af7208b2df632a7a69668c6d48775b3c3fe4e1b1199d1f8b8f4",
                2_224_003,
            ),
            (
                "tokenizer_config.json",
                "deef455e52fa5e8151e339add0582e4235f066009601360999d3a9cda83b1129",
                905,
            ),
            (
                "vocab.json",
                "3f0c4f7d2086b61b38487075278ea9ed04edb53a03cbb045b86c27190fa8fb69",
                961_143,
            ),
        ),
    )
)
