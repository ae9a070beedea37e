"""What an installation says of what is to come."""

from __future__ import annotations

import pytest

from gpuprov.toolchain import Event, Settings, ensure
from gpuprov.toolchain.outlook import Place, outlook
from gpuprov.toolchain.pins import ETCD, KWOK, UNITS


def test_the_outlook_names_what_is_missing_and_adds_up_the_minutes() -> None:
    minutes = ETCD.recipe.minutes + KWOK.recipe.minutes
    text = outlook([ETCD, KWOK], building=True)
    assert text.startswith(f"to install: etcd, kwok; building takes about {minutes:.0f} min on 2 cores. It can be")
    assert "building" not in outlook([ETCD, KWOK], building=False)


@pytest.mark.parametrize(
    ("later", "minutes", "seconds", "left"),
    [
        (3.0, 5.0, 0.0, "; about 8 min left in all"),
        (3.0, 5.0, 240.0, "; about 4 min left in all"),
        (3.0, 5.0, 900.0, "; about 3 min left in all"),
        (0.0, 5.0, 60.0, ""),
    ],
)
def test_what_is_left(later: float, minutes: float, seconds: float, left: str) -> None:
    assert Place(number=1, of=2, minutes_later=later).left(minutes, seconds) == left


def test_several_tools_are_announced_before_the_first(settings: Settings, fake_go: tuple[object, object]) -> None:
    events: list[Event] = []

    def stop(event: Event) -> None:
        events.append(event)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensure(None, stop, settings)
    assert events[0].text == outlook([unit for unit in UNITS if unit.name in events[0].text], building=True)
    assert ETCD.name in events[0].text
