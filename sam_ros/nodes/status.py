"""How a request ended, as a value to raise and as a message to send."""

from __future__ import annotations

from sam_ros.msg import Status


class Refused(Exception):
    """A request that cannot be answered.

    Args:
        code: one of the constants of sam_ros/Status, not OK.
        message: for a person to read; names the field, its value and what was expected.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    def status(self) -> Status:
        """The message that says so."""
        return Status(code=self.code, message=str(self))


def invalid(message: str) -> Refused:
    """A request that contradicts itself, the image or what the node knows."""
    return Refused(Status.INVALID_REQUEST, message)


def summary(statuses: list[Status]) -> Status:
    """One status for several prompts: OK as soon as one of them was answered.

    The message counts the refused ones; when all were refused, it is the first one's status.
    """
    refused = [
        (index, status) for index, status in enumerate(statuses) if status.code != Status.OK
    ]
    if not refused:
        notes = [
            f"prompts[{i}]: {each.message}" for i, each in enumerate(statuses) if each.message
        ]
        return Status(code=Status.OK, message="; ".join(notes))
    index, first = refused[0]
    text = f"prompts[{index}]: {first.message}"
    if len(refused) > 1:
        text = f"{len(refused)} of {len(statuses)} prompts were refused; {text}"
    code = first.code if len(refused) == len(statuses) else Status.OK
    return Status(code=code, message=text)
