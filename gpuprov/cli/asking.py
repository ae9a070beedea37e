"""Questions at the terminal, which are answered with y or n in any language."""

from __future__ import annotations

import sys
from typing import NoReturn

import click

from gpuprov.cli.errors import Exit, fail
from gpuprov.cli.language import wrong_usage
from gpuprov.cli.screen import say
from gpuprov.errors import GpuprovError
from gpuprov.i18n import shown, tr

_YES = ("y", "yes", "예", "네", "ㅛ")
_NO = ("n", "no", "아니오", "아니요", "ㅜ", "")
"""The single letters are what the keys y and n write while a keyboard is set to Korean. Without an answer it is no."""


class Declined(GpuprovError):
    """A question was answered with no, or interrupted; ``code`` is the exit code for it."""

    def __init__(self, code: Exit) -> None:
        self.code = code
        super().__init__(tr("this plan was not confirmed"))


def agrees(question: str) -> bool:
    """Ask until the answer is one. Raises click.Abort for an interrupt."""
    text = shown(tr("{question} [y/N]", question=question))
    return click.prompt(text, default="", show_default=False, value_proc=_read, err=True)


def _read(answer: str) -> bool:
    word = answer.strip().casefold()
    if word not in _YES + _NO:
        raise wrong_usage(tr("answer y or n"))
    return word in _YES


def ask(question: str, *, yes: bool) -> bool:
    """Ask on a terminal; return False if ``yes`` answers already.

    Raises Declined, and click.UsageError without a terminal.
    """
    if yes:
        return False
    if not sys.stdin.isatty():
        raise wrong_usage(tr("pass --yes: there is no terminal to ask at"))
    try:
        agreed = agrees(question)
    except click.Abort:
        say(err=True)  # the line of the question has no end yet
        raise Declined(Exit.INTERRUPTED) from None
    if not agreed:
        raise Declined(Exit.FAILURE)
    return True


def confirm(question: str, *, yes: bool) -> bool:
    """Ask before anything is changed, and end the command on "no"; return whether a person was asked."""
    try:
        return ask(question, yes=yes)
    except Declined as declined:
        nothing_changed(declined.code)


def nothing_changed(code: Exit) -> NoReturn:
    """End a command that has changed nothing."""
    say(tr("nothing was changed"), err=True)
    fail(code)
