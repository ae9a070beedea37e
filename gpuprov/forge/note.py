"""One comment of a change and one issue of a repository, each found by its marker."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from gpuprov.i18n import Word, tr


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A comment or an issue, as the platform has it; ``key`` names it in further requests."""

    key: int
    author: str
    body: str


class Done(Word):
    """What became of a note."""

    CREATED = tr("created")
    EDITED = tr("edited")
    UNCHANGED = tr("as it was")
    CLOSED = tr("closed")
    NOTHING = tr("not needed")


class Forge(Protocol):
    """A platform, seen from one run of CI. Every method raises ForgeError."""

    limit: int
    """The most characters that the platform takes for one text."""

    run: str
    """The address of the run; empty where it is not known."""

    def me(self) -> str:
        """Return the name under which this run's token writes."""

    def comments(self) -> Iterable[Note]:
        """Return the comments of the change, the oldest first."""

    def add_comment(self, body: str) -> None:
        """Write a new comment on the change."""

    def edit_comment(self, key: int, body: str) -> None:
        """Replace a comment's text."""

    def open_issues(self, author: str) -> Iterable[Note]:
        """Return the open issues that an author has opened."""

    def add_issue(self, title: str, body: str) -> None:
        """Open an issue."""

    def edit_issue(self, key: int, body: str, *, close: bool) -> None:
        """Replace an issue's text, and close it or leave it open."""


def marker(name: str) -> str:
    """Return the line, hidden in Markdown, that tells a note of ours from others; ``name`` tells one project's from
    another's.
    """
    return f"<!-- gpuprov ci: {name} -->"


def put_comment(forge: Forge, name: str, text: str) -> Done:
    """Write the change's comment, or edit the one that is there."""
    body = f"{marker(name)}\n{text}"
    found = _ours(forge.comments(), name, forge.me())
    if found is None:
        forge.add_comment(body)
        return Done.CREATED
    if _same(found.body, body):
        return Done.UNCHANGED
    forge.edit_comment(found.key, body)
    return Done.EDITED


def put_issue(forge: Forge, name: str, title: str, text: str, *, wrong: bool) -> Done:
    """Open the issue if something is wrong, edit it while that lasts, and close it when it is over."""
    body = f"{marker(name)}\n{text}"
    me = forge.me()
    found = _ours(forge.open_issues(me), name, me)
    if found is None:
        if not wrong:
            return Done.NOTHING
        forge.add_issue(title, body)
        return Done.CREATED
    if wrong and _same(found.body, body):
        return Done.UNCHANGED
    forge.edit_issue(found.key, body, close=not wrong)
    return Done.EDITED if wrong else Done.CLOSED


def _ours(notes: Iterable[Note], name: str, me: str) -> Note | None:
    """Return the first note that we have written and marked. Platforms may change the ends of its lines."""
    return next((note for note in notes if note.author == me and note.body.lstrip().startswith(marker(name))), None)


def _same(found: str, body: str) -> bool:
    return found.replace("\r\n", "\n").strip() == body.strip()
