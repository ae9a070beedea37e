"""Opens a gpuprov project: the folder with Pulumi.yaml, its stacks' configuration, and where lists and ledger are.

The files are read as they are, without Pulumi: the plan of all stacks needs no engine, and the program of one stack
must know the other providers to tell an unknown supplier from one of another stack.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.programme import Programme
from gpuprov.core.steps import Terms
from gpuprov.errors import InputError, Problem
from gpuprov.i18n import tr
from gpuprov.load.details import details
from gpuprov.load.files import system_reason
from gpuprov.load.programme import default_programme
from gpuprov.load.settings import Settings
from gpuprov.load.source import source_of
from gpuprov.load.yamlfile import read_mapping

PROJECT_FILE = "Pulumi.yaml"

_LINES = tr("write `key: value` lines")

_COPIED = "gpuprov:cluster"
"""What a stack file has that was copied from gpuprov's repository."""


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
                message=tr("is not a provider's stack"),
                remedy=tr("select one of {stacks} with `pulumi stack select`", stacks=", ".join(clusters)),
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
    message = tr("no {file} here or in a folder above", file=PROJECT_FILE)
    remedy = tr("go to the project's folder or name it with -C, or make a project with `gpuprov init`")
    raise InputError([Problem(file=str(start), message=message, remedy=remedy)])


def open_project(root: Path) -> Project:
    """Read the project's settings. Raises InputError with every problem of every file."""
    problems: list[Problem] = []
    file = root / PROJECT_FILE
    main = read_mapping(file, _LINES)  # without it nothing else can be told, also not of the stacks
    name = main.get("name")
    if not isinstance(name, str):
        remedy = tr("write `name:` and the project's name")
        problems.append(Problem(file=str(file), message=tr("has no name"), remedy=remedy))
    stacks = root / str(main.get("stackConfigDir") or ".")
    settings = Settings(file=file, project=str(name), config=_mapping(main.get("config")), problems=problems)
    programme, programme_file = settings.programme()
    known = programme or default_programme()
    terms = Terms(zone=known.zone, resources=None if programme is None else programme.resources)
    files = _stack_files(file, stacks, problems)
    clusters = _read_clusters(stacks, files, name, terms, problems) if isinstance(name, str) else ()
    read = Project(
        root=root,
        name=str(name),
        clusters=clusters,
        awards=settings.awards(),
        ledger=root / str(settings.value("ledger", "ledger.jsonl")),
        columns=None if (columns := settings.value("columns", None)) is None else root / str(columns),
        programme=settings.with_end(known),
        retired=settings.retired(stacks, {cluster.provider for cluster in clusters}),
        settings=(file, *programme_file, *files),
    )
    if problems:
        raise InputError(problems)
    return read


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _read_yaml(path: Path, problems: list[Problem]) -> Mapping[str, Any]:
    try:
        return read_mapping(path, _LINES)
    except InputError as error:
        problems.extend(error.problems)
        return {}


def _stack_files(file: Path, stacks: Path, problems: list[Problem]) -> tuple[Path, ...]:
    """Return the stacks' files in order of their names."""
    try:
        return tuple(sorted(stacks.glob("Pulumi.*.yaml")))
    except (OSError, ValueError) as error:
        message = tr("cannot be read ({reason})", reason=system_reason(error))
        remedy = tr("name the folder that has the stacks' files, or remove the line")
        problems.append(Problem(file=str(file), column="stackConfigDir", message=message, remedy=remedy))
        return ()


def _read_clusters(
    stacks: Path, files: Sequence[Path], project: str, terms: Terms, problems: list[Problem]
) -> tuple[ProviderCluster, ...]:
    """Read the clusters of all stack files."""
    before = len(problems)
    clusters = [
        (path, cluster) for path in files if (cluster := _read_cluster(path, project, terms, problems)) is not None
    ]
    if not clusters and len(problems) == before:
        message = tr("no stack has a {project}:cluster", project=project)
        remedy = tr("add Pulumi.<provider>.yaml (docs/configuration.md)")
        problems.append(Problem(file=str(stacks), message=message, remedy=remedy))
    pinned: dict[str, Path] = {}
    for path, cluster in clusters:
        if cluster.uid is not None and (first := pinned.setdefault(cluster.uid, path)) is not path:
            problems.append(
                Problem(
                    file=str(path),
                    column=f"{project}:cluster.uid",
                    value=cluster.uid,
                    message=tr("is the cluster of {file} too, so its GPUs would be counted twice", file=first),
                    remedy=tr("correct one of the two (docs/configuration.md says how to print a cluster's uid)"),
                )
            )
    return tuple(cluster for _, cluster in clusters)


def _read_cluster(path: Path, project: str, terms: Terms, problems: list[Problem]) -> ProviderCluster | None:
    """Read one stack's cluster; a stack of ours without ``<project>:cluster`` is not a provider's and is left out."""
    provider = path.name.removeprefix("Pulumi.").removesuffix(".yaml")
    if "." in provider and _is_empty(path):
        return None  # Pulumi made it for one more stack of a provider's, and was killed, or met a full disk
    config = _mapping(_read_yaml(path, problems).get("config"))
    setting = f"{project}:cluster"

    def wrong(column: str, value: str | None, message: str, remedy: str) -> None:
        problems.append(Problem(file=str(path), column=column, value=value, message=message, remedy=remedy))

    value = config.get(setting)
    if value is None:
        if _COPIED in config:
            message = tr("the project's name is {project}", project=project)
            wrong(_COPIED, None, message, tr("write {setting}", setting=setting))
        return None
    if "provider" in _mapping(value):
        message, remedy = tr("the stack's name is the provider's"), tr("remove the line, or rename the file")
        wrong(f"{setting}.provider", str(value["provider"]), message, remedy)
        return None
    dates = dict(_dates(value, setting))
    for place, day in dates.items():
        message = tr("is a date to YAML, which Pulumi rewrites when it makes the stack")
        wrong(place, str(day), message, tr("put it in quotes"))
    try:
        return ProviderCluster.model_validate({"provider": provider, **_mapping(value)}, context=terms)
    except ValidationError as error:
        for detail in details(error, tr("see {document}", document="docs/configuration.md")):
            place = ".".join(map(str, (setting, *detail.place)))
            if place not in dates:
                wrong(place, detail.value, detail.message, detail.remedy)
        return None


def _is_empty(path: Path) -> bool:
    try:
        return path.stat().st_size == 0
    except OSError:  # reading it says why
        return False


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
