"""The settings of a project: what its Pulumi.yaml has under `config`."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from gpuprov.core.cluster import ProviderName
from gpuprov.core.programme import Programme
from gpuprov.errors import InputError, Problem
from gpuprov.i18n import tr
from gpuprov.load.programme import default_programme, read_programme

_NAMES: TypeAdapter[list[ProviderName]] = TypeAdapter(list[ProviderName])


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What Pulumi.yaml has under `config`. What is wrong there is added to ``problems``."""

    file: Path
    project: str
    config: Mapping[str, Any]
    problems: list[Problem]

    def value(self, key: str, default: Any) -> Any:  # noqa: ANN401 (YAML)
        """Return a setting: Pulumi lets it be a bare value, or a declaration with value or default."""
        names = (key, f"{self.project}:{key}", f"gpuprov:{key}")
        setting = next((self.config[name] for name in names if name in self.config), default)
        return setting.get("value", setting.get("default", default)) if isinstance(setting, dict) else setting

    def awards(self) -> tuple[Path, ...]:
        """Return the award lists, each a file or one sheet of a workbook (gpuprov.load.source)."""
        awards = self.value("awards", [])
        if not isinstance(awards, list) or not awards or not all(isinstance(path, str) for path in awards):
            remedy = tr("name the lists, such as [awards.csv]")
            self._wrong(None, None, tr("config awards is not a list of files"), remedy)
            return ()
        return tuple(self.file.parent / path for path in awards)

    def programme(self) -> tuple[Programme | None, tuple[Path, ...]]:
        """Return the programme, None where its file has problems, and the file if the project names one."""
        value = self.value("programme", None)
        if value is None:
            return default_programme(), ()
        if not isinstance(value, str):
            remedy = tr("name the programme file, relative to Pulumi.yaml")
            self._wrong("programme", str(value), tr("is not a path"), remedy)
            return None, ()
        path = self.file.parent / value
        try:
            return read_programme(path), (path,)
        except InputError as error:
            self.problems.extend(error.problems)
            return None, (path,)

    def with_end(self, programme: Programme) -> Programme:
        """Return the programme with the end that the setting says. YAML reads some forms of it as an instant by itself.

        A call that ends later than that still holds its awards to its own days.
        """
        value = self.value("programmeEnd", None)
        if value is None:
            return programme
        try:
            end = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        except ValueError:
            end = None
        if end is not None and end.tzinfo is not None:
            return programme.model_copy(update={"end": end})
        remedy = tr('write the first instant after the last day, as "2026-07-01T00:00+09:00"')
        self._wrong("programmeEnd", str(value), tr("is not a timestamp with an offset"), remedy)
        return programme

    def retired(self, stacks: Path, providers: Collection[str]) -> frozenset[str]:
        """Return the suppliers that were taken out. ``providers`` are those that have a stack file."""
        value = self.value("retired", [])
        try:
            names = _NAMES.validate_python(value)
        except ValidationError:
            remedy = tr("list the names of suppliers that were taken out, as [kt-cloud]")
            self._wrong("retired", str(value), tr("is not a list of suppliers' names"), remedy)
            return frozenset()
        for name in sorted({*names} & {*providers}):
            file = stacks / f"Pulumi.{name}.yaml"
            message = tr("has left and still has a stack file ({file})", file=file)
            remedy = tr("take one of the two away (docs/configuration.md, Taking a supplier out)")
            self._wrong("retired", name, message, remedy)
        return frozenset(names)

    def _wrong(self, column: str | None, value: str | None, message: str, remedy: str) -> None:
        self.problems.append(Problem(file=str(self.file), column=column, value=value, message=message, remedy=remedy))
