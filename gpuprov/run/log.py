"""The log: every decision and every request that changes something, for later audits.

Modules log with the standard library, ``logging.getLogger(__name__)``, and name the ``provider`` and the ``award`` in
``extra``. Bodies of requests and responses are never logged, so no credential is. Everything goes to standard error.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from gpuprov.i18n import visible, visible_json

LEVEL_VARIABLE = "GPUPROV_LOG_LEVEL"
FORMAT_VARIABLE = "GPUPROV_LOG_FORMAT"
"""Environment variables that pass the settings on to the processes that a command starts."""


SILENT = logging.CRITICAL + 1
"""The level that logs nothing."""


class Format(StrEnum):
    """The format of the log's lines."""

    TEXT = "text"
    JSON = "json"


def configure(level: int, form: Format) -> None:
    """Log to standard error from ``level`` on, in this process and in all its children."""
    os.environ[LEVEL_VARIABLE], os.environ[FORMAT_VARIABLE] = str(level), str(form)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form is Format.JSON else _Text())
    ours = logging.getLogger("gpuprov")
    ours.handlers = [handler]
    ours.setLevel(level)
    ours.propagate = False


def configure_as_parent() -> None:
    """Log as the parent process does; log nothing if it has no settings."""
    level = os.environ.get(LEVEL_VARIABLE, "")
    if level.isdecimal():
        configure(int(level), Format(os.environ.get(FORMAT_VARIABLE, Format.TEXT)))


def name_awards(awards: Mapping[str, str]) -> None:
    """Add the award to each line that names a ``namespace``. ``awards`` has award ids by namespace."""

    def name(record: logging.LogRecord) -> bool:
        if not hasattr(record, "award") and (award := awards.get(getattr(record, "namespace", ""))):
            record.award = award
        return True

    for handler in logging.getLogger("gpuprov").handlers:
        handler.addFilter(name)


_FIELDS = ("provider", "award", "namespace")
"""The fields that a line may have beside its message."""


def _timestamp(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="milliseconds")


def _fields(record: logging.LogRecord) -> dict[str, str]:
    return {name: getattr(record, name) for name in _FIELDS if getattr(record, name, None)}


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        line = visible(f"{record.getMessage()}{fields}").replace("\n", "\\n")  # a name cannot begin a line of its own
        bug = f"\n{visible(self.formatException(record.exc_info))}" if record.exc_info else ""
        return f"{_timestamp(record)} {record.levelname} {line}{bug}"


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"time": _timestamp(record), "level": record.levelname, "logger": record.name}
        data = {**line, "message": record.getMessage(), **_fields(record)}
        if record.exc_info:
            data["exception"] = self.formatException(record.exc_info)
        return visible_json(json.dumps(data, ensure_ascii=False))
