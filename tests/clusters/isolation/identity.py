"""Being somebody else, for longer, or with more rights."""

from datetime import UTC, datetime

from gpuprov.kube.client import KubeApi
from gpuprov.kube.reclaim import Teardown
from gpuprov.sandbox.api import Reply
from isolation.answers import AUTHENTICATION, ESCALATION, QUOTA, RBAC, Outcome, policy, refused, works
from isolation.attempt import Act, Attempt, all_by, chart_by, role_first, try_post
from isolation.client import Client, Json
from isolation.lab import ACCOUNT
from isolation.tenant import Awardee, pod, settle
from isolation.wait import until

OBJECTS = policy("objects")
RBAC_GROUP = "rbac.authorization.k8s.io"
TEN_YEARS = 10 * 365 * 24 * 3600


def binding(role: str, subject: Json) -> Act:
    """Bind a cluster role in the own namespace."""

    def body(awardee: Awardee) -> Json:
        reference = {"apiGroup": RBAC_GROUP, "kind": "ClusterRole", "name": role}
        return {"metadata": {"name": "attempt"}, "roleRef": reference, "subjects": [subject]}

    return try_post(lambda awardee: f"{awardee.group(f'{RBAC_GROUP}/v1')}/rolebindings", body, "is bound")


def role(*rules: Json) -> Act:
    body = {"metadata": {"name": "attempt"}, "rules": list(rules)}
    return try_post(lambda awardee: f"{awardee.group(f'{RBAC_GROUP}/v1')}/roles", body, "exists")


def read_as(**headers: str) -> Act:
    """Read all namespaces' secrets in another's name."""

    def act(awardee: Awardee) -> Outcome:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        reply = awardee.api.request("GET", "/api/v1/secrets", headers=sent)
        return works(reply, "may read everybody's secrets") if reply.ok else refused(reply)

    return act


def as_neighbour(awardee: Awardee) -> Outcome:
    user = f"system:serviceaccount:{awardee.victim}:{ACCOUNT}"
    path = f"/api/v1/namespaces/{awardee.victim}/pods"
    reply = awardee.api.request("GET", path, headers={"Impersonate-User": user})
    return works(reply, "sees the other award's pods") if reply.ok else refused(reply)


def there(method: str, rest: str, body: Json | None = None) -> Act:
    """Do something in another award's namespace."""

    def act(awardee: Awardee) -> Outcome:
        reply = awardee.api.request(method, f"/api/v1/namespaces/{awardee.victim}/{rest}", body)
        return works(reply, "was done") if reply.ok else refused(reply)

    return act


def with_anothers_token(awardee: Awardee) -> Outcome:
    other = Client(awardee.lab.layout, token=awardee.lab.token(awardee.victim))
    reply = other.post(f"{awardee.core}/pods", pod("attempt", gpus=1))
    return works(reply, "spends this award's GPUs") if reply.ok else refused(reply)


def own_token(awardee: Awardee) -> Outcome:
    spec = {"expirationSeconds": TEN_YEARS}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
    reply = awardee.api.post(f"{awardee.core}/serviceaccounts/{ACCOUNT}/token", body)
    if not reply.ok:
        return refused(reply)
    end = datetime.fromisoformat(reply.body["status"]["expirationTimestamp"])
    return works(reply, f"has a token for {(end - datetime.now(UTC)).days} days")


def token_secret(awardee: Awardee) -> Outcome:
    """The controller manager writes a token without an end into such a secret."""
    about = {"name": "attempt", "annotations": {"kubernetes.io/service-account.name": ACCOUNT}}
    body = {"metadata": about, "type": "kubernetes.io/service-account-token"}
    reply = awardee.post(f"{awardee.core}/secrets", body)
    if not reply.ok:
        return refused(reply)
    until(lambda: awardee.api.read(f"{awardee.core}/secrets/attempt").get("data", {}).get("token"))
    return works(reply, "has a token without an end")


