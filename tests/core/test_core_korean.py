"""What the core tells people is all in Korean once it is shown so, in every kind of situation."""

import re
from datetime import date, timedelta

import pytest
from loan import LOAN, WRITTEN, changed
from plans import CLUSTERS, KT, SDS, edited, only, plan
from pydantic import ValidationError
from rule_objects import FIRST, NAMES, SECOND, annotated, bounds, by_kind, first, spec, written
from strategies import (
    JANUARY,
    JULY,
    MARCH,
    TERMS,
    award,
    cluster,
    desired,
    excesses,
    extended,
    forfeited,
    histories,
    history,
    late_extensions,
    live,
    reduced,
    seen,
    tenant,
    unlisted,
)

from gpuprov import i18n
from gpuprov.core import capacity, guard
from gpuprov.core.award import Status, quantity_breaches, term_breaches
from gpuprov.core.cluster import ProviderCluster
from gpuprov.core.decisions import forfeit, reduce
from gpuprov.core.guard import Confirmed
from gpuprov.core.ledger import lost, mark
from gpuprov.core.lifecycle import AwardState, edges
from gpuprov.core.plan import Loss, Op, make_plan
from gpuprov.core.pods import why_not_ended
from gpuprov.core.programme import Programme
from gpuprov.core.rules import violations
from gpuprov.core.suppliers import departed, shared_clusters
from gpuprov.core.tenant import absence, absence_of_unlisted
from gpuprov.errors import InputError
from gpuprov.i18n import shown, tr
from gpuprov.preflight.dra import served
from gpuprov.preflight.facts import Unread
from gpuprov.preflight.lacking import lacking

DAY = timedelta(days=1)

KEPT = re.compile(r"`[^`]*`|'[^']*'|\(docs/[^)]*\)|--[a-z-]+")
"""What stays English: commands, values as they stand, pages of the documentation, options."""

SENTENCE = re.compile(r"(?<!\S)[(]?(?:[A-Za-z]*[a-z][,;]? ){2}[A-Za-z]*[a-z](?![\w./-])")


@pytest.fixture(autouse=True)
def _korean():
    i18n.use("ko")
    yield
    i18n.use("en")


def english(text):
    """What is left of English in a text: three words or more one after the other."""
    return SENTENCE.findall(KEPT.sub("·", text))


def assert_korean(*messages):
    assert messages
    for message in messages:
        text = shown(message)
        assert re.search("[가-힣]", text), text
        assert english(text) == [], text


def test_a_rest_of_english_is_found():
    assert english("samsung-sds: 회수; the term ends at 9")
    assert english("(device class gpu serves it)")
    assert not english("네임스페이스의 ResourceQuota gpu 없음, `gpuprov up --provider kt cloud`")
    with pytest.raises(AssertionError):
        assert_korean(f"{tr('the term ends')}")
    assert_korean(tr("the term ends"))


# Plans

HERE = live(tenant("HPC-1", 8, SDS), SDS)


def _unread(manifest):
    manifest["metadata"]["annotations"]["gpuprov.dev/term-end"] = "soon"


def _emptied(manifest):
    manifest["metadata"]["labels"] = {}
    manifest["metadata"]["annotations"] = {"gpuprov.dev/gpu-model": "H100"}


def _terminating(manifest):
    manifest["metadata"]["deletionTimestamp"] = "2026-03-01T00:00:00Z"


@pytest.mark.parametrize(
    ("awards", "happened", "at", "tenants"),
    [
        ([award()], [], MARCH, []),
        ([award(quantity=4)], [], MARCH, [HERE]),
        ([award()], [], MARCH, [edited(HERE, "Namespace", _terminating)]),
        ([award()], [], MARCH, [edited(HERE, "Namespace", _emptied)]),
        ([award()], [], MARCH, [edited(HERE, "LimitRange", lambda limits: limits.update(spec={}))]),
        ([award(quantity=32, model="A100")], [], MARCH, [HERE]),
        ([award(quantity=8, model="H200", provider="kt-cloud")], [], MARCH, [HERE]),
        ([], [], MARCH, [HERE]),
        ([award(last_day=date(2026, 2, 28))], [], MARCH, [HERE]),
        ([award()], [], JULY, [HERE]),
        ([award()], [], JULY, [edited(HERE, "Namespace", _unread)]),
        ([award(status="waitlisted")], [], MARCH, [HERE]),
        ([award(first_day=date(2026, 4, 1))], [], MARCH, [HERE]),
        ([award()], [forfeited("HPC-1", MARCH)], MARCH, [HERE]),
        ([award(status="forfeited")], [extended("HPC-1", MARCH, date(2026, 7, 31))], JULY, [HERE]),
    ],
)
def test_reasons_of_plans(awards, happened, at, tenants):
    changes = plan(awards, seen(SDS, *tenants), at=at, events=happened).changes
    assert_korean(*(reason for change in changes for reason in change.reasons))


