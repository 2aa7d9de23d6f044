"""Which number in ~/label_mask stands for which class: from a file, or in order of arrival."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

LAST_CLASS_ID = 255
UNNAMED = "object"  # the class of what has no label


class Classes:
    """The classes met so far; a number once given stays.

    Args:
        known: number to name of the classes known beforehand.

    Attributes:
        numbers: label to its value in ~/label_mask, 1..255.
    """

    def __init__(self, known: Mapping[int, str]) -> None:
        self._names = {str(number): name for number, name in known.items()}
        self.numbers = {name: number for number, name in known.items()}

    def label(self, text: str) -> str:
        """The label that is meant: a detector that sends a number means that of the file."""
        return self._names.get(text, text)

    def number(self, label: str) -> int:
        """The number of a label, "" for what has none; those after the 255th share the last."""
        free = min(max(self.numbers.values(), default=0) + 1, LAST_CLASS_ID)
        return self.numbers.setdefault(label or UNNAMED, free)


def read_labels(path: str) -> dict[int, str]:
    """Reads the names of classes by their numbers, 1..255.

    A YAML mapping gives ``number: name``. A YAML list, or a text file with one name on each line,
    counts from 1: 0 stands for no object.

    Args:
        path: the file; "" for none.

    Raises:
        ValueError: names the file, the line and what was expected.
    """
    if not path:
        return {}
    file = Path(path).expanduser()
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"labels_file: {file}; expected a readable text file ({error})") from None
    try:
        entries = _from_yaml(text) if file.suffix in (".yaml", ".yml") else _from_lines(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ValueError(f"labels_file: {file}, line {line}: {error.problem}") from None
    return _checked(entries, file)


Entry = tuple[int, str, str]  # line, number, name


def _from_lines(text: str) -> list[Entry]:
    names = [(line, name.strip()) for line, name in enumerate(text.splitlines(), 1)]
    named = [(line, name) for line, name in names if name and not name.startswith("#")]
    return [(line, str(number), name) for number, (line, name) in enumerate(named, 1)]


def _from_yaml(text: str) -> list[Entry]:
    root = yaml.compose(text, yaml.SafeLoader)
    if isinstance(root, yaml.MappingNode):
        pairs = [(key.start_mark.line + 1, _scalar(key), value) for key, value in root.value]
    elif isinstance(root, yaml.SequenceNode):
        items = enumerate(root.value, 1)
        pairs = [(item.start_mark.line + 1, str(number), item) for number, item in items]
    else:
        raise yaml.MarkedYAMLError(problem="expected `number: name` pairs or a list of names")
    return [(line, number, _scalar(value)) for line, number, value in pairs]


def _scalar(node: yaml.Node) -> str:
    return node.value if isinstance(node, yaml.ScalarNode) else ""


def _checked(entries: list[Entry], file: Path) -> dict[int, str]:
    labels: dict[int, str] = {}
    for line, number, name in entries:
        where = f"labels_file: {file}, line {line}"
        if not (number.isascii() and number.isdigit() and 1 <= int(number) <= LAST_CLASS_ID):
            raise ValueError(f"{where}: {number!r}; expected a number 1..{LAST_CLASS_ID}")
        if not name:
            raise ValueError(f"{where}: class {number} has no name; expected a text")
        if int(number) in labels or name in labels.values():
            raise ValueError(f"{where}: {number}: {name!r}; expected each only once")
        labels[int(number)] = name
    if not labels:
        raise ValueError(f"labels_file: {file} is empty; expected `number: name` pairs")
    return labels
