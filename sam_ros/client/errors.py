"""A status that is not OK, as an exception: one class for each code."""

from __future__ import annotations

from typing import ClassVar

from sam_ros.msg import Status


class SamError(Exception):
    """The node could not do what it was asked; the text begins with the name of the code.

    Args:
        message: what the node says about it.
        code: a constant of sam_ros/Status; None: that of the class.
    """

    CODE: ClassVar[int] = Status.INTERNAL
    NAME: ClassVar[str] = "UNKNOWN"

    def __init__(self, message: str, code: int | None = None) -> None:
        self.code, self.message = self.CODE if code is None else code, message
        super().__init__(f"{self.NAME}: {message}")


class InvalidRequest(SamError):
    """The request contradicts itself, the picture or what the node knows."""

    CODE, NAME = Status.INVALID_REQUEST, "INVALID_REQUEST"


class NoImage(SamError):
    """No picture has arrived at the node yet."""

    CODE, NAME = Status.NO_IMAGE, "NO_IMAGE"


class StampNotCached(SamError):
    """The node does not remember the picture of that stamp."""

    CODE, NAME = Status.STAMP_NOT_CACHED, "STAMP_NOT_CACHED"


class ModelUnavailable(SamError):
    """No model is loaded; the text says why and what to do."""

    CODE, NAME = Status.MODEL_UNAVAILABLE, "MODEL_UNAVAILABLE"


class TextUnavailable(SamError):
    """No text model is loaded."""

    CODE, NAME = Status.TEXT_UNAVAILABLE, "TEXT_UNAVAILABLE"


class Inactive(SamError):
    """The node is not active, or was switched off."""

    CODE, NAME = Status.INACTIVE, "INACTIVE"


class NoAnswer(SamError, TimeoutError):
    """No answer in time, by the node's clock or by the client's, or no such node."""

    CODE, NAME = Status.TIMEOUT, "TIMEOUT"


class InternalError(SamError):
    """A fault in the node; its log tells more."""

    CODE, NAME = Status.INTERNAL, "INTERNAL"


_CLASSES: dict[int, type[SamError]] = {kind.CODE: kind for kind in SamError.__subclasses__()}


def error_of(status: Status) -> SamError | None:
    """The exception of a status; None when it is OK."""
    if status.code == Status.OK:
        return None
    return _CLASSES.get(status.code, SamError)(status.message, status.code)


def check(status: Status) -> None:
    """Raises the exception of a status that is not OK."""
    error = error_of(status)
    if error is not None:
        raise error
