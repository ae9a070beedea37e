"""Renders a plan, or why there is none, as Markdown: for the pull request that changes the award list."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from gpuprov.core.plan import Plan
from gpuprov.errors import GpuprovError, InputError, PlanRefused


def plan_markdown(plan: Plan, failed: Mapping[str, str], refused: Sequence[str]) -> str:
    """Return the plan as a Markdown table, with the errors by provider and the guard's reasons to refuse it."""
    return _render("plan.md.j2", **plan.to_json(), failed=failed, refused=refused)


def error_markdown(error: GpuprovError) -> str:
    """Return why nothing could be planned: a table of the problems, or a list of the reasons."""
    if isinstance(error, InputError):
        number = len(error.problems)
        title = f"{number} problem{'' if number == 1 else 's'} in the files; nothing was planned"
        return _render("errors.md.j2", title=title, problems=error.problems, lines=())
    if isinstance(error, PlanRefused):
        return _render("errors.md.j2", title="refused, nothing would be changed", problems=(), lines=error.reasons)
    return _render("errors.md.j2", title="nothing was planned", problems=(), lines=str(error).splitlines())


def _render(template: str, **values: object) -> str:
    environment = Environment(
        loader=PackageLoader("gpuprov"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 (what comes from files goes through `cell`)
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = _cell
    return environment.get_template(template).render(**values)


def _cell(value: object) -> str:
    """Return a value for a cell of a table, where it can neither end the cell nor begin HTML, such as a comment."""
    text = "" if value is None else str(value)
    return html.escape(" ".join(text.split()), quote=False).replace("|", "\\|")
