"""`gpuprov validate`: are the award lists and the ledger fit to be applied?"""

from __future__ import annotations

import functools
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gpuprov.cli.common import at_option, json_option, project_option
from gpuprov.cli.errors import F, reports_errors

if TYPE_CHECKING:
    from gpuprov.load.project import Project


def _schema_option(command: F) -> F:
    """Add ``--schema``, which prints the schema of the project's lists, or where there is no project the default."""

    @functools.wraps(command)
    def printed(*args: Any, schema: bool, directory: Path | None, **kwargs: Any) -> Any:  # noqa: ANN401 (click's own)
        if not schema:
            return command(*args, directory=directory, **kwargs)
        from gpuprov.cli.validation import print_schema

        print_schema(directory)
        return None

    option = click.option("--schema", is_flag=True, help="Print the JSON schema of an award list and stop.")
    return option(printed)  # type: ignore[return-value]


@click.command("validate")
@reports_errors
@_schema_option
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@project_option
@at_option
@json_option
def command(project: Project, at: datetime | None, files: tuple[Path, ...], *, as_json: bool) -> None:
    """Check award lists (those of the project, or FILES instead) with the ledger. Accesses no cluster.

    All problems are reported at once, with file, row, column, value and remedy. Exits with 4 if a provider's capacity
    is exceeded now or later; an excess in the past is a warning.
    """
    from gpuprov.cli.validation import validate

    validate(project, files, at, as_json=as_json)
