"""Renders a plan as Markdown, for the pull request that changes the award list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from gpuprov.core.plan import Plan


def plan_markdown(plan: Plan, failed: Mapping[str, str], refused: Sequence[str]) -> str:
    """Return the plan as a Markdown table, with the errors by provider and the guard's reasons to refuse it."""
    templates = Environment(
        loader=PackageLoader("gpuprov"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 (Markdown, and the viewer of a pull request escapes HTML)
        keep_trailing_newline=True,
    )
    return templates.get_template("plan.md.j2").render(**plan.to_json(), failed=failed, refused=refused)
