"""The record of a set-up: what it keeps of Pulumi's state, and what counts as a difference."""

from copy import deepcopy

import pytest
from golden_chart import chart
from hypothesis import given
from hypothesis import strategies as st

from gpuprov.preflight.installed import COLLECTIONS, Record, differences, digest, name_of, read, recorded


def objects():
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "gpuprov-system", "uid": "u"}},
        *(found for kind in COLLECTIONS for found in chart(kind).values()),
    ]


def deployment(live, **extra):
    kinds = {"Namespace": "kubernetes:core/v1:Namespace"}
    resources = [
        {"type": "pulumi:pulumi:Stack", "custom": False, "outputs": {"clusterUid": "u"}},
        {"type": "pulumi:providers:kubernetes", "custom": True, "outputs": {"context": "kt"}},
        {"type": "kubernetes:helm.sh/v4:Chart", "custom": False, "outputs": {}},
        *(
            {
                "type": kinds.get(found["kind"], f"kubernetes:x/v1:{found['kind']}"),
                "custom": True,
                "outputs": {**found, "__inputs": {}, "__fieldManager": "gpuprov-setup"},
            }
            for found in live
        ),
    ]
    return {"version": 3, "deployment": {"resources": resources, **extra}}


def test_a_cluster_as_it_was_left_has_no_difference():
    record = recorded(deployment(objects()), "made of this")
    assert record is not None
    assert set(record.objects) == {name_of(found) for found in objects()}
    assert differences(read(record.to_text()), "made of this", objects()) == ()


@pytest.mark.parametrize("path", [("metadata", "labels"), ("metadata", "annotations"), ("metadata", "uid")])
def test_metadata_that_people_write_counts(path):
    for changed in objects():
        before = digest(changed)
        changed[path[0]][path[1]] = {"by": "hand"}
        assert digest(changed) != before


LEAVES = st.sampled_from([0, 1, "x", True, "Deny"])


@given(data=st.data())
def test_any_leaf_that_changes_is_found(data):
    """Walk to a leaf of some object and write another value there: the digest must differ."""
    found = data.draw(st.sampled_from([found for found in objects() if found["kind"] != "Namespace"]))
    changed = deepcopy(found)
    place, key = changed, data.draw(st.sampled_from(sorted(set(changed) - {"metadata", "kind", "apiVersion"})))
    while isinstance(place[key], (dict, list)) and place[key]:
        place = place[key]
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
    place[key] = [data.draw(LEAVES.filter(lambda value: value != place[key] or type(value) is not type(place[key])))]
    assert digest(changed) != digest(found)


def test_the_servers_bookkeeping_and_the_status_do_not_count():
    (found, *_) = chart("ValidatingAdmissionPolicy").values()
    noted = deepcopy(found)
    noted["status"] = {"observedGeneration": 2}
    noted["metadata"] |= {"resourceVersion": "9", "generation": 2, "managedFields": [{}], "creationTimestamp": "now"}
    assert digest(noted) == digest(found)
    noted["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert digest(noted) != digest(found)


def test_the_states_numbers_and_nulls_are_the_clusters():
    live = {"kind": "PriorityClass", "metadata": {"name": "a"}, "value": 1000, "rules": [{"a": 1}]}
    state = {"kind": "PriorityClass", "metadata": {"name": "a"}, "value": 1000.0, "rules": [{"a": 1, "b": None}]}
    assert digest(live) == digest(state)
    assert digest(live) != digest({**live, "value": 1000.5})


def test_an_object_that_is_missing_changed_or_new_is_named():
    record = recorded(deployment(objects()), "s")
    live = objects()
    gone = live.pop(1)
    live[1] = {**live[1], "rules": []}
    live.append({"kind": "Role", "metadata": {"name": "more", "namespace": "gpuprov-system"}})
    assert set(differences(record, "s", live)) == {
        f"{name_of(gone)} is missing",
        f"{name_of(live[1])} was changed",
        "Role gpuprov-system/more is not part of it",
    }


def test_another_source_is_a_difference_by_itself():
    record = recorded(deployment(objects()), "s")
    (reason,) = differences(record, "t", objects())
    assert reason.startswith("the chart, its values")


def test_what_is_unfinished_or_cannot_be_read_again_leaves_no_record():
    live = objects()
    assert recorded(deployment([]), "s") is None
    assert recorded({}, "s") is None
    assert recorded(deployment(live, pending_operations=[{"type": "creating"}]), "s") is None
    assert recorded(deployment([*live, {"kind": "Secret", "metadata": {"name": "x"}}]), "s") is None
    left_over = deployment(live)
    left_over["deployment"]["resources"][-1]["delete"] = True
    assert recorded(left_over, "s") is None


@pytest.mark.parametrize("text", [None, "", "null", "[]", "{", '{"source": "s"}', '{"source": "s", "objects": [1]}'])
def test_a_record_that_cannot_be_read_is_none(text):
    assert read(text) is None
    assert differences(read(text), "s", objects()) == ("no record of what the last set-up left",)


@given(st.dictionaries(st.text(), st.text()), st.text())
def test_a_record_is_read_as_it_was_written(names, source):
    record = Record(source=source, objects=names)
    assert read(record.to_text()) == record
