"""The files of a new project, as data: what each says, by its path in the project. Writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Template
from typing import Any

import yaml

from gpuprov.core.cluster import GpuPool, ProviderCluster
from gpuprov.core.programme import Programme
from gpuprov.errors import InputError, Problem
from gpuprov.i18n import tr
from gpuprov.load.packaged import packaged
from gpuprov.load.project import PROJECT_FILE
from gpuprov.run.newfile import NewFile
from gpuprov.run.pipelines import pipeline_files, pipeline_paths, pipelines_told
from gpuprov.run.renewing import NOTE, note
from gpuprov.run.sample import list_name, sample_list

PROGRAMME, LEDGER, ENVIRONMENT = "programme.yaml", "ledger.jsonl", ".venv"
_PACK = (
    "PulumiPolicy.yaml",
    "__main__.py",
    "given.py",
    "pulumi-analyzer-policy-gpuprov",
    "requirements.txt",
    "setup",
)
"""The files of the policy pack. Pulumi wants them in the project, and the pack reads the project around it."""
_EXECUTABLE = ("pulumi-analyzer-policy-gpuprov", "setup")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPool:
    """A pool: its model, its GPUs, and the label that tells its nodes."""

    model: str
    gpus: int
    label: str
    value: str

    @property
    def configuration(self) -> dict[str, Any]:
        """The pool as a stack file has it."""
        return {"model": self.model, "capacity": self.gpus, "nodeLabel": {self.label: self.value}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplier:
    """A supplier as it was asked for. Without ``pools`` they are read from its cluster's nodes."""

    name: str
    context: str
    admin_context: str | None = None
    exec_plugins: tuple[str, ...] = ()
    pools: tuple[NewPool, ...] = ()
    uid: str | None = None


AskPools = Callable[[str, str], tuple[NewPool, ...]]
"""Asks a person for the pools of a supplier; the second text says why they could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewProject:
    """What makes a project: its name, its programme with the text of the file, and the suppliers' clusters.

    ``virtualenv`` says whether Pulumi is to use the Python in `.venv`, instead of the first one on PATH. ``ci`` are the
    platforms that it has pipelines for.
    """

    name: str
    programme: Programme
    programme_text: str
    clusters: tuple[ProviderCluster, ...]
    virtualenv: bool
    ci: tuple[str, ...] = ()

    @property
    def files(self) -> Mapping[str, NewFile]:
        """All files. Raises InputError where the programme allows no award that fits in any pool."""
        awards = sample_list(self.programme, self.clusters)
        if awards is None:
            message = tr(
                "no award of the programme {programme} fits in any pool, so there is no sample list",
                programme=self.programme.name,
            )
            raise InputError([Problem(argument="--pool", message=message, remedy=tr("pass pools with more GPUs"))])
        values = {
            "name": self.name,
            "awards": list_name(self.programme),
            "ledger": LEDGER,
            "programme": PROGRAMME,
        }
        suppliers = ", ".join(cluster.provider for cluster in self.clusters)
        told = values | {"suppliers": suppliers, "pipelines": pipelines_told(self.ci)}
        option = f"    virtualenv: {ENVIRONMENT}" if self.virtualenv else "    # the first python on PATH has gpuprov"
        settings = {key: _scalar(value) for key, value in values.items()} | {"virtualenv": option}
        ours = {path: file for path, (file, _) in renewable().items()}
        return {
            PROJECT_FILE: NewFile(text=_filled("Pulumi.yaml", settings)),
            "README.md": NewFile(text=_filled("README.md", told)),
            PROGRAMME: NewFile(text=self.programme_text),
            list_name(self.programme): NewFile(text=awards),
            LEDGER: NewFile(text=""),
            **{stack_path(cluster.provider): self._stack(cluster) for cluster in self.clusters},
            **pipeline_files(self.ci, [cluster.provider for cluster in self.clusters]),
            **ours,
            NOTE: NewFile(text=note({path: file.text for path, file in ours.items()}, {})),
        }

    def _stack(self, cluster: ProviderCluster) -> NewFile:
        known = {"adminContext": cluster.admin_context, "uid": cluster.uid}
        lines = [f"    {key}: {_scalar(value)}" for key, value in known.items() if value is not None]
        if cluster.admin_context is None:
            lines.append("    # adminContext: the context of the cluster's administrator, for `gpuprov setup` alone")
        if cluster.exec_plugins:
            lines.append(f"    execPlugins: [{', '.join(map(_scalar, cluster.exec_plugins))}]")
        values = {
            "project": self.name,
            "context": _scalar(cluster.context),
            "identity": "\n".join(lines),
            "pools": "\n".join(_pool(pool) for pool in cluster.pools),
        }
        return NewFile(text=_filled("stack.yaml", values))


def renewable() -> dict[str, tuple[NewFile, str]]:
    """Return the files that are the same in every project, each with the path of what it is a copy of."""
    copies = {".gitignore": "templates/project/gitignore", "stacks/__main__.py": "stacks/__main__.py"}
    copies |= {f"policies/{name}": f"policies/{name}" for name in _PACK}
    programs = {f"policies/{name}" for name in _EXECUTABLE}
    return {path: (NewFile(text=_text(origin), executable=path in programs), origin) for path, origin in copies.items()}


def stack_path(provider: str) -> str:
    """Return the path of a supplier's stack file in a new project."""
    return f"stacks/Pulumi.{provider}.yaml"


def paths_of(programme: Programme, providers: tuple[str, ...], ci: tuple[str, ...] = ()) -> list[str]:
    """Return the paths of all files that a project would have with these suppliers, and pipelines for ``ci``."""
    own = (PROJECT_FILE, "README.md", PROGRAMME, list_name(programme), LEDGER, NOTE)
    return [*own, *map(stack_path, providers), *pipeline_paths(ci), *renewable()]


def _pool(pool: GpuPool) -> str:
    ((label, value),) = pool.node_label.items()
    lines = (
        f"      - model: {_scalar(pool.model)}",
        f"        capacity: {pool.capacity}",
        "        nodeLabel:",
        f"          {_scalar(label)}: {_scalar(value)}",
    )
    return "\n".join(lines)


def _scalar(text: str) -> str:
    """Return a text as YAML reads it back: in quotation marks where it would be something else without."""
    return yaml.safe_dump(text, allow_unicode=True, width=10_000).removesuffix("\n").removesuffix("\n...")


def _filled(template: str, values: Mapping[str, str]) -> str:
    return Template(_template(template)).substitute(values)


def _template(name: str) -> str:
    return _text(f"templates/project/{name}")


def _text(path: str) -> str:
    return packaged(path).read_text(encoding="utf-8")
