"""Messages for people as fields of what one process tells another, so that the parent can show them in any language.

Between processes a message is its template and arguments; in ``--json`` it is its English sentence, as every string.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import PlainSerializer, PlainValidator, SerializationInfo

from gpuprov.i18n import Packed, packed, unpacked

BETWEEN_PROCESSES = {"between": "processes"}
"""The context in which messages are serialized whole."""


def _serialized(text: str, info: SerializationInfo) -> Packed:
    return packed(text) if info.context == BETWEEN_PROCESSES else str(text)


Told = Annotated[str, PlainValidator(unpacked), PlainSerializer(_serialized)]
"""A text for people; a message keeps what it is made of."""
