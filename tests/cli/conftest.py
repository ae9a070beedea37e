"""The projects in which the tests of the command line run, and the API servers that answer them."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from cli_world import MARCH, PROVIDERS, Api, World, answering, make_world
from loopback import unused_port
from projects import copy_project

from gpuprov.core.manifests import tenant_manifests
from gpuprov.core.outputs import summary
from gpuprov.load.project import open_project
from gpuprov.run.loading import load


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own, which is the working directory; no toolchain anywhere."""
    folder = copy_project(tmp_path / "project")
    monkeypatch.chdir(folder)
    monkeypatch.delenv("GPUPROV_AT", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "pulumi-home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    return folder


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A project whose kubeconfig is not there."""
    return make_world(tmp_path)


@pytest.fixture
def api(world: World) -> Iterator[Api]:
    """API servers that answer for all three providers and have nothing of ours yet."""
    answers = Api()
    with world.served_by(answering(answers)):
        yield answers
    assert answers.writes == []


@pytest.fixture
def full(world: World, api: Api) -> Api:
    """The same with every tenant of March in place, as gpuprov writes it, and known to the stacks."""
    project = open_project(world.root)
    desired = load(project).desired(datetime.fromisoformat(MARCH))
    for tenant in desired.tenants:
        for manifest in tenant_manifests(tenant, project.by_provider[tenant.provider]):
            item = {key: value for key, value in manifest.items() if key not in ("apiVersion", "kind")}
            api.objects.setdefault((tenant.provider, manifest["kind"]), []).append(item)
    for provider in PROVIDERS:
        tenants = summary(desired.on(provider))
        world.outputs(provider, {"clusterUid": f"uid-of-{provider}", "context": provider, "tenants": tenants})
    return api


@pytest.fixture
def closed(world: World) -> World:
    """The same project with a kubeconfig whose every context leads to a port where nobody listens."""
    world.contexts(dict.fromkeys(PROVIDERS, f"http://127.0.0.1:{unused_port()}"))
    return world
