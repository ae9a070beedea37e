"""The commands against clusters that answer from a table, that refuse, or that are not there. Nothing is started.

Pulumi is a script that answers what a stack's outputs are, except in the tests that are marked: they use the real one.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from test_cli import make_project

from gpuprov import toolchain
from gpuprov.manifests import RULES, tenant_manifests
from gpuprov.outputs import summary
from gpuprov.project import open_project
from gpuprov.run.pipeline import load
from gpuprov.toolchain.pins import CLI_TOOLS, EXEC_SCRIPT, PLUGIN, PULUMI

PROVIDERS = ("elice-cloud", "kt-cloud", "samsung-sds")
MARCH = "2026-03-01T09:00:00+09:00"
JULY = "2026-07-01T00:00:00+09:00"
PULUMI_SCRIPT = """#!/bin/sh
case "$1" in
  version) echo "v{version}" ;;
  *) cat "{folder}/outputs-$5.json" ;;
esac
"""


@dataclass
class Ran:
    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


@dataclass
class Api:
    """What the providers' API servers answer: the objects by provider and collection, or one error for all."""

    objects: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    forbidden: set[str] = field(default_factory=set)
    bare: set[str] = field(default_factory=set)
    writes: list[str] = field(default_factory=list)

    def answer(self, path: str) -> tuple[int, dict[str, Any]]:
        provider, _, rest = path.strip("/").partition("/")
        if provider in self.forbidden:
            return 403, {"kind": "Status", "message": "no rights here"}
        if rest == "api/v1/namespaces/kube-system":
            return 200, {"kind": "Namespace", "metadata": {"name": "kube-system", "uid": f"uid-of-{provider}"}}
        if rest == "apis/rbac.authorization.k8s.io/v1/clusterroles/gpuprov-tenant":
            return 200, {"kind": "ClusterRole", "metadata": {"name": "gpuprov-tenant"}}
        if rest == "apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings":
            rules = [{"metadata": {"name": name}, "spec": {"validationActions": ["Deny"]}} for name in RULES]
            return 200, {"items": [] if provider in self.bare else rules}
        kind, version = KINDS[rest], rest.split("/", 1)[1].rpartition("/")[0]
        items = self.objects.get((provider, kind), [])
        return 200, {"kind": f"{kind}List", "apiVersion": version, "items": items}


KINDS = {
    "api/v1/namespaces": "Namespace",
    "api/v1/resourcequotas": "ResourceQuota",
    "api/v1/limitranges": "LimitRange",
    "apis/networking.k8s.io/v1/networkpolicies": "NetworkPolicy",
    "apis/rbac.authorization.k8s.io/v1/rolebindings": "RoleBinding",
}


