"""What is special about an incident: a storm, alerts that flap, a test. Pure; part of the card."""

from __future__ import annotations

from bot.domain.incident import Incident
from bot.domain.lifecycle import MOST_PROBLEMS as MOST_KEPT
from bot.room import mrkdwn

MOST_PROBLEMS = 15
MOST_FLAPPING = 5


def nature(incident: Incident) -> list[str]:
    """Finished paragraphs, one per peculiarity; usually none."""
    told: list[str] = []
    if incident.test:
        told.append("🧪 *This is a test.* Nothing is broken; it can be resolved at any time.")
    if incident.storm_at is not None:
        shown = [f"• {mrkdwn.line(title, 120)}" for title in incident.problems[:MOST_PROBLEMS]]
        more = len(incident.problems) - MOST_PROBLEMS
        rest = [f"and {more} more{' at least' if len(incident.problems) >= MOST_KEPT else ''}"] if more > 0 else []
        lead = "🌩️ *A storm of alerts*: too many new problems for an incident each, so they are gathered here and people are paged once."
        told.append("\n".join([lead, *shown, *rest]))
    if incident.flapping:
        different = list(dict.fromkeys(incident.flapping))
        names = "; ".join(mrkdwn.line(name, 120) for name in different[:MOST_FLAPPING])
        rest_of_them = f" and {len(different) - MOST_FLAPPING} more" if len(different) > MOST_FLAPPING else ""
        told.append(
            f"🔁 *Comes and goes*: {names}{rest_of_them}. This stays open, and nobody is paged again, until it is calm."
        )
    return told
