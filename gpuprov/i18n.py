"""Messages that can be shown in another language than the English in which the code has them.

`tr` makes a sentence as a `Message`: a string like any other, in English, that also knows what it was made of. So the
core decides and compares in English, machines read English, and only what is shown to a person is translated, by
`shown`, with the catalogue in ``locales``. Whoever joins messages does it with `tr` or `joined`: an f-string of them is
plain English.

The engineers' log, ``--json``, CSV and names of options stay English (docs/languages.md).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from importlib import resources
from typing import Any

SOURCE = "en"
LANGUAGES = (SOURCE, "ko")
"""The languages that messages can be shown in; the first is the one that the code is written in."""

LANGUAGE_VARIABLE = "GPUPROV_LANG"
"""The environment variable that chooses the language, as ``--lang`` does."""

Translate = Callable[[str], str]
"""Returns the template to use for a template in English: itself, where there is no translation."""


Quote = Callable[[str], str]
"""Returns data as it must be written where it stands."""


class Message(str):
    """A sentence in English that knows its template and its arguments. Makes no difference to who reads it as a string.

    Operations of strings (``+``, slices, `str.join`, f-strings) return plain strings, which can't be translated.
    """

    __slots__ = ("arguments", "template")
    template: str
    arguments: Mapping[str, object]

    def __new__(cls, template: str, arguments: Mapping[str, object]) -> Message:
        """Return the sentence; ``template`` has its arguments in braces, as `str.format` takes them."""
        message = super().__new__(cls, template.format(**arguments))
        message.template, message.arguments = template, arguments
        return message

    def __reduce__(self) -> tuple[object, ...]:
        """Let messages go from a worker's process to its parent's."""
        return type(self), (self.template, self.arguments)

    def translated(self, translate: Translate, quote: Quote) -> str:
        """Return the sentence in another language, and what it is made of too, with data as ``quote`` returns it."""
        arguments = {name: _translated(value, translate, quote) for name, value in self.arguments.items()}
        return translate(self.template).format(**arguments)


class Joined(str):
    """Sentences one after the other."""

    __slots__ = ("parts", "separator")
    separator: str
    parts: tuple[str, ...]

    def __new__(cls, separator: str, parts: Iterable[str]) -> Joined:
        """Return ``parts`` with ``separator`` between them."""
        kept = tuple(parts)
        text = super().__new__(cls, separator.join(kept))
        text.separator, text.parts = separator, kept
        return text

    def __reduce__(self) -> tuple[object, ...]:
        """Let them go from a worker's process to its parent's."""
        return type(self), (self.separator, self.parts)

    def translated(self, translate: Translate, quote: Quote) -> str:
        """Return all of them in another language."""
        return self.separator.join(str(_translated(part, translate, quote)) for part in self.parts)


class Word(StrEnum):
    """Words that are compared, parsed and written in English, and shown in the language in use: ``KEPT = tr("kept")``.

    Where people type one, it has to stay as it is: ``str(word)``.
    """

    def translated(self, translate: Translate, quote: Quote) -> str:
        """Return the word in another language. It is ours, and no data."""
        return translate(str(self))


def _translated(value: object, translate: Translate, quote: Quote) -> object:
    if isinstance(value, (Message, Joined, Word)):
        return value.translated(translate, quote)
    return quote(value) if isinstance(value, str) else value


def tr(template: str, /, **arguments: object) -> Message:
    """Return a sentence for people, with its arguments filled in: ``tr("{award} has ended", award=award.id)``.

    The template is a literal, so that the catalogue can be made and checked from the source.
    """
    return Message(template, arguments)


def trn(singular: str, plural: str, number: int, /, **arguments: object) -> Message:
    """Return ``singular`` for one and else ``plural``, with ``number`` among the arguments."""
    return Message(singular if number == 1 else plural, {"number": number, **arguments})


def joined(separator: str, parts: Iterable[str]) -> Joined:
    """Join messages, and strings, so that the whole can still be translated."""
    return Joined(separator, parts)


def all_of(names: Iterable[str]) -> str:
    """Return ``A and B and C`` of one or more names."""
    return functools.reduce(lambda before, name: tr("{before} and {name}", before=before, name=name), names)


def any_of(names: Iterable[str]) -> str:
    """Return ``A or B or C`` of one or more names."""
    return functools.reduce(lambda before, name: tr("{before} or {name}", before=before, name=name), names)


Packed = str | int | float | dict[str, Any]
"""A message as JSON, or a plain value."""


def packed(value: object) -> Packed:
    """Return a message as JSON that `unpacked` makes the same message of; anything else as a number or a text."""
    match value:
        case Message():
            return {"template": value.template, "arguments": {name: packed(of) for name, of in value.arguments.items()}}
        case Joined():
            return {"separator": value.separator, "parts": [packed(part) for part in value.parts]}
        case Word():
            return {"word": str(value)}
        case int() | float():
            return value
    return str(value)


def unpacked(value: Any) -> Any:  # noqa: ANN401 (what `packed` returns)
    """Return the message, or the value, that was packed."""
    match value:
        case {"template": str(template), "arguments": dict(arguments)}:
            return Message(template, {name: unpacked(of) for name, of in arguments.items()})
        case {"separator": str(separator), "parts": list(parts)}:
            return Joined(separator, map(unpacked, parts))
        case {"word": str(word)}:
            return Message(word.replace("{", "{{").replace("}", "}}"), {})
    return value


_language = SOURCE


def use(language: str) -> None:
    """Show messages in this language from now on, one of `LANGUAGES`."""
    global _language  # noqa: PLW0603 (a process talks to one person)
    _language = language


def language() -> str:
    """Return the language that messages are shown in."""
    return _language


def shown(text: object, quote: Quote | None = None) -> str:
    """Return what a person is shown: a message in the language in use, anything else as it is, and all of it `visible`.

    Texts that a message was made of, and a text that is no message, are data: they are passed through ``quote``.
    """
    if _language == SOURCE and quote is None:
        return visible(str(text))
    translate = str if _language == SOURCE else _catalogue(_language).__getitem__
    return visible(str(_translated(text, translate, quote or str)))


_HIDING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, but for tab and line feed
    "\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U000e0000-\U000e0fff]"  # what is not seen, or turns the text around it
)


def visible(text: str) -> str:
    """Return a text in which every character is seen: an escape sequence of a terminal, a turn of the writing direction
    or a blank without width is written as Python writes it. Such characters come in names and messages from outside.
    """
    return _HIDING.sub(_escaped, text)


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape", "backslashreplace").decode("ascii")


def visible_json(document: str) -> str:
    """Return a document of JSON with the same data in which every character is seen."""

    def escaped(match: re.Match[str]) -> str:
        units = match[0].encode("utf-16-be", "surrogatepass").hex()
        return "".join(f"\\u{units[index : index + 4]}" for index in range(0, len(units), 4))

    return _HIDING.sub(escaped, document)


def of_environment(environment: Mapping[str, str]) -> str:
    """Return the language of `LANGUAGE_VARIABLE`, else of the locale, by POSIX's variables in order; else English."""
    for variable in (LANGUAGE_VARIABLE, "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environment.get(variable):
            wanted = value.split(".")[0].split("_")[0].lower()
            return wanted if wanted in LANGUAGES else SOURCE
    return SOURCE


class _Catalogue(dict[str, str]):
    def __missing__(self, template: str) -> str:
        return template


@functools.cache
def _catalogue(language: str) -> _Catalogue:
    """Read the translations of every template, of singulars and plurals too."""
    from babel.messages.pofile import read_po  # takes 0.1 s, which English must not cost

    translations = _Catalogue()
    with (resources.files("gpuprov") / "locales" / f"{language}.po").open("rb") as file:
        for entry in read_po(file, locale=language):
            if entry.id and entry.string and not entry.fuzzy:
                translations |= dict.fromkeys(_strings(entry.id), _strings(entry.string)[-1])
    return translations


def _strings(text: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    """Return one for a message without a plural, else those of its singular and plural."""
    return (text,) if isinstance(text, str) else tuple(text)
