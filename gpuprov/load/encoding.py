"""Bytes of a text file to text, never by guessing: a file that fits no accepted encoding is refused.

Excel in Korea writes CP949 (a superset of EUC-KR) as "CSV", UTF-8 with a byte order mark as "CSV UTF-8" and UTF-16
as "Unicode text". Valid UTF-8 of Korean text is practically never valid CP949 and the reverse, so the order below
is safe: byte order mark, strict UTF-8, strict CP949.
"""

from __future__ import annotations

import codecs

from gpuprov.errors import InputError, Problem
from gpuprov.i18n import tr

SAVE_AS = tr("save it in Excel as 'CSV UTF-8 (comma delimited)' or as .xlsx")

_MARKED = (
    (codecs.BOM_UTF8, "utf-8", "UTF-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16-be", "UTF-16"),
)


def decode(file: str, data: bytes, remedy: str = SAVE_AS) -> str:
    """Return the text of ``data`` without a byte order mark.

    Raises InputError, with the line and the byte, where ``data`` is not text in UTF-8, CP949 or marked UTF-16.
    """
    text = _decode(file, data, remedy)
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise _refused(file, line, tr("holds NUL bytes, so it is not a text file"), remedy)
    return text


def _decode(file: str, data: bytes, remedy: str) -> str:
    for mark, encoding, name in _MARKED:
        if data.startswith(mark):
            body = data[len(mark) :]
            try:
                return body.decode(encoding)
            except UnicodeDecodeError as error:
                line = body[: error.start].decode(encoding, "replace").count("\n") + 1
                byte = body[error.start]
                message = tr("begins as {encoding}, but byte 0x{byte:02X} is not {encoding}", encoding=name, byte=byte)
                raise _refused(file, line, message, remedy) from error
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as utf8:
        try:
            return data.decode("cp949")
        except UnicodeDecodeError as cp949:
            # The encoding that got further is the one the file was meant to have: its failure is the damaged place.
            at = max(utf8.start, cp949.start)
            message = tr("byte 0x{byte:02X} is neither UTF-8 nor CP949 (EUC-KR)", byte=data[at])
            raise _refused(file, data.count(b"\n", 0, at) + 1, message, remedy) from cp949


def _refused(file: str, row: int, message: str, remedy: str) -> InputError:
    return InputError([Problem(file=file, row=row, message=message, remedy=remedy)])
