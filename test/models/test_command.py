"""The command line: its output, its errors in one line, its exit status."""

from __future__ import annotations

from pathlib import Path

import pytest
from publisher import Publisher

from sam_ros.models import cache
from sam_ros.models.__main__ import main
from sam_ros.models.catalogue import Entry


def test_from_list_to_remove(
    entry: Entry, publisher: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    """The life of a file: what each command prints and returns."""
    assert main(["list"]) == 0
    listed = capsys.readouterr().out
    assert "sam_vit_h" in listed and "2565 MB" in listed and str(cache.folder()) in listed
    assert main(["path", "toy"]) == 1
    assert capsys.readouterr().err == "models: toy is not here; run: models fetch toy\n"
    assert main(["fetch", "toy"]) == 0
    assert "toy: SHA-256 right, licence MIT" in capsys.readouterr().out
    assert main(["path", "toy"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.is_file()
    assert main(["verify"]) == 0
    assert capsys.readouterr().out == "toy: SHA-256 right\n"
    path.write_bytes(b"damaged")
    assert main(["verify", "toy"]) == 1
    assert "SHA-256 is" in capsys.readouterr().err
    assert main(["fetch", "toy"]) == 0  # mends it
    assert cache.verify(entry) == []
    assert main(["remove", "toy"]) == 0
    assert not path.exists()


def test_path_alone_is_the_folder(entry: Entry, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["path"]) == 0
    assert capsys.readouterr().out.strip() == str(cache.folder())


def test_a_part_is_shown_as_a_part(entry: Entry, capsys: pytest.CaptureFixture[str]) -> None:
    part = cache.part_of(entry, entry.files[0])
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(entry.size // 4))
    assert main(["list"]) == 0
    line = next(item for item in capsys.readouterr().out.splitlines() if item.startswith("toy"))
    assert "25 %" in line


@pytest.mark.parametrize("command", ["fetch", "verify", "path", "remove"])
def test_an_unknown_name_is_answered_by_the_known_ones(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "sam_vit_x"]) == 1
    error = capsys.readouterr().err
    assert "'sam_vit_x' is not known" in error and "sam_vit_b" in error
    assert error.count("\n") == 1


def test_a_failure_is_one_line_and_a_status(
    entry: Entry, publisher: Publisher, capsys: pytest.CaptureFixture[str]
) -> None:
    publisher.status = 404
    assert main(["fetch", "toy"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("models: ") and "404" in error and error.count("\n") == 1