def test_a_missing_object():
    objects = {key: manifest for key, manifest in HERE.objects.items() if key[0] != "RoleBinding"}
    assert_korean(*only([award()], type(HERE)(namespace=HERE.namespace, objects=objects)).reasons)


def test_words_of_plans_and_awards():
    assert_korean(*Op, *Loss, *AwardState, *Status)


# Awards and the ledger


@pytest.mark.parametrize(
    ("listed", "happened", "at"),
    [
        (award(), [], JANUARY - DAY),
        (award(), [], JULY),
        (award(), [extended("HPC-1", MARCH, date(2026, 4, 30))], JULY),
        (award(), [forfeited("HPC-1", MARCH)], MARCH),
        (award(status="waitlisted"), [], MARCH),
        (award(status="forfeited"), [], MARCH),
        (award(status="waitlisted"), [forfeited("HPC-1", MARCH)], MARCH),
    ],
)
def test_reasons_of_absences(listed, happened, at):
    assert_korean(absence(history(listed, happened), at).reason)


@pytest.mark.parametrize("event", [forfeited("HPC-1", MARCH), extended("HPC-1", MARCH, date(2026, 4, 30))])
def test_reasons_of_absences_that_the_ledger_alone_knows(event):
    (gone,) = unlisted((), [event])
    assert_korean(absence_of_unlisted(gone, JULY).reason)


def test_what_comes_next():
    events = [reduced("HPC-1", MARCH, 4), extended("HPC-1", MARCH + DAY, date(2026, 7, 31))]
    for happened in (events, [forfeited("HPC-1", MARCH)]):
        listed = history(award(accept_by=date(2026, 1, 31)), happened)
        assert_korean(*(edge.what for edge in edges(listed, happened, JANUARY - DAY)))


@pytest.mark.parametrize(
    "fields",
    [
        {"track": "rack", "applied": 9, "quantity": 9},
        {"track": "pairs", "applied": 3, "quantity": 3},
        {"track": "open", "applied": 2, "quantity": 2},
        {"track": "small", "applied": 17, "quantity": 17},
        {"track": "small", "applied": 4, "quantity": 5},
        {"track": "small", "model": "OLD", "applied": 3, "quantity": 4},
        {"track": "npu", "model": "NPU", "applied": 8, "quantity": 4},
        {"track": "small", "model": "NPU", "applied": 8, "quantity": 8},
    ],
)
def test_breaches_of_quantities(fields):
    found = list(quantity_breaches(**({"model": "B200", "programme": LOAN} | fields)))
    assert_korean(*(text for breach in found for text in (breach.message, breach.remedy)))


def test_breaches_of_days():
    found = list(term_breaches(date(2026, 7, 1), date(2026, 6, 30), "spring", LOAN))
    assert_korean(*(text for breach in found for text in (breach.message, breach.remedy)))


def ours(error):
    """What our validators say, without what pydantic says itself."""
    contexts = [detail["ctx"] for detail in error.errors() if "message" in detail.get("ctx", {})]
    return [context[name] for context in contexts for name in ("message", "remedy") if name in context]


WRONG_PROGRAMMES = [
    changed(("timeZone",), "Seoul"),
    changed(("end",), 7),
    changed(("accelerators", 0, "perReference"), 0),
    changed(("reference",), "H100"),
    changed(("reference",), "GB"),
    changed(("accelerators", 3, "name"), "GB"),
    changed(("tracks", 1, "least"), 9),
    changed(("tracks", 3, "most"), 2),
    changed(("tracks", 1, "most"), 7),
    changed(("tracks", 0, "countedIn"), "GB"),
    changed(("tracks", 4, "countedIn"), "none"),
    changed(("calls", 0, "lastDay"), "2026-02-01"),
    changed(("calls", 0, "lastDay"), "2027-02-01"),
    changed(("statuses",), {"selected": ["yes"], "waitlisted": ["YES"]}),
    {name: value for name, value in WRITTEN.items() if name != "reference"},
]


