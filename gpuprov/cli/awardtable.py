"""The awards that were asked for, as a table, JSON, CSV or a workbook."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

import click

from gpuprov.cli.awardquery import Query, Typed, read_query
from gpuprov.cli.blocks import on_one_line
from gpuprov.cli.common import end_unread, warn
from gpuprov.cli.errors import print_json
from gpuprov.cli.screen import say, table
from gpuprov.cli.spreadsheet import csv_text, plain, workbook
from gpuprov.core.awardrow import AwardRow
from gpuprov.core.days import to_the_minute
from gpuprov.core.overview import COLUMNS, Column, in_order
from gpuprov.i18n import tr
from gpuprov.load.project import Project
from gpuprov.run.awards import read_awards
from gpuprov.run.clock import now
from gpuprov.run.files import check_new, write_whole
from gpuprov.run.loading import load


def print_awards(
    project: Project,
    at: datetime | None,
    *,
    xlsx: Path | None,
    as_json: bool,
    as_csv: bool,
    force: bool,
    **conditions: object,
) -> None:
    """Print or write the awards that meet the conditions. Raises InputError with every option that is wrong."""
    typed = Typed.model_validate(conditions | {"as_json": as_json, "as_csv": as_csv, "xlsx": xlsx, "force": force})
    query = read_query(typed, project)
    if xlsx is not None:
        check_new(xlsx, force=force)
    loaded = load(project)
    warn(loaded.warnings)
    present = at or now(project.programme.zone)
    everybody, failed = read_awards(loaded, query.providers, present)
    rows = in_order((row for row in everybody if query.wanted.meets(row, present)), query.orders)
    if as_json:
        errors = {name: str(error) for name, error in failed.items()}
        data = [row_json(row, query.columns) for row in rows]
        print_json({"at": present.isoformat(), "awards": data, "failed": errors})
    elif as_csv:
        click.echo(csv_text(query.shown, rows).encode(), nl=False)
    elif xlsx is not None:
        write_whole(xlsx, workbook(query.shown, rows), force=force)
        click.echo(str(xlsx))
    else:
        _print(query, rows)
    when = to_the_minute(present, project.programme.zone)
    say(tr("{number} of {total} awards, at {at}", number=len(rows), total=len(everybody), at=when), err=True)
    end_unread(failed)


def _print(query: Query, rows: Sequence[AwardRow]) -> None:
    titles = [column.title for column in query.shown]
    table(titles, [[_cell(column, row) for column in query.shown] for row in rows])


_OF_CLUSTERS = ("in_use", "quota")


def _cell(column: Column, row: AwardRow) -> object:
    """Return a cell for people: ``?`` where a cluster would know, ``-`` where there is nothing to know."""
    value = plain(column.value(row))
    if value is None:
        return "?" if column.name in _OF_CLUSTERS else "-"
    if isinstance(value, str):
        return on_one_line(value)
    return value.isoformat(timespec="minutes") if isinstance(value, datetime) else value


def row_json(row: AwardRow, columns: Sequence[Column] = ()) -> dict[str, object]:
    """Return a row as plain data, with days and instants in ISO 8601; all of it unless columns are named."""
    return {column.name: _json_value(column, row) for column in columns or COLUMNS.values()}


def _json_value(column: Column, row: AwardRow) -> object:
    if column.name == "clusters":
        return list(row.clusters)
    value = column.value(row)
    return value.isoformat() if isinstance(value, date) else value
