"""What tests of programmes share: one with accelerators, tracks and a call of every kind, and ways to change it."""

from gpuprov.core.programme import Programme

WRITTEN = {
    "name": "Loan",
    "timeZone": "America/New_York",
    "end": "2027-01-01T00:00-05:00",
    "reference": "B200",
    "accelerators": [
        {"name": "B200", "perReference": 1, "devicesPerServer": 8, "resource": "nvidia.com/gpu"},
        {"name": "GB", "perReference": "1/2", "devicesPerServer": 4, "resource": "nvidia.com/gpu"},
        {"name": "OLD", "perReference": "3/2", "devicesPerServer": 8, "resource": "nvidia.com/gpu"},
        {"name": "NPU", "perReference": "not convertible", "devicesPerServer": 16, "resource": "example.org/npu"},
    ],
    "tracks": [
        {"name": "small", "least": 1, "most": 16},
        {"name": "rack", "least": 8, "most": 64, "unit": 8},
        {"name": "pairs", "least": 2, "unit": 2},
        {"name": "open", "least": 3},
        {"name": "npu", "least": 4, "most": 32, "unit": 4, "countedIn": "NPU"},
    ],
    "calls": [{"name": "spring", "firstDay": "2026-03-01", "lastDay": "2026-05-31"}],
    "statuses": {"selected": ["yes"]},
}
LOAN = Programme.model_validate(WRITTEN)


def changed(path, value):
    """The programme with one value changed; the path is as the problems name it."""
    *above, last = path
    copy = {**WRITTEN}
    inner = copy
    for part in above:
        inner[part] = inner[part].copy()
        inner = inner[part]
    inner[last] = value
    return copy