@pytest.mark.parametrize("written", WRONG_PROGRAMMES)
def test_what_a_programme_cannot_say(written):
    with pytest.raises(ValidationError) as caught:
        Programme.model_validate(written)
    assert_korean(*ours(caught.value))


@pytest.mark.parametrize(
    "pools",
    [
        [{"model": "H100", "capacity": "many", "nodeLabel": {"a": "b"}}],
        [{"model": "H100", "capacity": [{"gpus": 8, "from": "March"}], "nodeLabel": {"a": "b"}}],
        [{"model": "H100", "capacity": [{"gpus": 8, "from": "2026-03-01"}], "nodeLabel": {"a": "b"}}],
        [{"model": "H100", "capacity": [{"gpus": 8}, {"gpus": 4}], "nodeLabel": {"a": "b"}}],
        [{"model": "none", "capacity": 8, "nodeLabel": {"a": "b"}}],
        [{"model": "H100", "capacity": 8, "nodeLabel": {"a": "b"}}] * 2,
    ],
)
def test_what_a_stack_cannot_say(pools):
    written = {"provider": "kt-cloud", "context": "kt", "pools": pools}
    with pytest.raises(ValidationError) as caught:
        ProviderCluster.model_validate(written, context=TERMS)
    assert_korean(*ours(caught.value))


def test_a_ledger_that_lost_events_and_extensions_that_came_too_late():
    applied = mark([forfeited("HPC-1", MARCH)])
    assert_korean(lost([], applied), lost([forfeited("HPC-2", MARCH)], applied))
    for happened in (
        [extended("HPC-1", JULY, date(2026, 7, 31))],
        [forfeited("HPC-1", MARCH), extended("HPC-1", MARCH + DAY, date(2026, 7, 31))],
    ):
        assert_korean(*(text for _, text in late_extensions([award()], happened)))


WHO = {"by": "김", "reason": "포기 신청", "recorded": MARCH}


@pytest.mark.parametrize(
    ("listed", "happened", "award_id", "gpus", "at"),
    [
        (award(), [], "HPC-2", 4, MARCH),
        (award(), [], "none", 4, MARCH),
        (award(), [], "HPC-1", 9, MARCH),
        (award(), [], "HPC-1", 4, JULY),
        (award(), [forfeited("HPC-1", MARCH)], "HPC-1", 4, MARCH),
        (award(status="waitlisted"), [], "HPC-1", 4, MARCH),
    ],
)
def test_what_cannot_be_reduced(listed, happened, award_id, gpus, at):
    with pytest.raises(InputError) as caught:
        reduce(histories([listed], happened), award_id, gpus, at=at, **WHO)
    assert_korean(caught.value.message_text)


def test_what_is_so_already():
    gone = histories([award()], [forfeited("HPC-1", MARCH)])
    assert_korean(*forfeit(gone, ["HPC-1"], at=MARCH, **WHO).notes)
    assert_korean(*reduce(histories([award()], []), "HPC-1", 8, at=MARCH, **WHO).notes)


# Capacity, rules, the guard


def test_what_exceeds_capacity():
    awards = [award(f"HPC-{number}", 8) for number in range(3)]
    parts = [part for told in histories(awards, []) for part in told.allocations]
    found = excesses(parts, [cluster("samsung-sds", H100=8)])
    assert_korean(*capacity.lines(found * (capacity.MOST_LINES + 1)))


SAME = {"podSelector": {}}
BROKEN = [
    *(
        lambda objects, name=name: objects.remove(first(objects, name))
        for name in ("Namespace", *NAMES.values())
        if name != "welcome"
    ),
    *(
        lambda objects, change=change: change(by_kind(objects))
        for change in (
            annotated(gpuprov_award_id="", gpuprov_gpu_model="A100", gpuprov_gpus="99"),
            annotated(gpuprov_gpus="4", gpuprov_term_end="soon"),
            annotated(gpuprov_term_start="2026-09-01T00:00+09:00", gpuprov_term_end="2026-08-01T00:00+09:00"),
            spec("LimitRange", limits=[]),
            spec("NetworkPolicy", policyTypes=["Ingress"], ingress=[{}]),
            spec("ResourceQuota", scopes=["BestEffort"], hard={"requests.nvidia.com/gpu": "99"}),
            spec("ResourceQuota", hard={"requests.amd.com/gpu": "8"}),
            lambda found: found["RoleBinding"].update(roleRef={"kind": "ClusterRole", "name": "admin"}, subjects=[]),
            lambda found: found["RoleBinding"]["subjects"].append({"kind": "User", "name": "kim"}),
            lambda found: found["LimitRange"]["metadata"].update(name="other", labels={}),
            lambda found: found["Namespace"]["metadata"]["labels"].update(
                {"pod-security.kubernetes.io/enforce-version": "v1.20", "pod-security.kubernetes.io/audit": None}
            ),
            lambda found: found["Namespace"].update(kind="ConfigMap"),
            lambda found: found["Namespace"]["metadata"].update(name="other"),
        )
    ),
]


