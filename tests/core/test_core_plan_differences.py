"""The comparison of one manifest with one live object."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plans import SDS
from strategies import tenant

from gpuprov.core.manifests import tenant_manifests
from gpuprov.core.plan import differences

LEAVES = st.text(max_size=4) | st.integers(-9, 9) | st.booleans()
KEYS = st.text("abc", min_size=1, max_size=3)
TREES = st.dictionaries(
    KEYS,
    st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)),
    max_size=4,
)


def leaves(tree, path=()):
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in items:
        if isinstance(value, dict | list):
            yield from leaves(value, (*path, key))
        else:
            yield (*path, key)


def at_path(tree, path):
    for key in path:
        tree = tree[key]
    return tree


def written(path):
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")


def with_extras(tree, extra):
    """The tree with a key beside its own that the manifest knows nothing of, as a server adds `status`."""
    return deepcopy(tree) | {"extra": extra}


@given(TREES, LEAVES | TREES)
def test_what_a_server_adds_is_no_difference(tree, extra):
    assert list(differences(tree, tree)) == []
    assert list(differences(tree, with_extras(tree, extra))) == []


@given(TREES.filter(lambda tree: any(leaves(tree))), st.data())
def test_a_changed_leaf_is_found_exactly(tree, data):
    path = data.draw(st.sampled_from(list(leaves(tree))))
    should = at_path(tree, path)
    other = {str: lambda old: old + "x", int: lambda old: old + 1, bool: lambda old: not old}[type(should)](should)
    observed = with_extras(tree, "x")
    at_path(observed, path[:-1])[path[-1]] = other
    assert list(differences(tree, observed)) == [(written(path), other, should)]


@pytest.mark.parametrize("extra", ["x", {}, [], 0, False])
def test_one_key_more_inside_the_rules_is_found(extra):
    """Only labels, annotations, a quota's limits and the server's own fields may be more than the manifest states."""
    should = {"metadata": {"labels": {"a": "b"}}, "spec": {"hard": {"pods": "1"}, "podSelector": {}}}
    observed = deepcopy(should)
    observed["metadata"]["labels"]["more"] = extra
    observed["spec"]["hard"]["more"] = extra
    observed["status"] = extra
    assert list(differences(should, observed)) == []
    observed["spec"]["podSelector"]["more"] = extra
    assert list(differences(should, observed)) == [("spec.podSelector.more", extra, None)]


@given(TREES.filter(lambda tree: any(leaves(tree))), st.data())
def test_a_missing_key_is_found_unless_it_was_empty(tree, data):
    path = data.draw(st.sampled_from(list(leaves(tree))))
    observed = deepcopy(tree)
    home = at_path(observed, path[:-1])
    if isinstance(home, dict):
        should = home.pop(path[-1])
        assert list(differences(tree, observed)) == ([(written(path), None, should)] if should else [])
    else:
        whole = at_path(tree, path[:-1])
        home.pop(path[-1])
        assert list(differences(tree, observed)) == [(written(path[:-1]), home, whole)]


def test_a_longer_list_differs_as_a_whole():
    assert list(differences({"subjects": [1]}, {"subjects": [1, 2]})) == [("subjects", [1, 2], [1])]
    assert list(differences({"a": {"b": "c"}}, {"a": None})) == [("a", None, {"b": "c"})]
    assert list(differences({"hard": {"pods": "0"}}, {"hard": {}})) == [("hard.pods", None, "0")]


@pytest.mark.parametrize("index", range(7))
def test_every_leaf_of_every_manifest_is_watched(index):
    desired_tenant = tenant(where=SDS)
    manifest = tenant_manifests(desired_tenant, SDS)[index]
    for path in leaves(manifest):
        observed = deepcopy(dict(manifest))
        at_path(observed, path[:-1])[path[-1]] = "otherwise"
        assert list(differences(manifest, observed)) == [(written(path), "otherwise", at_path(manifest, path))]
