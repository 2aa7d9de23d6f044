"""config/sam.yaml and the README's table, written from the parameters.

``python -m sam_ros.nodes.parameter_docs yaml`` (or ``table``) prints them; a test compares.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import textwrap

from sam_ros.nodes.parameters import Facts, Parameters, facts

WIDTH = 99


def yaml() -> str:
    """The text of config/sam.yaml: every parameter with its default and description."""
    lines = ["# Every parameter of the node `sam`, with its default.", "/**/sam:"]
    lines.append("  ros__parameters:")
    for item in dataclasses.fields(Parameters):
        known = facts()[item.name]
        text = " ".join(part for part in (known.text, _allowed(known), _when(known)) if part)
        lines += textwrap.wrap(text, WIDTH, initial_indent="    # ", subsequent_indent="    # ")
        lines.append(f"    {item.name}: {json.dumps(item.default)}")
    return "\n".join(lines) + "\n"


def table() -> str:
    """The table of the README: name (type, default): text. Range."""
    lines = ["| parameter | default | what it does | allowed | live |", "|---|---|---|---|---|"]
    for item in dataclasses.fields(Parameters):
        known = facts()[item.name]
        cells = (
            f"`{item.name}` ({type(item.default).__name__})",
            f"`{json.dumps(item.default)}`",
            known.text,
            known.allowed.replace("|", r"\|") or "any",
            "yes" if known.live else "no",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _allowed(known: Facts) -> str:
    if not known.allowed:
        return ""
    return f"{'One of' if known.choices else 'Range'}: {known.allowed}."


def _when(known: Facts) -> str:
    return "Live." if known.live else "Read on configure."


if __name__ == "__main__":
    sys.stdout.write({"yaml": yaml, "table": table}[sys.argv[1]]())
