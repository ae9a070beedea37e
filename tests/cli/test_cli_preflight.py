"""`gpuprov preflight` against API servers that answer from a table: exit codes, JSON, and one that is not there."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cli_world import PROVIDERS, World
from golden_chart import chart
from loopback import JsonHandler, refusal
from projects import said_besides

PRODUCTS = {"H100": "NVIDIA-H100-80GB-HBM3", "A100": "NVIDIA-A100-SXM4-80GB", "H200": "NVIDIA-H200"}
SERVERS = {"elice-cloud": {"H100": 50, "A100": 10}, "kt-cloud": {"H200": 50}, "samsung-sds": {"H100": 25}}
RBAC = "apis/rbac.authorization.k8s.io/v1"
ADMISSION = "apis/admissionregistration.k8s.io/v1"


class Server:
    """Answers for all providers as a fit cluster with the chart would; ``writes`` are POSTs that were no dry run."""

    def __init__(self) -> None:
        self.writes: list[str] = []
        self.unknown: set[str] = set()
        self.fewer: set[str] = set()

    def get(self, provider: str, path: str) -> tuple[int, dict[str, Any]]:
        if path == "version":
            return 200, {"major": "1", "minor": "34", "gitVersion": "v1.34.2"}
        if path == "api/v1/namespaces/kube-system":
            return 200, {"metadata": {"name": "kube-system", "uid": f"uid-of-{provider}"}}
        if path == f"{RBAC}/clusterroles/gpuprov-tenant":
            return 200, chart("ClusterRole")["gpuprov-tenant"]
        if path == "apis/resource.k8s.io":
            return refusal(404, "NotFound")
        items = {
            "api/v1/nodes": list(self.nodes(provider)),
            f"{ADMISSION}/validatingadmissionpolicies": list(chart("ValidatingAdmissionPolicy").values()),
            f"{ADMISSION}/validatingadmissionpolicybindings": list(chart("ValidatingAdmissionPolicyBinding").values()),
        }
        return 200, {"kind": "List", "apiVersion": "v1", "items": items.get(path, [])}

    def nodes(self, provider: str) -> Iterator[dict[str, Any]]:
        for model, number in SERVERS[provider].items():
            for index in range(number - (provider in self.fewer)):
                resources = {"nvidia.com/gpu": "8"}
                yield {
                    "metadata": {
                        "name": f"{model.lower()}-{index}",
                        "labels": {"nvidia.com/gpu.product": PRODUCTS[model]},
                    },
                    "spec": {},
                    "status": {"allocatable": resources, "conditions": [{"type": "Ready", "status": "True"}]},
                }

    def post(self, path: str, query: dict[str, list[str]], body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path.endswith("selfsubjectreviews"):
            return 201, {"status": {"userInfo": {"username": "gpuprov"}}}
        if path.endswith("selfsubjectaccessreviews"):
            (asked,) = body["spec"].values()
            return 201, {"status": {"allowed": asked["verb"] in ("get", "list", "watch", "create", "patch", "delete")}}
        if query.get("dryRun") != ["All"]:
            self.writes.append(path)
        return 422, {"message": "metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value"}


def answering(answers: Server) -> type[JsonHandler]:
    """Return the handler that answers what ``answers`` says."""

    class Handler(JsonHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            url = urlsplit(self.path)
            provider, _, path = url.path.strip("/").partition("/")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if provider in answers.unknown:
                self.reply(401, {"message": "Unauthorized"})
            elif self.command == "GET":
                self.reply(*answers.get(provider, path))
            else:
                self.reply(*answers.post(path, parse_qs(url.query), json.loads(body)))

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer  # noqa: N815 (the base class's names)

    return Handler


@pytest.fixture
def server(world: World) -> Iterator[Server]:
    """API servers for all three providers, whose stacks pin what they are."""
    answers = Server()
    with world.served_by(answering(answers)):
        yield answers
    assert answers.writes == []


def findings(data: dict[str, Any], provider: str, check: str) -> list[tuple[str, str]]:
    return [
        (finding["result"], finding["seen"])
        for finding in data["findings"]
        if (finding["provider"], finding["check"]) == (provider, check)
    ]


def allow_everything(server: Server) -> None:
    """Answer every question for a right with yes: also what is not needed, which is a warning."""
    refusing = server.post

    def post(path: str, query: dict[str, list[str]], body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path.endswith("selfsubjectaccessreviews"):
            return 201, {"status": {"allowed": True}}
        return refusing(path, query, body)

    server.post = post  # type: ignore[method-assign]


def test_clusters_without_a_failing_line_are_0(world: World, server: Server) -> None:
    allow_everything(server)
    ran = world.run("preflight", "--json")
    assert (ran.code, said_besides(ran.err), ran.data.keys()) == (0, "", {"findings", "failed"})
    assert {finding["provider"] for finding in ran.data["findings"]} == set(PROVIDERS)
    assert {finding["result"] for finding in ran.data["findings"]} == {"ok", "warning"}
    assert findings(ran.data, "samsung-sds", "capacity") == [
        ("ok", "H100: 200 nvidia.com/gpu on 25 nodes; configured 200, awarded at most 200")
    ]


def test_a_failing_line_is_1(world: World, server: Server) -> None:
    allow_everything(server)
    server.fewer.add("kt-cloud")
    ran = world.run("preflight", "--json")
    bad = [finding for finding in ran.data["findings"] if finding["result"] == "failed"]
    assert (ran.code, [(finding["provider"], finding["check"]) for finding in bad]) == (1, [("kt-cloud", "capacity")])
    assert bad[0]["seen"].startswith("H200: 392 nvidia.com/gpu on 49 nodes; configured 400, awarded at most 223")
    text = world.run("preflight", "--provider", "kt-cloud")
    assert (text.code, said_besides(text.err)) == (1, "")
    assert any(row.split()[:3] == ["kt-cloud", "capacity", "failed"] for row in text.out.splitlines())
    assert world.run("preflight", "--provider", "samsung-sds").code == 0


def test_the_summary_comes_first_and_quiet_leaves_only_what_failed(world: World, server: Server) -> None:
    allow_everything(server)
    server.fewer.add("kt-cloud")
    ran = world.run("preflight", "--quiet")
    summary, failing = ran.out.split("\n\n")
    assert [" ".join(line.split()) for line in summary.splitlines()] == [
        "provider result",
        "elice-cloud fit, 5 warnings not shown",
        "kt-cloud 1 to fix, 5 warnings not shown",
        "samsung-sds fit, 5 warnings not shown",
    ]
    rows = [line.split()[:3] for line in failing.splitlines() if line.startswith(PROVIDERS)]
    assert rows == [["kt-cloud", "capacity", "failed"]]
    summary, everything = world.run("preflight", "--provider", "kt-cloud").out.split("\n\n")
    assert summary.endswith("1 to fix, 5 warnings")
    assert {"ok", "warning", "failed"} <= set(everything.split())


def test_a_cluster_without_the_chart_is_one_line(world: World, server: Server) -> None:
    """Nothing of it can be seen either: the rights to see it are the chart's."""
    answer = server.get

    def bare(provider: str, path: str) -> tuple[int, dict[str, Any]]:
        forbidden = "nodes" in path or "clusterroles" in path or ADMISSION in path or "resource.k8s.io" in path
        return refusal(403, "Forbidden") if forbidden and provider == "kt-cloud" else answer(provider, path)

    server.get = bare  # type: ignore[method-assign]
    ran = world.run("preflight", "--provider", "kt-cloud")
    assert ran.code == 1
    assert " ".join(" ".join(ran.out.splitlines()[1:]).split()) == (
        "kt-cloud not set up, or this identity is not the chart's: run `gpuprov setup`, then rerun the command; "
        "if that was done, name this identity in the chart's value `operator.subjects` (`chartValues` of the stack) "
        "and run it again"
    )
    data = world.run("preflight", "--provider", "kt-cloud", "--json").data
    assert sum(finding["result"] == "failed" for finding in data["findings"]) > 5


