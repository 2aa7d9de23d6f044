"""What the documents point at is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda item: str(item.relative_to(ROOT)))
def test_relative_links_lead_somewhere(document: Path) -> None:
    """Files and pictures named by a document exist."""
    targets = LINK.findall(document.read_text())
    missing = [item for item in targets if not (document.parent / item).exists()]
    assert not missing


def test_the_readme_names_every_make_target_it_uses() -> None:
    """Commands of the README are those of the Makefile."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = set(re.findall(r"`?make ([a-z]+)", (ROOT / "README.md").read_text()))
    assert used <= targets and {"demo", "test"} <= used
