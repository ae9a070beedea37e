"""Every message that can be shown in another language is in the catalogue, and says it with the same arguments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from gpuprov import i18n

PACKAGE = Path(i18n.__file__).parent
METHODS = [("**.py", "python"), ("templates/**.j2", "jinja2")]
KEYWORDS = {"tr": None, "trn": (1, 2)}


def _fields(template: str) -> set[str]:
    return {field for _, field, _, _ in Formatter().parse(template) if field}


def _has_words(template: str) -> bool:
    return any(
        text.strip(" :;,.()'`\n-").isascii() and any(map(str.isalpha, text)) for text, *_ in Formatter().parse(template)
    )


def source_templates() -> dict[str, str]:
    """Return every template of the source that has words of its own, with where it stands."""
    templates: dict[str, str] = {}
    for file, line, message, _, _ in extract_from_dir(PACKAGE, METHODS, keywords=KEYWORDS):
        for template in (message,) if isinstance(message, str) else message:
            if template and _has_words(template):
                templates.setdefault(template, f"{file}:{line}")
    return templates


def catalogue(language: str) -> Iterator[tuple[str, str]]:
    with (PACKAGE / "locales" / f"{language}.po").open("rb") as file:
        for entry in read_po(file, locale=language):
            if entry.id:
                assert not entry.fuzzy, entry.id
                for template in i18n._strings(entry.id):
                    yield template, i18n._strings(entry.string or "")[-1]


OTHERS = [language for language in i18n.LANGUAGES if language != i18n.SOURCE]


@pytest.mark.parametrize("language", OTHERS)
def test_the_catalogue_has_every_message_and_no_other(language: str) -> None:
    source = source_templates()
    translated = {template for template, text in catalogue(language) if text.strip()}
    missing = {template: place for template, place in source.items() if template not in translated}
    assert not missing
    assert translated - source.keys() == set()


@pytest.mark.parametrize("language", OTHERS)
def test_translations_have_the_arguments_of_their_templates(language: str) -> None:
    differ = {template: text for template, text in catalogue(language) if _fields(template) != _fields(text)}
    assert not differ


def test_translations_into_korean_have_hangul() -> None:
    plain = {template for template, text in catalogue("ko") if not any("가" <= letter <= "힣" for letter in text)}
    assert not plain