def test_the_step_that_preflight_advises_mends_it_and_refuses_nothing_of_the_past(world: World, server: Server) -> None:
    """A server breaks on 1 April. January to March had its GPUs, and one award of 32 is given back in time."""
    allow_everything(server)
    server.fewer.add("samsung-sds")
    april = "2026-04-01T00:00+09:00"
    event = {"award": "HPC-2026-1-018", "at": april, "by": "kim", "reason": "broken server", "recorded": april}
    world.ledger.write_text(json.dumps(event | {"event": "forfeited"}) + "\n", encoding="utf-8")
    broken = world.run("preflight", "--provider", "samsung-sds", "--json", at=april)
    (bad,) = [finding for finding in broken.data["findings"] if finding["result"] == "failed"]
    assert "192 nvidia.com/gpu on 24 nodes; configured 200, awarded at most 168" in bad["seen"]
    step = bad["remedy"].split("`")[1]
    path = world.root / "stacks" / "Pulumi.samsung-sds.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("capacity: 200", f"capacity: [{{gpus: 200}}, {step}]"), encoding="utf-8")
    assert world.run("preflight", "--provider", "samsung-sds", at=april).code == 0
    for at in ("2026-02-01", april):
        valid = world.run("validate", at=at)
        assert (valid.code, said_besides(valid.err)) == (0, "")


