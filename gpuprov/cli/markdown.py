"""Renders a plan, or why there is none, as Markdown: for the pull request that changes the award list.

Templates call `tr` and `trn` as the code does; what they write is translated as it is written.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from gpuprov.cli.language import unprefixed
from gpuprov.core.plan import Plan
from gpuprov.errors import GpuprovError, InputError, PlanRefused
from gpuprov.i18n import joined, shown, tr, trn


def plan_markdown(plan: Plan, failed: Mapping[str, str], refused: Sequence[str], warnings: Sequence[str] = ()) -> str:
    """Return the plan as a Markdown table, with the errors by provider, warnings, and the guard's reasons to refuse
    it.
    """
    errors = {provider: unprefixed(provider, message) for provider, message in failed.items()}
    return render("plan.md.j2", **plan.to_json(), failed=errors, refused=refused, warnings=warnings)


def error_markdown(error: GpuprovError) -> str:
    """Return why nothing could be planned: a table of the problems, or a list of the reasons."""
    if isinstance(error, InputError):
        title = trn(
            "{number} problem in the files; nothing was planned",
            "{number} problems in the files; nothing was planned",
            len(error.problems),
        )
        return render("errors.md.j2", title=title, problems=error.problems, lines=())
    if isinstance(error, PlanRefused):
        title = tr("refused, nothing would be changed")
        return render("errors.md.j2", title=title, problems=(), lines=error.reasons)
    lines = shown(error.message_text).splitlines()
    return render("errors.md.j2", title=tr("nothing was planned"), problems=(), lines=lines)


def render(template: str, **values: object) -> str:
    """Return a template of ours with these values; what is data in them goes through the filter ``cell``."""
    return _environment().get_template(template).render(**values)


@functools.cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("gpuprov"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 (what comes from files goes through `cell`)
        keep_trailing_newline=True,
        finalize=shown,
    )
    environment.globals.update(tr=tr, trn=trn, joined=joined)
    environment.filters["cell"] = cell
    return environment


def cell(value: object) -> str:
    """Return a value for a cell of a table. What is data in it can neither end the cell nor begin HTML, a link or a
    format of its own, nor call people: it is read as it was written.
    """
    text = "" if value is None else shown(value, _quoted)
    return " ".join(text.split()).replace("|", "&#124;")


_MARKUP = re.compile(r"[\\`*\[\]<>|~&]|(?<![^\W_])_|_(?![^\W_])|[@#]|://")
"""What makes a format, a tag or a cell of Markdown; a mention of a person or an issue; a link."""

_NO_WIDTH = "&#8203;"
"""A blank that is not seen: after it there is no mention and no link."""


def _quoted(data: str) -> str:
    return _MARKUP.sub(lambda of: f"{of[0]}{_NO_WIDTH}" if of[0] in {"@", "#", "://"} else f"&#{ord(of[0])};", data)
