"""What is special about an incident: a storm, alerts that flap, a test. Pure; part of the card."""

from __future__ import annotations

from bot.domain.incident import Incident
from bot.room import mrkdwn

MOST_PROBLEMS = 15


def nature(incident: Incident) -> list[str]:
    """Finished paragraphs, one per peculiarity; usually none."""
    told: list[str] = []
    if incident.test:
        told.append("🧪 *This is a test.* Nothing is broken; it can be resolved at any time.")
    if incident.storm_at is not None:
        shown = [f"• {mrkdwn.line(title, 120)}" for title in incident.problems[:MOST_PROBLEMS]]
        more = len(incident.problems) - MOST_PROBLEMS
        rest = [f"and {more} more"] if more > 0 else []
        lead = "🌩️ *A storm of alerts*: too many new problems for an incident each, so they are gathered here and people are paged once."
        told.append("\n".join([lead, *shown, *rest]))
    if incident.flapping:
        names = "; ".join(mrkdwn.line(name, 120) for name in dict.fromkeys(incident.flapping[:5]))
        told.append(f"🔁 *Comes and goes*: {names}. This stays open, and nobody is paged again, until it is calm.")
    return told
