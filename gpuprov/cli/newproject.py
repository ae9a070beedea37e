"""Makes a new project: reads the options or asks, writes the files, validates them, and says what comes next."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click
from pydantic import TypeAdapter, ValidationError

from gpuprov.cli.asking import agrees, nothing_changed
from gpuprov.cli.common import warn
from gpuprov.cli.errors import Exit, print_json
from gpuprov.cli.init import POOL_FORM, SUPPLIER_FORM
from gpuprov.cli.language import wrong_usage
from gpuprov.cli.screen import say
from gpuprov.cli.validation import check_capacity, print_summary, summary
from gpuprov.core.cluster import ProviderCluster, ProviderName
from gpuprov.core.programme import Programme
from gpuprov.errors import InputError, Problem
from gpuprov.i18n import shown, tr
from gpuprov.load.packaged import DEFAULT_PROGRAMME, programmes
from gpuprov.load.programme import read_programme
from gpuprov.load.project import open_project
from gpuprov.run.clock import now
from gpuprov.run.creating import create, in_the_way
from gpuprov.run.loading import load
from gpuprov.run.newproject import ENVIRONMENT, AskPools, NewPool, NewProject, Supplier, paths_of
from gpuprov.run.offers import clusters_of

_POOL = re.compile(r"([^:=]+):([^:=]+)=([0-9]{1,7}):([^:=]+)=([^:=]*)")
_PROJECT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_PROVIDER_NAME: TypeAdapter[str] = TypeAdapter(ProviderName)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What a project may have besides: programs that the kubeconfig runs, and platforms to have pipelines for."""

    exec_plugins: tuple[str, ...] = ()
    ci: tuple[str, ...] = ()


def make_project(
    folder: Path,
    name: str | None,
    programme: str | None,
    suppliers: Sequence[str],
    pools: Sequence[str],
    *,
    extras: Extras,
    as_json: bool,
) -> None:
    """Make a project in the folder. Raises click.UsageError for what cannot be read, and InputError."""
    name = _name(name, folder)
    try:
        chosen, text, clusters, remarks = _wanted(folder, programme, suppliers, pools, extras)
    except click.Abort:
        say(err=True)  # the line of the question has no end yet
        nothing_changed(Exit.INTERRUPTED)
    environment = None if sys.prefix == sys.base_prefix else Path(sys.prefix)
    project = NewProject(
        name=name,
        programme=chosen,
        programme_text=text,
        clusters=clusters,
        virtualenv=environment is not None,
        ci=extras.ci,
    )
    create(folder, project.files, environment, ENVIRONMENT)
    warn(tuple(remarks))
    _tell(folder, sorted(project.files), as_json=as_json)


def _wanted(
    folder: Path,
    programme: str | None,
    typed: Sequence[str],
    typed_pools: Sequence[str],
    extras: Extras,
) -> tuple[Programme, str, tuple[ProviderCluster, ...], list[str]]:
    """Return the programme with the text of its file, and the suppliers' clusters with remarks on them.

    Without suppliers it asks. Raises InputError, and before it reads any cluster if a file is in the way.
    """
    named = _suppliers(typed, typed_pools) if typed or typed_pools else _ask_suppliers()
    suppliers = [replace(supplier, exec_plugins=extras.exec_plugins) for supplier in named]
    if not typed and programme is None:
        programme = click.prompt(shown(tr("Programme")), default=DEFAULT_PROGRAMME, err=True)
    chosen, text = _programme(programme or DEFAULT_PROGRAMME)
    names = tuple(supplier.name for supplier in suppliers)
    if problems := in_the_way(folder, paths_of(chosen, names, extras.ci)):
        raise InputError(problems)
    return chosen, text, *clusters_of(suppliers, chosen, None if typed else _ask_pools(chosen))


def _name(name: str | None, folder: Path) -> str:
    """Return the project's name. Raises click.UsageError for one that Pulumi does not take."""
    name = folder.name if name is None else name
    if _PROJECT_NAME.fullmatch(name) is None:
        raise wrong_usage(
            tr(
                "{name!r} is no name of a project: pass --name with letters, digits, dots, hyphens and underscores",
                name=name,
            )
        )
    return name


def _programme(value: str) -> tuple[Programme, str]:
    """Return a programme and the text of its file. Raises InputError, for a name with the names that there are."""
    known = programmes()
    path = known.get(value, Path(value))
    if value not in known and not path.is_file():
        remedy = tr("name a file, or one of {names}", names=", ".join(known))
        raise InputError([Problem(argument="--programme", value=value, message=tr("is no file"), remedy=remedy)])
    return read_programme(path), path.read_text(encoding="utf-8")


