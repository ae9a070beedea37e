"""Opens a gpuprov project: the folder with Pulumi.yaml, its stacks' configuration, and where lists and ledger are.

The files are read as they are, without Pulumi: the plan of all stacks needs no engine, and the program of one stack
must know the other providers to tell an unknown supplier from one of another stack.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from gpuprov.core.cluster import ProviderCluster, ProviderName
from gpuprov.core.programme import Programme
from gpuprov.core.steps import Terms
from gpuprov.errors import InputError, Problem
from gpuprov.load.details import own_details
from gpuprov.load.programme import default_programme, read_programme
from gpuprov.load.source import source_of

PROJECT_FILE = "Pulumi.yaml"

_COPIED = "gpuprov:cluster"
"""What a stack file has that was copied from gpuprov's repository."""

_NAMES: TypeAdapter[list[ProviderName]] = TypeAdapter(list[ProviderName])


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """Where everything is, the provider clusters of all stacks in order of their names, and the programme.

    ``retired`` are providers whose stack files are gone by intent.
    ``settings`` are the files that all this was read from.
    """

    root: Path
    name: str
    clusters: tuple[ProviderCluster, ...]
    awards: tuple[Path, ...]
    ledger: Path
    columns: Path | None
    programme: Programme
    retired: frozenset[str] = frozenset()
    settings: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file that a decision rests on, a workbook once however many of its sheets are lists."""
        lists = dict.fromkeys(source_of(path).file for path in self.awards)
        columns = () if self.columns is None else (self.columns,)
        return (*self.settings, *lists, *columns, self.ledger)

    @property
    def by_provider(self) -> Mapping[str, ProviderCluster]:
        """The clusters by provider name, which is the stack name."""
        return {cluster.provider: cluster for cluster in self.clusters}

    def cluster_of(self, stack: str) -> ProviderCluster:
        """Return the cluster whose awards the stack has. Raises InputError for a stack that has none."""
        clusters = {name: cluster for cluster in self.clusters for name in cluster.stacks}
        if stack not in clusters:
            problem = Problem(
                file=str(self.root / PROJECT_FILE),
                value=stack,
                message="is not a provider's stack",
                remedy=f"select one of {', '.join(clusters)}",
            )
            raise InputError([problem])
        return clusters[stack]


def found_root(start: Path) -> Path | None:
    """Return the nearest folder, upwards from ``start``, that has a Pulumi.yaml; None where none has."""
    return next((folder for folder in (start, *start.parents) if (folder / PROJECT_FILE).is_file()), None)


def find_root(start: Path) -> Path:
    """Return that folder. Raises InputError where there is none."""
    if (root := found_root(start)) is not None:
        return root
    message = f"no {PROJECT_FILE} here or in a folder above"
    raise InputError(
        [Problem(file=str(start), message=message, remedy="go to the project's folder or name it with -C")]
    )


def open_project(root: Path) -> Project:
    """Read the project's settings. Raises InputError with every problem of every file."""
    problems: list[Problem] = []
    file = root / PROJECT_FILE
    main = _read_yaml(file, problems)
    name = main.get("name")
    if not isinstance(name, str) and not problems:
        problems.append(Problem(file=str(file), message="has no name", remedy="write `name:` and the project's name"))
    stacks = root / str(main.get("stackConfigDir") or ".")
    settings = _Settings(file=file, project=str(name), config=_mapping(main.get("config")), problems=problems)
    programme, programme_file = settings.programme()
    known = programme or default_programme()
    terms = Terms(zone=known.zone, resources=None if programme is None else programme.resources)
    clusters = _read_clusters(stacks, name, terms, problems) if isinstance(name, str) else ()
    read = Project(
        root=root,
        name=str(name),
        clusters=clusters,
        awards=settings.awards(),
        ledger=root / str(settings.value("ledger", "ledger.jsonl")),
        columns=None if (columns := settings.value("columns", None)) is None else root / str(columns),
        programme=settings.with_end(known),
        retired=settings.retired(stacks, {cluster.provider for cluster in clusters}),
        settings=(file, *programme_file, *sorted(stacks.glob("Pulumi.*.yaml"))),
    )
    if problems:
        raise InputError(problems)
    return read


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
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
            self._wrong(None, None, "config awards is not a list of files", "name the lists")
            return ()
        return tuple(self.file.parent / path for path in awards)

    def programme(self) -> tuple[Programme | None, tuple[Path, ...]]:
        """Return the programme, None where its file has problems, and the file if the project names one."""
        value = self.value("programme", None)
        if value is None:
            return default_programme(), ()
        if not isinstance(value, str):
            self._wrong("programme", str(value), "is not a path", "name the programme file, relative to Pulumi.yaml")
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
        remedy = 'write the first instant after the last day, as "2026-07-01T00:00+09:00"'
        self._wrong("programmeEnd", str(value), "is not a timestamp with an offset", remedy)
        return programme

    def retired(self, stacks: Path, providers: Collection[str]) -> frozenset[str]:
        """Return the suppliers that were taken out. ``providers`` are those that have a stack file."""
        value = self.value("retired", [])
        try:
            names = _NAMES.validate_python(value)
        except ValidationError:
            remedy = "list the names of suppliers that were taken out, as [kt-cloud]"
            self._wrong("retired", str(value), "is not a list of suppliers' names", remedy)
            return frozenset()
        for name in sorted({*names} & {*providers}):
            message = f"has left and still has a stack file ({stacks / f'Pulumi.{name}.yaml'})"
            remedy = "take one of the two away (docs/configuration.md, Taking a supplier out)"
            self._wrong("retired", name, message, remedy)
        return frozenset(names)

    def _wrong(self, column: str | None, value: str | None, message: str, remedy: str) -> None:
        self.problems.append(Problem(file=str(self.file), column=column, value=value, message=message, remedy=remedy))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _read_yaml(path: Path, problems: list[Problem]) -> Mapping[str, Any]:
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        problems.append(Problem(file=str(path), message=f"cannot be read ({error.strerror})", remedy="check the path"))
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no UTF-8, or a date that the calendar does not have
        problems.append(Problem(file=str(path), message=f"is not valid YAML ({error})", remedy="correct the file"))
    else:
        if isinstance(data, dict):
            return data
        problems.append(Problem(file=str(path), message="is not a mapping", remedy="write `key: value` lines"))
    return {}


