"""What validators of ours say of a value, so that it can be translated: pydantic has plain strings of its own."""

from __future__ import annotations

from typing import LiteralString

from pydantic_core import ErrorDetails, PydanticCustomError


def invalid(kind: LiteralString, message: str, remedy: str | None = None) -> PydanticCustomError:
    """Return the error for a validator to raise. ``remedy`` is None where the message says what to do.

    pydantic copies what an error says into a plain string. Its context keeps the messages as they are.
    """
    return PydanticCustomError(kind, "{message}", {"message": message, "remedy": remedy})


def message_of(detail: ErrorDetails) -> str:
    """Return what is wrong with a value: a message of ours, or what pydantic says of it in English."""
    return _kept(detail, "message") or detail["msg"]


def remedy_of(detail: ErrorDetails) -> str | None:
    """Return what to do about it, where `invalid` was told."""
    return _kept(detail, "remedy")


def _kept(detail: ErrorDetails, name: str) -> str | None:
    text = detail.get("ctx", {}).get(name)
    return text if isinstance(text, str) else None
