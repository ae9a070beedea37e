"""What a mistyped name may have meant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuprov.core.suggestions import did_you_mean, similar

COMMANDS = ("setup", "validate", "plan", "up", "forfeit", "reduce", "expire", "status")
AWARDS = ("HPC-2026-1-001", "HPC-2026-1-002", "AI-2026-7")


@pytest.mark.parametrize(
    ("typed", "known", "meant"),
    [
        ("plna", COMMANDS, "; did you mean plan?"),
        ("stat", COMMANDS, "; did you mean status?"),
        ("val", COMMANDS, "; did you mean validate?"),  # the beginning of one
        ("xyzzy", COMMANDS, ""),
        ("", COMMANDS, ""),
        ("hpc-2026-1-001", AWARDS, "; did you mean HPC-2026-1-001 or HPC-2026-1-002?"),
        ("과제-8", ("과제-7",), "; did you mean 과제-7?"),
        ("plan", (), ""),
    ],
)
def test_what_was_meant(typed: str, known: tuple[str, ...], meant: str) -> None:
    assert did_you_mean(typed, known) == meant


@given(st.lists(st.text(max_size=12), unique=True), st.text(max_size=12))
def test_only_known_names_are_proposed_each_once(known: list[str], typed: str) -> None:
    found = similar(typed, known)
    assert set(found) <= set(known)
    assert len(found) == len(set(found))


@given(st.lists(st.text(min_size=1, max_size=12), min_size=1, unique_by=str.casefold), st.data())
def test_a_name_in_other_capitals_is_found(known: list[str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(known))
    assert name in similar(name.casefold(), known)