def _read_clusters(stacks: Path, project: str, terms: Terms, problems: list[Problem]) -> tuple[ProviderCluster, ...]:
    """Read the clusters of all stack files, in order of the files' names."""
    before = len(problems)
    clusters = [
        (path, cluster)
        for path in sorted(stacks.glob("Pulumi.*.yaml"))
        if (cluster := _read_cluster(path, project, terms, problems)) is not None
    ]
    if not clusters and len(problems) == before:
        message, remedy = f"no stack has a {project}:cluster", "add Pulumi.<provider>.yaml"
        problems.append(Problem(file=str(stacks), message=message, remedy=remedy))
    pinned: dict[str, Path] = {}
    for path, cluster in clusters:
        if cluster.uid is not None and (first := pinned.setdefault(cluster.uid, path)) is not path:
            problems.append(
                Problem(
                    file=str(path),
                    column=f"{project}:cluster.uid",
                    value=cluster.uid,
                    message=f"is the cluster of {first} too, so its GPUs would be counted twice",
                    remedy="correct one of the two (docs/configuration.md says how to print a cluster's uid)",
                )
            )
    return tuple(cluster for _, cluster in clusters)


def _read_cluster(path: Path, project: str, terms: Terms, problems: list[Problem]) -> ProviderCluster | None:
    """Read one stack's cluster; a stack of ours without ``<project>:cluster`` is not a provider's and is left out."""
    provider = path.name.removeprefix("Pulumi.").removesuffix(".yaml")
    config = _mapping(_read_yaml(path, problems).get("config"))
    setting = f"{project}:cluster"

    def wrong(column: str, value: str | None, message: str, remedy: str) -> None:
        problems.append(Problem(file=str(path), column=column, value=value, message=message, remedy=remedy))

    value = config.get(setting)
    if value is None:
        if _COPIED in config:
            wrong(_COPIED, None, f"the project's name is {project}", f"write {setting}")
        return None
    if "provider" in _mapping(value):
        message, remedy = "the stack's name is the provider's", "remove the line, or rename the file"
        wrong(f"{setting}.provider", str(value["provider"]), message, remedy)
        return None
    for place, day in _dates(value, setting):
        wrong(place, str(day), "is a date to YAML, which Pulumi rewrites when it makes the stack", "put it in quotes")
    try:
        return ProviderCluster.model_validate({"provider": provider, **_mapping(value)}, context=terms)
    except ValidationError as error:
        for detail in own_details(error):
            place = ".".join(str(part) for part in (setting, *detail["loc"]))
            wrong(place, str(detail["input"]), detail["msg"], "see docs/configuration.md")
        return None


def _dates(value: object, place: str) -> Iterator[tuple[str, date]]:
    """Find what YAML has made a date or an instant of."""
    if isinstance(value, date):
        yield place, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _dates(inner, f"{place}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _dates(inner, f"{place}.{number}")
