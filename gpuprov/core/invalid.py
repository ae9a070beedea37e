"""What validators of ours say of a value, so that it can be translated: pydantic has plain strings of its own."""

from __future__ import annotations

from typing import LiteralString

from pydantic_core import PydanticCustomError


def invalid(kind: LiteralString, message: str, remedy: str | None = None) -> PydanticCustomError:
    """Return the error for a validator to raise. ``remedy`` is None where the message says what to do.

    pydantic copies what an error says into a plain string. Its context keeps both messages as they are: ``message`` and
    ``remedy``.
    """
    context = {"message": message} if remedy is None else {"message": message, "remedy": remedy}
    return PydanticCustomError(kind, "{message}", context)
