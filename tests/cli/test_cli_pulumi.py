"""Commands with the real Pulumi instead of the script: new stacks, a backend and clusters that are not there."""

import os

import pytest
from cli_world import PROVIDERS, Api, World

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