def _suppliers(typed: Sequence[str], typed_pools: Sequence[str]) -> list[Supplier]:
    """Read the options. Raises click.UsageError."""
    pools: dict[str, list[NewPool]] = {}
    for text in typed_pools:
        match = _POOL.fullmatch(text)
        if match is None:
            raise wrong_usage(
                tr("{option} {value!r} is not of the form {form}", option="--pool", value=text, form=POOL_FORM)
            )
        supplier, model, gpus, label, value = match.groups()
        pools.setdefault(supplier, []).append(NewPool(model=model, gpus=int(gpus), label=label, value=value))
    suppliers: dict[str, Supplier] = {}
    for text in typed:
        name, _, contexts = text.partition("=")
        context, _, admin = contexts.partition(",")
        if not context:
            raise wrong_usage(
                tr("{option} {value!r} is not of the form {form}", option="--supplier", value=text, form=SUPPLIER_FORM)
            )
        if name in suppliers:
            raise wrong_usage(tr("--supplier names {supplier} twice", supplier=name))
        _check_provider(name)
        suppliers[name] = Supplier(
            name=name, context=context, admin_context=admin or None, pools=tuple(pools.pop(name, ()))
        )
    if pools:
        raise wrong_usage(tr("--pool names {suppliers}, which no --supplier does", suppliers=", ".join(pools)))
    return list(suppliers.values())


def _check_provider(name: str) -> None:
    try:
        _PROVIDER_NAME.validate_python(name)
    except ValidationError:
        message = tr("{name!r} is no supplier's name: at most 42 small letters, digits and inner hyphens", name=name)
        raise wrong_usage(message) from None


def _ask_suppliers() -> list[Supplier]:
    """Ask at the terminal. Raises click.UsageError where there is none."""
    if not sys.stdin.isatty():
        raise wrong_usage(tr("pass --supplier {form}: there is no terminal to ask at", form=SUPPLIER_FORM))
    suppliers: dict[str, Supplier] = {}
    while not suppliers or agrees(tr("Another supplier?")):
        question = shown(tr("Supplier, in small letters, digits and hyphens"))
        name = click.prompt(question, err=True, value_proc=_new_name(suppliers))
        context = click.prompt(shown(tr("  its context in the kubeconfig")), default=name, err=True)
        question = shown(tr("  its administrator's context, if any"))
        admin = click.prompt(question, default="", show_default=False, err=True)
        suppliers[name] = Supplier(name=name, context=context, admin_context=admin or None)
    return list(suppliers.values())


def _new_name(taken: Container[str]) -> Callable[[str], str]:
    """Return what checks a supplier's name; a wrong one is asked for again."""

    def check(name: str) -> str:
        _check_provider(name)
        if name in taken:
            raise wrong_usage(tr("{supplier} has been named already", supplier=name))
        return name

    return check


def _ask_pools(programme: Programme) -> AskPools:
    """Return what asks for a supplier's pools, where its cluster does not tell them."""

    def ask(supplier: str, why: str) -> tuple[NewPool, ...]:
        say(tr("{provider}: {reason}", provider=supplier, reason=why), err=True)
        pools: list[NewPool] = []
        while not pools or agrees(tr("Another pool of {supplier}?", supplier=supplier)):
            model = click.prompt(shown(tr("  GPU model")), type=click.Choice(list(programme.resources)), err=True)
            gpus = click.prompt(shown(tr("  how many GPUs")), type=click.IntRange(min=0), err=True)
            label = click.prompt(shown(tr("  the label of its nodes")), default="nvidia.com/gpu.product", err=True)
            value = click.prompt(shown(tr("  and its value")), err=True)
            pools.append(NewPool(model=model, gpus=gpus, label=label, value=value))
        return tuple(pools)

    return ask


def _tell(folder: Path, names: Sequence[str], *, as_json: bool) -> None:
    """Validate what was written as `gpuprov validate` does, and say what comes next."""
    project = open_project(folder)
    loaded = load(project)
    at = now(project.programme.zone)
    check_capacity(loaded, at, as_json=as_json)
    checked = summary(loaded, at)
    if as_json:
        print_json({"folder": str(folder), "name": project.name, "files": list(names), "validate": checked})
        return
    say(tr("made {folder}:", folder=folder))
    for name in names:
        click.echo(f"  {name}")
    print_summary(checked)
    there = "" if folder == Path.cwd() else f"cd {shlex.quote(str(folder))} && "
    say(tr("\nReplace the sample rows of {file}, then:", file=project.awards[0].name))
    for line in (f"{there}gpuprov setup", "gpuprov preflight", "gpuprov plan"):
        click.echo(f"  {line}")
