"""What somebody may have meant."""

import pytest

from gpuprov.core.similar import did_you_mean

KNOWN = ["HPC-2026-1-001", "HPC-2026-1-002", "abc-9"]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("HPC-2026-1-01", "; did you mean HPC-2026-1-001, HPC-2026-1-002?"),
        ("hpc-2026-1-001", "; did you mean HPC-2026-1-001, HPC-2026-1-002?"),
        ("ABC9", "; did you mean abc-9?"),
        ("nothing like it", ""),
        ("", ""),
    ],
)
def test_what_is_like_it_is_named_as_it_is_written(typed, told):
    assert did_you_mean(typed, KNOWN) == told
