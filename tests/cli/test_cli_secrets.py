"""Secrets that were planted in the kubeconfig and the environment are told by no command, in no log and in no file."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_world import PROVIDERS, Api, World
from loopback import unused_port
from played_forge import PLATFORMS, Played
from played_forge import TOKEN as FORGE_TOKEN
from sandbox_fixtures import eventually
from service import watching

TOKEN, PASSPHRASE, KEY, PASSWORD = (f"planted-{name}-1f8e" for name in ("token", "passphrase", "key", "password"))
PLANTED = (TOKEN, PASSPHRASE, KEY, PASSWORD, FORGE_TOKEN)
FORFEIT = "forfeit HPC-2026-1-003 --reason unused --yes"
KUBECONFIG = "kubeconfig HPC-2026-1-003 --out awardee.kubeconfig"
STATE = ("doctor", "recover --yes", "unlock --yes")
COMMANDS = {
    "answered": ["validate", "plan --markdown", "up --yes", FORFEIT, "status", "show HPC-2026-1-003", *STATE],
    "refused": ["plan", "expire --yes", "awards", KUBECONFIG, "setup --yes", *STATE],
    "unreached": ["plan", FORFEIT, "preflight", KUBECONFIG, *STATE],
    "malformed": ["plan", "preflight", KUBECONFIG, "setup --yes", *STATE],
}
"""What is run, by what becomes of the requests."""

ENVIRONMENT = {
    "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
    "AWS_SECRET_ACCESS_KEY": KEY,
    "PULUMI_BACKEND_URL": f"postgres://gpuprov:{PASSWORD}@127.0.0.1:1/state",
}


def plant(world: World) -> World:
    """Put the secrets where people keep them."""
    path = Path(world.environment["KUBECONFIG"])
    text = path.read_text(encoding="utf-8")
    assert "token: t\n" in text
    path.write_text(text.replace("token: t\n", f"token: {TOKEN}\n"), encoding="utf-8")
    world.environment.update(ENVIRONMENT | {"XDG_STATE_HOME": str(world.root.parent / "user-state")})
    return world


@pytest.fixture
def answered(world: World, full: Api) -> Iterator[World]:
    yield plant(world)
    full.writes.clear()


@pytest.fixture
def refused(world: World, api: Api) -> World:
    api.forbidden.update(PROVIDERS)
    return plant(world)


@pytest.fixture
def unreached(closed: World) -> World:
    return plant(closed)


@pytest.fixture
def malformed(world: World) -> World:
    """The token is where a mapping should be: what reads it must not print it."""
    world.contexts(dict.fromkeys(PROVIDERS, f"http://127.0.0.1:{unused_port()}"))
    plant(world)
    path = Path(world.environment["KUBECONFIG"])
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(f"    token: {TOKEN}\n", f"    client-key-data: [{TOKEN}]\n"), encoding="utf-8")
    return world


def found(world: World, told: str) -> list[str]:
    """Return which secrets were told, or stand in any file but the kubeconfig."""
    planted_in = Path(world.environment["KUBECONFIG"])
    files = [path for path in world.root.parent.rglob("*") if path.is_file() and path != planted_in]
    assert files
    texts = [told, *(path.read_bytes().decode("utf-8", "replace") for path in files)]
    return [secret for secret in PLANTED if any(secret in text for text in texts)]


@pytest.mark.parametrize(("where", "command"), [(where, command) for where in COMMANDS for command in COMMANDS[where]])
def test_no_command_tells_a_secret(request: pytest.FixtureRequest, where: str, command: str) -> None:
    world: World = request.getfixturevalue(where)
    ran = world.run(*command.split(), "-vv")
    assert found(world, ran.out + ran.err) == [], ran
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("where", ["answered", "unreached"])
@pytest.mark.parametrize(("platform", "refusals"), [("github", 0), ("gitlab", 0), ("github", 9)])
def test_no_step_of_a_pipeline_tells_a_secret(
    request: pytest.FixtureRequest, where: str, platform: str, refusals: int
) -> None:
    world: World = request.getfixturevalue(where)
    played = Played(fails=[(401, {})] * refusals)
    with PLATFORMS[platform](played) as variables:
        world.environment.update(variables)
        steps = ("check --report reports/one.json", "comment reports", "issue reports")
        rans = [world.run("ci", *step.split(), "-vv") for step in steps]
    assert bool(played.comments) == (not refusals)
    notes = "".join(note["body"] for note in played.comments + played.issues)
    assert found(world, "".join(ran.out + ran.err for ran in rans) + notes) == [], rans
    assert "Traceback" not in "".join(ran.err for ran in rans)


def test_the_service_tells_no_secret(unreached: World) -> None:
    with watching(unreached, "-vv") as service:
        eventually(lambda: service.says("kt-cloud", "does not answer"))
        pages = "".join(service.page(path)[1] for path in ("/healthz", "/readyz", "/metrics"))
        command = Path(f"/proc/{service.process.pid}/cmdline").read_text(encoding="utf-8")
        assert service.end() == 0
    assert found(unreached, "\n".join([*service.lines, pages, command])) == []
