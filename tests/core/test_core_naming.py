"""Names of objects: valid, stable and never colliding, whatever the ministry prints as an id."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import AWARD_IDS

from gpuprov.core.naming import group, namespace, slug

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")  # RFC 1123, as the API server checks it

GOLDEN = {  # the hashes are what `sha256sum` prints
    "HPC-2026-1-001": "gpu-hpc-2026-1-001",
    "A": "gpu-a",
    "hpc-2026-1-001": "gpu-hpc-2026-1-001-xeae0a8811acf18ad",
    "과제-12": "gpu-12-x304cf83bf7005d12",
    "과제": "gpu-id-x2c81182794f85e98",
    "A_B.C": "gpu-a-b-c-xcecdcd0205fd1518",
    "A--B": "gpu-a-b-x067f9148b80543f8",
    "-A-": "gpu-a-x272f4abf306f124c",
    "A-X0123456789ABCDEF": "gpu-a-x0123456789abcdef-x7b6e7ef509376bc9",
    "Z" * 59: "gpu-" + "z" * 59,
    "Z" * 60: "gpu-" + "z" * 41 + "-x05054fecd493293f",
}


@pytest.mark.parametrize(("award_id", "name"), GOLDEN.items())
def test_names_stay_as_they_always_were(award_id, name):
    assert namespace(award_id) == name


@given(AWARD_IDS)
@example("가" * 100)
@example("-" * 100)
@example("A-" * 50)
@example("Z" * 100)
@example("İstanbul")
@example("ß" * 59)
def test_every_id_gives_a_valid_namespace_and_label_value(award_id):
    for name in (slug(award_id), namespace(award_id)):
        assert LABEL.fullmatch(name)
        assert len(name) <= 63
    assert namespace(award_id) == "gpu-" + slug(award_id)


@given(st.sets(AWARD_IDS, max_size=8))
@example({"HPC-1", "hpc-1", "Hpc-1", "HPC_1", "HPC--1", "-HPC-1", "HPC-1-", "HPC.1"})
@example({"가", "나", "id", "ID", "!", "-"})
@example({"Z" * 59, "Z" * 60, "Z" * 61, "z" * 59})
def test_different_ids_never_meet_in_one_name(ids):
    # Ids that look like the results of others, in the case in which they would pass as plain ones.
    ids |= (
        {slug(award_id).upper() for award_id in ids}
        | {slug(award_id) for award_id in ids}
        | {award_id.swapcase() for award_id in ids}
    )
    assert len({slug(award_id) for award_id in ids}) == len(ids)


@given(AWARD_IDS)
def test_an_id_cannot_take_the_name_of_a_hashed_one(award_id):
    taken = slug(award_id)
    if taken.upper() != award_id:
        assert slug(taken.upper()) != taken


def test_the_group_is_the_prefix_and_the_slug():
    assert group("gpuprov:", "HPC-2026-1-001") == "gpuprov:hpc-2026-1-001"
    assert group("", "HPC-1") == "hpc-1"
