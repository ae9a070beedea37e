"""Opens a gpuprov project: the folder with Pulumi.yaml, its stacks' configuration, and where lists and ledger are.

The files are read as they are, without Pulumi: the plan of all stacks needs no engine, and the program of one stack
must know the other providers to tell an unknown supplier from one of another stack.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from gpuprov.award import PROGRAMME_END
from gpuprov.cluster import ProviderCluster
from gpuprov.errors import InputError, Problem

PROJECT_FILE = "Pulumi.yaml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Where everything is, the provider clusters of all stacks in order of their names, and the end of the programme.

    No term may reach into ``programme_end``. ``settings`` are the files that all this was read from.
    """

    root: Path
    name: str
    clusters: tuple[ProviderCluster, ...]
    awards: tuple[Path, ...]
    ledger: Path
    columns: Path | None
    programme_end: datetime = PROGRAMME_END
    settings: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that a decision rests on."""
        columns = () if self.columns is None else (self.columns,)
        return (*self.settings, *self.awards, *columns, self.ledger)

    @property
    def by_provider(self) -> Mapping[str, ProviderCluster]:
        """The clusters by provider name, which is the stack name."""
        return {cluster.provider: cluster for cluster in self.clusters}


def find_root(start: Path) -> Path:
    """Return the nearest folder, upwards from ``start``, that has a Pulumi.yaml. Raises InputError."""
    for folder in (start, *start.parents):
        if (folder / PROJECT_FILE).is_file():
            return folder
    message = f"no {PROJECT_FILE} here or in a folder above"
    raise InputError(
        [Problem(file=str(start), message=message, remedy="go to the project's folder or name it with -C")]
    )


def open_project(root: Path) -> Project:
    """Read the project's settings. Raises InputError with every problem of every file."""
    problems: list[Problem] = []
    main = _read_yaml(root / PROJECT_FILE, problems)
    config = _mapping(main.get("config"))
    stacks = root / str(main.get("stackConfigDir") or ".")
    stack_files = sorted(stacks.glob("Pulumi.*.yaml"))
    clusters = [
        cluster for path in stack_files if (cluster := _read_cluster(path, str(main.get("name")), problems)) is not None
    ]
    if not isinstance(main.get("name"), str) and not problems:
        problems.append(Problem(file=str(root / PROJECT_FILE), message="has no name", remedy="write `name: gpuprov`"))
    if not clusters and not problems:
        problems.append(
            Problem(file=str(stacks), message="no stack has a gpuprov:cluster", remedy="add Pulumi.<provider>.yaml")
        )
    awards = _setting(config, "awards", [])
    if not isinstance(awards, list) or not awards or not all(isinstance(one, str) for one in awards):
        problems.append(
            Problem(file=str(root / PROJECT_FILE), message="config awards is no list of files", remedy="name the lists")
        )
    programme_end = _programme_end(_setting(config, "programmeEnd", PROGRAMME_END), root / PROJECT_FILE, problems)
    if problems:
        raise InputError(problems)
    columns = _setting(config, "columns", None)
    return Project(
        root=root,
        name=str(main["name"]),
        clusters=tuple(clusters),
        awards=tuple(root / path for path in awards),
        ledger=root / str(_setting(config, "ledger", "ledger.jsonl")),
        columns=None if columns is None else root / str(columns),
        programme_end=programme_end,
        settings=(root / PROJECT_FILE, *stack_files),
    )


def _programme_end(value: object, path: Path, problems: list[Problem]) -> datetime:
    """Return the aware instant that the setting says. YAML reads some forms of it as an instant by itself."""
    try:
        end = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        end = None
    if end is not None and end.tzinfo is not None:
        return end
    problems.append(
        Problem(
            file=str(path),
            column="programmeEnd",
            value=str(value),
            message="is no instant with an offset",
            remedy='write the first instant after the last day, as "2026-07-01T00:00+09:00"',
        )
    )
    return PROGRAMME_END


def _setting(config: Mapping[str, Any], key: str, default: Any) -> Any:  # noqa: ANN401 (YAML)
    """Return a project-level setting: Pulumi lets it be a bare value, or a declaration with value or default."""
    found = config.get(key, config.get(f"gpuprov:{key}", default))
    if isinstance(found, dict):
        return found.get("value", found.get("default", default))
    return found


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _read_yaml(path: Path, problems: list[Problem]) -> Mapping[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(Problem(file=str(path), message=f"cannot be read ({error.strerror})", remedy="check the path"))
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, or a date that the calendar does not have
        problems.append(Problem(file=str(path), message=f"is no valid YAML ({error})", remedy="correct the file"))
    else:
        if isinstance(data, dict):
            return data
        problems.append(Problem(file=str(path), message="is no mapping", remedy="write `key: value` lines"))
    return {}


def _read_cluster(path: Path, project: str, problems: list[Problem]) -> ProviderCluster | None:
    """Read one stack's cluster; a stack of ours without ``<project>:cluster`` is not a provider's and is left out."""
    provider = path.name.removeprefix("Pulumi.").removesuffix(".yaml")
    value = _mapping(_read_yaml(path, problems).get("config")).get(f"{project}:cluster")
    if value is None:
        return None
    if "provider" in _mapping(value):
        problems.append(
            Problem(
                file=str(path),
                column=f"{project}:cluster.provider",
                value=str(value["provider"]),
                message="the stack's name is the provider's",
                remedy="remove the line, or rename the file",
            )
        )
        return None
    try:
        return ProviderCluster.model_validate({"provider": provider, **_mapping(value)})
    except ValidationError as error:
        errors = error.errors()
        problems.extend(
            Problem(
                file=str(path),
                column=".".join(str(part) for part in (f"{project}:cluster", *one["loc"])),
                value=str(one["input"]),
                message=one["msg"],
                remedy="see docs/configuration.md",
            )
            for one in errors
            if not _follows(one["loc"], [other["loc"] for other in errors])
        )
        return None


def _follows(place: tuple[int | str, ...], places: Sequence[tuple[int | str, ...]]) -> bool:
    """Tell whether something in the same list or mapping is wrong: without it, pydantic calls a list too short."""
    return any(len(other) > len(place) and other[: len(place)] == place for other in places)
