"""Commands with the real Pulumi instead of the script: new stacks, a backend and clusters that are not there."""

import os

import pytest
from cli_world import JULY, PROVIDERS, Api, World
from projects import run_command

from gpuprov import toolchain


def real(world: World) -> World:
    """Return the project with the installed toolchain instead of the script, and a backend of its own."""
    state = world.root.parent / "state"
    state.mkdir()
    path = toolchain.require().path_for_hand()
    return World(
        world.root,
        {name: value for name, value in os.environ.items() if name in ("HOME", "XDG_CACHE_HOME")}
        | {
            "PATH": os.pathsep.join([path, "/usr/bin", "/bin"]),
            "KUBECONFIG": world.environment["KUBECONFIG"],
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE": "",
            "PYTHONPATH": world.environment["PYTHONPATH"],
        },
    )


@pytest.mark.sandbox
def test_with_the_real_pulumi_a_plan_of_new_stacks_has_no_outputs(world: World, api: Api) -> None:
    ran = real(world).run("plan", "--json", "--exit-code")
    assert (ran.code, len(ran.data["changes"]), ran.data["failed"]) == (3, 120, {})


@pytest.mark.sandbox
def test_with_the_real_pulumi_a_backend_that_is_not_there_fails_the_provider(world: World, api: Api) -> None:
    broken = real(world)
    broken.environment["PULUMI_BACKEND_URL"] = f"file://{world.root.parent / 'nowhere'}"
    ran = broken.run("up", "--yes", "--json")
    assert (ran.code, ran.data["failed"].keys()) == (5, set(PROVIDERS))
    assert all("nowhere" in message for message in ran.data["failed"].values())


@pytest.mark.sandbox
@pytest.mark.parametrize("command", [("plan",), ("up", "--yes")], ids=lambda command: command[0])
def test_with_the_real_pulumi_a_closed_port_is_told(closed: World, command: tuple[str, ...]) -> None:
    ran = real(closed).run(*command, "--json")
    assert (ran.code, ran.data["failed"].keys()) == (5, set(PROVIDERS))


@pytest.mark.sandbox
def test_with_the_real_pulumi_a_project_of_init_previews_by_hand(world: World, api: Api) -> None:
    """After the programme nothing is declared, so the preview needs no cluster that answers writes."""
    pool = "kt-cloud:H200=8:nvidia.com/gpu.product=NVIDIA-H200"
    by_hand = real(World(world.root.parent, world.environment))
    assert by_hand.run("init", "mine", "--supplier", "kt-cloud=kt-cloud", "--pool", pool).code == 0
    root = world.root.parent / "mine"
    first = f"{root / '.venv' / 'bin'}{os.pathsep}{by_hand.environment['PATH']}"
    environment = by_hand.environment | {"PATH": first, "GPUPROV_AT": JULY}
    assert run_command(["pulumi", "stack", "init", "kt-cloud"], root, environment).code == 0
    ran = run_command(["pulumi", "preview", "--stack", "kt-cloud", "--non-interactive"], root, environment)
    assert ran.code == 0, ran
    assert "deciding for 2026-07-01T00:00+09:00 (GPUPROV_AT)" in ran.out + ran.err
