"""The mapping file: which column of the operator's own list is which field.

::

    columns:
      "GPU 매수": quantity
      "비고 2": null        # ignore this column, whatever its name looks like
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from gpuprov.errors import InputError, Problem
from gpuprov.i18n import tr
from gpuprov.load.encoding import decode
from gpuprov.load.fields import NAMES
from gpuprov.load.files import read_bytes
from gpuprov.load.text import key

_NULL = "tag:yaml.org,2002:null"
_SHAPE = tr("write 'columns:' and below it lines such as '\"our header\": quantity'")


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMapping:
    """Headers that the operator explains: to a field of the award, or to None to ignore the column.

    A header is compared like all others (case, width, white space and brackets' signs do not count). A column that is
    mapped to a field takes precedence over columns whose name alone suggests that field. ``names`` are headers that
    suggest a field in this programme, beside those that do in all.
    """

    columns: Mapping[str, str | None]
    file: str = tr("column mapping")
    lines: Mapping[str, int] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if unknown := [target for target in self.columns.values() if target is not None and target not in NAMES]:
            raise ValueError(f"no field of an award: {', '.join(unknown)}")

    def by_key(self) -> dict[str, str | None]:
        """Return the mapping with its headers as they are compared."""
        return {key(header): target for header, target in self.columns.items()}

    def more_names(self) -> dict[str, str]:
        """Return the programme's own headers as they are compared, with their fields."""
        return {key(header): target for header, target in self.names.items()}

    def unused(self, header_keys: frozenset[str]) -> Iterator[Problem]:
        """Yield a problem for each mapped header whose key is not in ``header_keys``.

        A misspelt header must not pass silently: without its status column a waitlisted award would get GPUs.
        """
        for header in self.columns:
            if key(header) not in header_keys:
                yield Problem(
                    file=self.file,
                    row=self.lines.get(header),
                    value=header,
                    message=tr("no award list has this column"),
                    remedy=tr("write it as in the list's header, or remove the line"),
                )


def load_mapping(path: Path) -> ColumnMapping:
    """Read a mapping file (YAML). Raises InputError with every problem of it."""
    file = str(path)
    text = decode(file, read_bytes(path), tr("save it as UTF-8"))
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        row = None if mark is None else mark.line + 1
        raise InputError([Problem(file=file, row=row, message=tr("is not valid YAML"), remedy=_SHAPE)]) from error
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    if len(pairs) != 1 or pairs[0][0].value != "columns" or not isinstance(pairs[0][1], yaml.MappingNode):
        raise InputError([Problem(file=file, message=tr("must hold 'columns' and nothing else"), remedy=_SHAPE)])
    return _columns(file, pairs[0][1])


def _columns(file: str, node: yaml.MappingNode) -> ColumnMapping:
    columns: dict[str, str | None] = {}
    lines: dict[str, int] = {}
    seen: dict[str, int] = {}
    problems = []
    for header_node, target in node.value:
        row = header_node.start_mark.line + 1
        header = header_node.value if isinstance(header_node, yaml.ScalarNode) else ""
        # Written out: a forgotten value must not drop a column such as the status.
        ignored = isinstance(target, yaml.ScalarNode) and target.tag == _NULL and bool(target.value)
        wanted = target.value if isinstance(target, yaml.ScalarNode) else None
        if not key(header):
            problems.append(Problem(file=file, row=row, message=tr("names no header"), remedy=_SHAPE))
        elif key(header) in seen:
            message = tr("is the same header as in line {row}", row=seen[key(header)])
            remedy = tr("remove one of them")
            problems.append(Problem(file=file, row=row, value=header, message=message, remedy=remedy))
        elif not ignored and wanted not in NAMES:
            message = tr("is not a field: the fields are {fields}", fields=", ".join(NAMES))
            remedy = tr("write one of them, or null to ignore the column")
            problems.append(Problem(file=file, row=row, column=header, value=wanted, message=message, remedy=remedy))
        else:
            columns[header] = None if ignored else wanted
            lines[header] = row
        seen.setdefault(key(header), row)
    if problems:
        raise InputError(problems)
    return ColumnMapping(columns=columns, file=file, lines=lines)