def after_forfeiture(awardee: Awardee) -> Outcome:
    """Take another award back as gpuprov does, with a pod running in it, and go on with the token of before."""
    lab = awardee.lab
    name = f"{awardee.namespace.removeprefix('gpu-').upper()}-LEAVER"
    leaver = settle(lab, lab.tenant(name), awardee.victim, mistake=awardee.mistake)
    lab.admin.must(leaver.api.post(f"{leaver.core}/pods", pod("attempt", gpus=1)))
    teardown = Teardown.on(
        lab.provider,
        api=KubeApi(lab.provider),
        timeout=60,
        progress=str,
    )
    (released,) = teardown.release([leaver.namespace])
    assert not released.stuck
    at_once = leaver.api.post(f"{leaver.core}/pods", pod("again", gpus=1))
    assert refused(at_once).by in ((QUOTA, policy("gpu")) if awardee.mistake else (RBAC,)), at_once
    teardown.delete([leaver.namespace])
    assert teardown.prove_gone([leaver.namespace]) == {}
    return refused(until(lambda: _unknown(leaver)))


def _unknown(leaver: Awardee) -> Reply | None:
    """Return the refusal of a token that is no longer known; the server remembers one for some seconds."""
    reply = leaver.api.request("GET", f"{leaver.core}/pods")
    assert not reply.ok
    return reply if reply.status == 401 else None


POD = pod("attempt", gpus=1)
EVERYTHING = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
ATTEMPTS = (
    Attempt(
        name="a RoleBinding to cluster-admin",
        gain="every right in the namespace, on its quota too",
        act=binding("cluster-admin", {"kind": "ServiceAccount", "name": ACCOUNT}),
        expected=role_first(ESCALATION, ESCALATION),
    ),
    Attempt(
        name="a RoleBinding of one's own role for everybody",
        gain="an award that is passed on",
        act=binding("gpuprov-tenant", {"apiGroup": RBAC_GROUP, "kind": "Group", "name": "system:authenticated"}),
        expected=role_first(OBJECTS),
    ),
    Attempt(
        name="a Role with every right",
        gain="every right in the namespace",
        act=role(EVERYTHING),
        expected=role_first(ESCALATION, ESCALATION),
    ),
    Attempt(
        name="a Role that may escalate and bind",
        gain="every right, in two steps",
        act=role({"apiGroups": [RBAC_GROUP], "resources": ["roles"], "verbs": ["escalate", "bind"]}),
        expected=role_first(ESCALATION, ESCALATION),
    ),
    Attempt(
        name="impersonation of the group system:masters",
        gain="every right",
        act=read_as(Impersonate_User="anybody", Impersonate_Group="system:masters"),
        expected=all_by(RBAC),
    ),
    Attempt(
        name="impersonation of gpuprov",
        gain="the right to write quotas",
        act=read_as(Impersonate_User="gpuprov", Impersonate_Group="gpuprov-operators"),
        expected=all_by(RBAC),
    ),
    Attempt(
        name="impersonation of another award's service account",
        gain="another award's namespace",
        act=as_neighbour,
        expected=all_by(RBAC),
    ),
    Attempt(
        name="another award's secrets read",
        gain="its data",
        act=there("GET", "secrets"),
        expected=all_by(RBAC),
    ),
    Attempt(
        name="a pod in another award's namespace",
        gain="its GPUs",
        act=there("POST", "pods", POD),
        expected=all_by(RBAC),
    ),
    Attempt(
        name="another award's pods deleted",
        gain="their place",
        act=there("DELETE", "pods"),
        expected=all_by(RBAC),
    ),
    Attempt(
        name="another award's token used here",
        gain="GPUs of two awards for one",
        act=with_anothers_token,
        expected=all_by(RBAC),
    ),
    Attempt(
        name="a token for another award's service account",
        gain="another award's namespace",
        act=there("POST", f"serviceaccounts/{ACCOUNT}/token", {"spec": {}}),
        expected=all_by(RBAC),
    ),
    Attempt(
        name="a token for one's own service account, for ten years",
        gain="access beyond the term",
        act=own_token,
        expected=role_first(OBJECTS),
    ),
    Attempt(
        name="a Secret of type service-account-token",
        gain="a token without an end",
        act=token_secret,
        expected=chart_by(OBJECTS),
    ),
    Attempt(
        name="the old token after forfeiture",
        gain="an award that has been taken back",
        act=after_forfeiture,
        expected=all_by(AUTHENTICATION),
        note="Refused by RBAC as soon as the role binding is gone",
    ),
    Attempt(
        name="a certificate signing request for system:masters",
        gain="every right, for as long as the certificate lasts",
        act=try_post(
            lambda awardee: "/apis/certificates.k8s.io/v1/certificatesigningrequests",
            {
                "metadata": {"name": "attempt"},
                "spec": {"request": "", "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]},
            },
            "waits to be signed",
        ),
        expected=all_by(RBAC),
    ),
)
