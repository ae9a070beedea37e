"""Extensions in the ledger that count for nothing, because they came too late."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo

from gpuprov.core.award import Award
from gpuprov.core.days import to_the_minute
from gpuprov.core.ledger import Event, Extended, History, by_award, history
from gpuprov.i18n import Message, tr


def late_extensions(awards: Sequence[Award], events: Sequence[Event], zone: tzinfo) -> Iterator[tuple[int, Message]]:
    """Yield each extension that counts for nothing, as its place among the events and what to do about it.

    One that a forfeiture of a later line overtook is none of them: whoever wrote that line knew of the extension.
    """
    terms = {award.id: award for award in awards}
    events_by_award = by_award(event for event in events if event.award in terms)
    for place, event in enumerate(events):
        if not isinstance(event, Extended) or event.award not in terms:
            continue
        own_events = events_by_award[event.award]
        own = next(index for index, other in enumerate(own_events) if other is event)
        earlier = [other for index, other in enumerate(own_events) if (other.at, index) < (event.at, own)]
        history_before = history(terms[event.award], earlier, zone)
        if any(other is history_before.forfeited for other in own_events[own:]):
            continue
        if why := _too_late(event, history_before):
            yield (
                place,
                tr(
                    "extended of {award} to {last_day} takes effect at {at} and counts for nothing: {why}",
                    award=event.award,
                    last_day=event.last_day,
                    at=to_the_minute(event.at, zone),
                    why=why,
                ),
            )


def _too_late(event: Extended, before: History) -> Message | None:
    """Return why an extension counts for nothing after this history, and what to do; None where it counts."""
    advice = tr("grant a new award, with an id and a row of its own")
    if before.forfeited is not None:
        forfeited = to_the_minute(before.forfeited.at, before.zone)
        return tr("the award was forfeited at {at}, which is final; {advice}", at=forfeited, advice=advice)
    if before.term.end <= event.at:
        return tr(
            "the term ended at {end}; {advice}; if it was decided before that end, append the line again with that "
            "instant as its `at`",
            end=to_the_minute(before.term.end, before.zone),
            advice=advice,
        )
    return None