def test_the_rights_that_are_missing_are_named(world: World, server: Server) -> None:
    ran = world.run("preflight", "--json", "--provider", "kt-cloud")
    assert ran.code == 1
    bad = [seen for result, seen in findings(ran.data, "kt-cloud", "rights") if result == "failed"]
    assert bad == [
        "gpuprov may not bind clusterroles.rbac.authorization.k8s.io gpuprov-tenant",
        "gpuprov may not update leases.coordination.k8s.io gpuprov",
        "gpuprov may not deletecollection pods",
    ]


def test_a_stack_that_was_applied_to_another_cluster(world: World, server: Server) -> None:
    allow_everything(server)
    for provider, uid in (("kt-cloud", "uid-of-kt-cloud"), ("samsung-sds", "uid-of-old")):
        world.outputs(provider, {"clusterUid": uid, "context": provider, "tenants": {}})
    ran = world.run("preflight", "--json")
    assert ran.code == 1
    (wrong, unpinned) = findings(ran.data, "samsung-sds", "identity")
    assert wrong == ("failed", "kube-system has the UID uid-of-samsung-sds, the stack was last applied to uid-of-old")
    assert unpinned[0] == "warning"
    assert [result for result, _ in findings(ran.data, "kt-cloud", "identity")] == ["warning"]


def test_without_pulumi_the_rest_is_checked(world: World, server: Server) -> None:
    allow_everything(server)
    (Path(world.environment["PATH"].split(":")[0]) / "pulumi").unlink()
    pin(world, "kt-cloud", "uid-of-kt-cloud")
    ran = world.run("preflight", "--json", "--provider", "kt-cloud")
    assert ran.code == 0
    ((result, seen),) = findings(ran.data, "kt-cloud", "identity")
    assert result == "ok"
    assert "was not read (pulumi, " in seen


def pin(world: World, provider: str, uid: str) -> None:
    path = world.root / "stacks" / f"Pulumi.{provider}.yaml"
    path.write_text(
        path.read_text(encoding="utf-8").replace("    pools:", f"    uid: {uid}\n    pools:"), encoding="utf-8"
    )


# ---- clusters that cannot be reached


def test_clusters_that_do_not_answer_are_5(closed: World) -> None:
    ran = closed.run("preflight", "--json")
    assert (ran.code, ran.data["findings"], ran.data["failed"].keys()) == (5, [], set(PROVIDERS))
    for provider, message in ran.data["failed"].items():
        assert message.startswith(f"{provider}: the API server of context '{provider}' does not answer (")
        assert f"not checked: {message}" in ran.err


def test_one_that_does_not_know_the_identity_does_not_stop_the_others(world: World, server: Server) -> None:
    allow_everything(server)
    server.unknown.add("kt-cloud")
    server.fewer.add("samsung-sds")
    ran = world.run("preflight", "--json")
    assert (ran.code, ran.data["failed"].keys()) == (5, {"kt-cloud"})
    assert "does not know the identity of context 'kt-cloud' (Unauthorized); renew" in ran.data["failed"]["kt-cloud"]
    assert {finding["provider"] for finding in ran.data["findings"]} == {"elice-cloud", "samsung-sds"}
    assert any(finding["result"] == "failed" for finding in ran.data["findings"])


def test_without_a_kubeconfig_the_way_out_is_named(world: World) -> None:
    ran = world.run("preflight", "--provider", "kt-cloud")
    assert (ran.code, ran.out) == (5, "")
    assert "set KUBECONFIG to the file that has it" in ran.err


def test_an_unknown_provider_and_a_broken_list_are_1(world: World) -> None:
    assert "is not a provider of this project" in world.run("preflight", "--provider", "nobody").err
    (world.root / "examples" / "awards-2026-h1.csv").write_text("nonsense\n1\n")
    ran = world.run("preflight", "--json")
    assert (ran.code, ran.data["error"]) == (1, "InputError")