@pytest.mark.parametrize("change", BROKEN)
def test_violations_of_rules(change):
    objects = written(FIRST, SECOND)
    change(objects)
    found = violations(objects, bounds(FIRST, SECOND))
    assert_korean(*(violation.text for violation in found), *(violation.sentence for violation in found))


def refusals(awards, *observed, clusters=CLUSTERS, known=None, end=JULY, confirmed=None, at=MARCH):
    state = desired(awards, list(clusters.values()), at)
    made = make_plan(state, observed, clusters)
    return guard.reasons(made, state, observed, clusters, known or {}, confirmed or Confirmed(), end)


@pytest.mark.parametrize("uid", [None, "uid-2"])
def test_a_wrong_cluster(uid):
    pinned = cluster("samsung-sds", uid=uid)
    assert_korean(*refusals([], seen(pinned), clusters={"samsung-sds": pinned}, known={"samsung-sds": "uid-2"}))


def test_a_cluster_that_is_not_set_up():
    classes = ({"metadata": {"name": "gpu.nvidia.com"}, "spec": {"extendedResourceName": "nvidia.com/gpu"}},)
    wide = {"rules": [{"apiGroups": ["*"], "resources": ["pods"], "verbs": ["get"]}]}
    forbidden = Unread("403")
    policy = {"metadata": {"name": "gpuprov-gpu"}, "spec": {"failurePolicy": "Ignore"}}
    binding = {"metadata": {"name": "gpuprov-gpu"}, "spec": {"policyName": "other"}}
    for missing in (
        lacking((), (), None, ()),
        lacking((policy,), (binding,), wide, ()),
        lacking((policy,), (), {"aggregationRule": {}}, ()),
        lacking(forbidden, forbidden, forbidden, forbidden),
    ):
        assert_korean(*refusals([award()], seen(SDS, missing=missing, unfit=served(SDS, classes))))


def test_too_many_gpus_and_terms_that_are_too_long():
    full = [award(f"HPC-{number}", 104) for number in range(2)]
    assert_korean(*refusals(full, seen(SDS)))
    assert_korean(*refusals([award(f"HPC-{number}") for number in range(9)], seen(SDS), end=MARCH + DAY))


def test_losses_in_masses():
    tenants = [live(tenant(f"HPC-{number}", 8, SDS), SDS) for number in range(8)]
    assert_korean(*refusals([], seen(SDS, *tenants)))
    assert_korean(*refusals([award(f"HPC-{number}", 4) for number in range(8)], seen(SDS, *tenants)))


def test_what_pulumi_by_hand_may_not_do():
    state = desired([award(quantity=200)], [SDS, KT])
    gone = live(tenant("HPC-2", 8, SDS), SDS, used=8)
    ending = edited(HERE, "Namespace", _terminating)
    for tenants in ([gone], [ending], [gone, ending]):
        observed = seen(SDS, *tenants)
        made = make_plan(state, [observed], CLUSTERS)
        assert_korean(*guard.by_hand(made, state, observed, SDS))
    halved = desired([award("HPC-1", 104), award("HPC-2", 96)], [SDS, KT])
    observed = seen(SDS, live(tenant("HPC-1", 200, SDS), SDS))
    (refusal,) = guard.by_hand(make_plan(halved, [observed], CLUSTERS), halved, observed, SDS)
    assert_korean(refusal)


def test_suppliers():
    assert_korean(*departed(["a", "b"], ["a"], []), *shared_clusters({"a": "uid", "b": "uid", "c": "uid"}))


def test_pods_that_do_not_end():
    for metadata in ({"name": "p"}, {"name": "p", "finalizers": ["a/b"]}):
        for node in ({}, {"nodeName": "n"}):
            assert_korean(why_not_ended({"metadata": metadata, "spec": node}))
