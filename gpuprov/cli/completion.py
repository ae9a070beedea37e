"""What a shell completes: providers and award ids, from the project's files. No cluster is asked.

A project that cannot be read completes nothing: an error message in the middle of a typed line helps nobody.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

if TYPE_CHECKING:
    from gpuprov.load.project import Project


def providers(
    ctx: click.Context,
    param: click.Parameter,  # noqa: ARG001 (click's own signature)
    incomplete: str,
) -> list[CompletionItem]:
    """Return the project's providers that begin with what is typed."""
    names: list[str] = []
    with contextlib.suppress(Exception):
        names = [cluster.provider for cluster in _project(ctx).clusters]
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def awards(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the awards of the lists that begin with what is typed and are not on the line yet, with who has them."""
    from gpuprov.run.loading import load

    typed = ctx.params.get(str(param.name)) or ()
    found = []
    with contextlib.suppress(Exception):
        found = [history.award for history in load(_project(ctx)).histories]
    return [
        CompletionItem(award.id, help=f"{award.organization}, {award.provider}")
        for award in found
        if award.id.upper().startswith(incomplete.upper()) and award.id not in typed
    ]


def _project(ctx: click.Context) -> Project:
    from gpuprov.load.project import find_root, open_project

    directory = ctx.params.get("directory")
    return open_project(find_root(Path.cwd()) if directory is None else Path(directory).resolve())