@contextmanager
def serving(api: Api) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code, document = api.answer(urlsplit(self.path).path)
            body = json.dumps(document).encode()
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def refuse(self) -> None:
            api.writes.append(f"{self.command} {self.path}")
            self.send_error(500)

        do_POST = do_PUT = do_PATCH = do_DELETE = refuse  # noqa: N815 (the base class's names)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class World:
    """A project, a kubeconfig and a Pulumi of its own."""

    root: Path
    environment: dict[str, str]

    @property
    def ledger(self) -> Path:
        return self.root / "examples" / "ledger.jsonl"

    def run(self, *arguments: str, at: str = MARCH) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "gpuprov", *arguments],
            cwd=self.root,
            env=self.environment | {"GPUPROV_AT": at},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def contexts(self, servers: dict[str, str]) -> None:
        """Write a kubeconfig with a context for each of these providers."""
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": url}} for name, url in servers.items()],
            "users": [{"name": "reader", "user": {"token": "t"}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": "reader"}} for name in servers],
        }
        Path(self.environment["KUBECONFIG"]).write_text(yaml.safe_dump(document))

    def outputs(self, provider: str, outputs: dict[str, Any]) -> None:
        """Say what the script that stands for Pulumi answers about a stack."""
        (self.root.parent / f"outputs-{provider}.json").write_text(json.dumps(outputs))


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A project whose kubeconfig is not there."""
    tools = tmp_path / "bin"
    script(tools / "pulumi", PULUMI_SCRIPT.format(version=PULUMI.version, folder=tmp_path))
    for name in ("pulumi-language-python", EXEC_SCRIPT):
        script(tools / name, "#!/bin/sh\n")
    home = tmp_path / "pulumi-home"
    script(home / "plugins" / f"resource-kubernetes-v{PLUGIN.version}" / PLUGIN.name, "#!/bin/sh\n")
    environment = {
        "PATH": os.pathsep.join([str(tools), "/usr/bin", "/bin"]),
        "HOME": str(tmp_path),
        "PULUMI_HOME": str(home),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "KUBECONFIG": str(tmp_path / "kubeconfig"),
        "PYTHONIOENCODING": "utf-8",
    }
    made = World(make_project(tmp_path / "project"), environment)
    for provider in PROVIDERS:
        made.outputs(provider, {})
    return made


@pytest.fixture
def api(world: World) -> Iterator[Api]:
    """API servers that answer for all three providers and have nothing of ours yet."""
    answers = Api()
    with serving(answers) as url:
        world.contexts({provider: f"{url}/{provider}" for provider in PROVIDERS})
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
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    world.contexts(dict.fromkeys(PROVIDERS, f"http://127.0.0.1:{port}"))
    return world


# ---- clusters that cannot be reached

READING = [("plan",), ("up", "--yes"), ("expire", "--yes"), ("status",)]


@pytest.mark.parametrize("command", READING, ids=lambda command: command[0])
def test_without_a_kubeconfig_each_provider_and_the_way_out_are_named(world: World, command: tuple[str, ...]) -> None:
    ran = world.run(*command)
    assert ran.code == 5
    for provider in PROVIDERS:
        (line,) = [line for line in ran.err.splitlines() if f"no usable context '{provider}'" in line]
        assert provider in line.split("no usable context", maxsplit=1)[0]
        assert "set KUBECONFIG to the file that has it" in line


@pytest.mark.parametrize("command", READING, ids=lambda command: command[0])
def test_a_closed_port_is_told_for_each_provider(closed: World, command: tuple[str, ...]) -> None:
    ran = closed.run(*command, "--json")
    assert ran.code == 5
    assert ran.data["failed"].keys() == set(PROVIDERS)
    for provider, message in ran.data["failed"].items():
        assert message.startswith(f"{provider}: the API server of context '{provider}' does not answer (")
        assert message.endswith("run the same command again")
        assert message.removeprefix(f"{provider}: ") in ran.err


def test_only_the_providers_asked_for_are_looked_at(closed: World) -> None:
    ran = closed.run("plan", "--provider", "kt-cloud", "--provider", "samsung-sds", "--json")
    assert (ran.code, ran.data["failed"].keys()) == (5, {"kt-cloud", "samsung-sds"})


def test_one_provider_without_context_does_not_stop_the_others(world: World, full: Api) -> None:
    path = Path(world.environment["KUBECONFIG"])
    document = yaml.safe_load(path.read_text())
    document["contexts"] = [one for one in document["contexts"] if one["name"] != "kt-cloud"]
    path.write_text(yaml.safe_dump(document))
    ran = world.run("plan", "--json", "--exit-code")
    assert (ran.code, ran.data["failed"].keys()) == (5, {"kt-cloud"})
    assert (ran.data["providers"], ran.data["changes"]) == (["elice-cloud", "samsung-sds"], [])
    assert ran.data["unchanged"] > 0


def test_an_identity_without_rights_is_told(world: World, full: Api) -> None:
    full.forbidden.add("kt-cloud")
    ran = world.run("status", "--json")
    assert (ran.code, ran.data["failed"].keys()) == (5, {"kt-cloud"})
    assert "may not GET" in ran.data["failed"]["kt-cloud"]
    assert {pool["provider"] for pool in ran.data["pools"]} == {"elice-cloud", "samsung-sds"}


# ---- the ledger comes first


def test_forfeiting_is_recorded_once_though_the_cluster_does_not_answer(closed: World) -> None:
    command = ("forfeit", "HPC-2026-1-002", "--reason", "과제 중단", "--by", "kim", "--yes", "--json")
    ran = closed.run(*command)
    assert (ran.code, ran.data["failed"].keys()) == (5, {"kt-cloud"})
    assert "recorded in ledger.jsonl: forfeited HPC-2026-1-002" in ran.err
    written = closed.ledger.read_bytes()
    (line,) = written.splitlines()
    event = json.loads(line)
    assert event.pop("recorded")
    assert event == {"award": "HPC-2026-1-002", "at": MARCH, "by": "kim", "reason": "과제 중단", "event": "forfeited"}

    again = closed.run(*command)
    assert (again.code, again.data["failed"].keys()) == (5, {"kt-cloud"})
    assert f"HPC-2026-1-002 was forfeited at {MARCH} already" in again.err
    assert closed.ledger.read_bytes() == written


def test_naming_an_award_twice_writes_one_event(closed: World) -> None:
    ran = closed.run("forfeit", "HPC-2026-1-002", "HPC-2026-1-002", "--reason", "x", "--yes")
    assert (ran.code, len(closed.ledger.read_text().splitlines())) == (5, 1)


def test_reducing_is_recorded_once_though_the_cluster_does_not_answer(closed: World) -> None:
    command = ("reduce", "HPC-2026-1-003", "--to", "4", "--reason", "x", "--yes")
    assert closed.run(*command).code == 5
    (line,) = closed.ledger.read_text().splitlines()
    assert (json.loads(line)["event"], json.loads(line)["quantity"]) == ("reduced", 4)
    again = closed.run(*command)
    assert (again.code, "HPC-2026-1-003 has 4 H100 already" in again.err) == (5, True)
    assert closed.ledger.read_text().splitlines() == [line]


@pytest.mark.parametrize(
    "command",
    [("forfeit", "HPC-2026-1-002"), ("reduce", "HPC-2026-1-003", "--to", "4")],
    ids=lambda command: command[0],
)
def test_without_yes_and_terminal_nothing_is_recorded(closed: World, command: tuple[str, ...]) -> None:
    ran = closed.run(*command, "--reason", "x")
    assert (ran.code, ran.out) == (2, "")
    assert "give --yes: there is no terminal to ask at" in ran.err
    assert not closed.ledger.exists()


# ---- plans


def test_pending_changes_are_3_only_where_asked_for(world: World, api: Api) -> None:
    ran = world.run("plan", "--json", "--exit-code")
    assert ran.code == 3
    assert {one["op"] for one in ran.data["changes"]} == {"create"}
    assert (len(ran.data["changes"]), ran.data["unchanged"]) == (120, 0)
    assert (ran.data["at"], ran.data["providers"]) == (MARCH, list(PROVIDERS))
    assert (ran.data["failed"], ran.data["refused"]) == ({}, [])
    assert world.run("plan", "--json").code == 0


def test_where_nothing_differs_there_is_nothing_to_do(world: World, full: Api) -> None:
    ran = world.run("plan", "--exit-code")
    assert (ran.code, ran.out) == (0, f"at {MARCH}: nothing to change, 120 unchanged\n")
    done = world.run("up", "--json")  # no --yes: there is nothing to ask about
    assert (done.code, done.data["failed"]) == (0, {})
    assert [one["provider"] for one in done.data["providers"]] == list(PROVIDERS)


def test_the_table_is_short_unless_it_is_wanted_in_full(world: World, api: Api) -> None:
    short = world.run("plan")
    assert "… and 108 more (`gpuprov plan --full` shows all)" in short.out
    full = world.run("plan", "--full")
    assert sum(line.startswith("create ") for line in full.out.splitlines()) == 120
    assert "120 to create, 0 unchanged" in full.out


def test_markdown_has_a_row_for_each_change(world: World, api: Api) -> None:
    ran = world.run("plan", "--markdown", "--provider", "kt-cloud")
    lines = ran.out.splitlines()
    assert (ran.code, lines[0]) == (0, f"### GPU quotas at {MARCH}")
    count = len(world.run("plan", "--json", "--provider", "kt-cloud").data["changes"])
    assert sum(line.startswith("| create | kt-cloud | HPC-2026-1-") for line in lines) == count > 0


def test_without_yes_and_terminal_nothing_is_applied(world: World, api: Api) -> None:
    ran = world.run("up")
    assert (ran.code, ran.out) == (2, "")
    assert "120 to create" in ran.err
    assert "give --yes: there is no terminal to ask at" in ran.err


def test_the_end_of_terms_is_for_expire(world: World, full: Api) -> None:
    before = world.run("expire", "--json")
    assert (before.code, before.data["failed"]) == (0, {})
    after = world.run("expire", at=JULY)
    assert (after.code, "120 to reclaim" in after.err) == (2, True)
    plan = world.run("plan", "--json", at=JULY).data
    assert {(one["op"], one["expected"]) for one in plan["changes"]} == {("reclaim", True)}
    assert plan["refused"] == []


# ---- the guard


def test_rows_lost_from_the_list_are_refused(world: World, full: Api) -> None:
    path = world.root / "examples" / "awards-2026-h1.csv"
    lines = path.read_text(encoding="utf-8-sig").splitlines()
    path.write_text("\n".join(lines[:20]) + "\n", encoding="utf-8-sig")
    plan = world.run("plan", "--json", "--exit-code")
    assert plan.code == 4
    assert len(plan.data["refused"]) == 3
    assert plan.err.startswith("refused, nothing was changed:\n  - ")
    count = len(plan.data["changes"])
    assert all(f"--allow-teardown {count}" in reason for reason in plan.data["refused"])
    ran = world.run("up", "--yes", "--json")
    assert (ran.code, ran.data["error"], ran.data["reasons"]) == (4, "PlanRefused", plan.data["refused"])
    confirmed = world.run("up", "--allow-teardown", str(count))  # the next hurdle is the question
    assert (confirmed.code, "give --yes" in confirmed.err) == (2, True)


def test_another_cluster_is_refused_until_confirmed(world: World, api: Api) -> None:
    for provider in PROVIDERS:
        world.outputs(provider, {"clusterUid": "uid-of-kt-cloud", "tenants": {}})
    ran = world.run("up", "--yes", "--json", "--provider", "kt-cloud", "--provider", "samsung-sds")
    assert ran.code == 4
    (reason,) = ran.data["reasons"]
    assert reason.startswith("samsung-sds: context 'samsung-sds' leads to the cluster uid-of-samsung-sds, but this")
    assert "--accept-cluster samsung-sds" in reason
    accepted = world.run("up", "--provider", "samsung-sds", "--accept-cluster", "samsung-sds")
    assert (accepted.code, "give --yes" in accepted.err) == (2, True)


def test_lists_that_exceed_a_capacity_are_refused_before_any_cluster_is_read(closed: World) -> None:
    text = (closed.root / "Pulumi.yaml").read_text(encoding="utf-8")
    both = "      - examples/awards-2026-h1.csv\n"
    path = closed.root / "Pulumi.yaml"
    path.write_text(text.replace(both, both + "      - examples/awards-2026-extra-cp949.csv\n"), encoding="utf-8")
    for command in ("plan", "up"):
        ran = closed.run(command, "--json", *(["--yes"] if command == "up" else []))
        assert (ran.code, ran.data["error"], len(ran.data["reasons"])) == (4, "PlanRefused", 2)
        assert "34 too many" in ran.data["reasons"][0]
        assert "does not answer" not in ran.err


def test_terms_beyond_the_programmes_end_are_refused_until_the_end_is_moved(world: World, api: Api) -> None:
    path = world.root / "Pulumi.yaml"
    text = path.read_text(encoding="utf-8")
    assert '"2026-07-01T00:00+09:00"' in text
    path.write_text(text.replace("2026-07-01T00:00", "2026-06-30T00:00"), encoding="utf-8")
    planned = world.run("plan", "--json", "--provider", "kt-cloud")
    assert (planned.code, len(planned.data["refused"])) == (4, 6)
    assert planned.data["refused"][0].startswith("kt-cloud: Namespace gpu-hpc-2026-1-002: its term ends at 2026-07-01")
    applied = world.run("up", "--yes", "--json", "--provider", "kt-cloud")
    assert (applied.code, applied.data["reasons"]) == (4, planned.data["refused"])
    assert "refused, nothing was changed" in applied.err
    path.write_text(text, encoding="utf-8")
    assert world.run("plan", "--json", "--provider", "kt-cloud").data["refused"] == []


# ---- status


def test_status_adds_up_the_quotas(world: World, full: Api) -> None:
    ran = world.run("status", "--json")
    pools = {f"{pool['provider']} {pool['model']}": pool for pool in ran.data["pools"]}
    assert (ran.code, ran.data["failed"]) == (0, {})
    samsung, kt = pools["samsung-sds H100"], pools["kt-cloud H200"]
    assert (samsung["allocated"], samsung["free"], samsung["h100"]["free"]) == (200, 0, 0)
    assert (kt["capacity"], kt["allocated"], kt["free"], kt["used"], kt["over"]) == (400, 223, 177, 0, 0)
    assert pools["elice-cloud A100"]["h100"] == {"capacity": 20, "allocated": 0, "free": 20}
    table = world.run("status", "--provider", "kt-cloud")
    assert (table.code, len(table.out.splitlines())) == (0, 2)
    assert table.out.splitlines()[1].split()[:2] == ["kt-cloud", "H200"]


# ---- the real Pulumi


def real(world: World) -> World:
    """Return the project with the installed toolchain instead of the script, and a backend of its own."""
    found: Sequence[toolchain.Found | None] = [
        toolchain.locate(name, toolchain.Settings.load()) for name in toolchain.CLI_TOOLS
    ]
    assert None not in found, f"{', '.join(CLI_TOOLS)}: run `gpuprov toolchain install`"
    state = world.root.parent / "state"
    state.mkdir()
    path = toolchain.Installed(tool for tool in found if tool is not None).path_for_hand()
    return World(
        world.root,
        {name: value for name, value in os.environ.items() if name in ("HOME", "XDG_CACHE_HOME")}
        | {
            "PATH": os.pathsep.join([path, "/usr/bin", "/bin"]),
            "KUBECONFIG": world.environment["KUBECONFIG"],
            "PULUMI_BACKEND_URL": f"file://{state}",
            "PULUMI_CONFIG_PASSPHRASE": "",
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
@pytest.mark.parametrize("command", READING[:2], ids=lambda command: command[0])
def test_with_the_real_pulumi_a_closed_port_is_told(closed: World, command: tuple[str, ...]) -> None:
    ran = real(closed).run(*command, "--json")
    assert (ran.code, ran.data["failed"].keys()) == (5, set(PROVIDERS))


# ---- instants that are still to come


def test_an_award_that_will_be_forfeited_can_be_forfeited_now(closed: World) -> None:
    command = ("forfeit", "HPC-2026-1-002", "--reason", "x", "--yes")
    assert closed.run(*command, at=JULY.replace("07-01", "06-01")).code == 5
    assert closed.run(*command, at=MARCH).code == 5
    last = json.loads(closed.ledger.read_text().splitlines()[-1])
    assert last["at"] == MARCH


# ---- set-up and credentials


def test_setup_names_the_administrators_context_where_it_is_not_there(closed: World) -> None:
    ran = closed.run("setup", "--yes", "--json")
    assert (ran.code, ran.data["providers"], ran.data["failed"].keys()) == (5, [], set(PROVIDERS))
    for provider, message in ran.data["failed"].items():
        assert message.startswith(f"{provider}: no usable context '{provider}-admin' in the kubeconfig")
        assert f"{provider} failed: no usable context" in ran.err


def test_setup_without_yes_and_terminal_changes_nothing(world: World) -> None:
    ran = world.run("setup")
    assert (ran.code, "give --yes" in ran.err) == (2, True)


def test_setup_without_the_chart_says_what_is_missing(world: World) -> None:
    shutil.rmtree(world.root / "charts")
    ran = world.run("setup", "--yes")
    assert (ran.code, "gpu-cluster there is no such chart; copy" in ran.err) == (1, True)


def test_nothing_is_granted_where_the_chart_is_missing(world: World, api: Api) -> None:
    api.bare = {"kt-cloud"}
    ran = world.run("plan", "--json")
    assert ran.code == 4
    (reason,) = ran.data["refused"]
    assert reason.startswith("kt-cloud: the cluster lacks ValidatingAdmissionPolicyBinding gpuprov-gpu,")
    assert world.run("up", "--yes").code == 4
    assert world.run("plan", "--provider", "samsung-sds", "--exit-code").code == 3


def test_a_kubeconfig_is_for_an_award_that_has_gpus(closed: World) -> None:
    ran = closed.run("kubeconfig", "HPC-0000-0-000")
    assert (ran.code, "'HPC-0000-0-000': is in none of" in ran.err) == (1, True)
    ran = closed.run("kubeconfig", "HPC-2026-1-002", at=JULY)
    assert (ran.code, "has no GPUs (term ended at" in ran.err) == (1, True)
    assert closed.run("kubeconfig", "HPC-2026-1-002").code == 5
    assert not list(closed.root.glob("*.kubeconfig"))
