"""An alert as Opsgenie describes it, in its alert API and in its webhooks: tags, details, priority, responders. Used by plugins/sources.

Source: https://docs.opsgenie.com/docs/alert-api and https://support.atlassian.com/opsgenie/docs/integrate-opsgenie-with-webhook/
"""

from __future__ import annotations

from typing import Any

from bot.plugins import payload

SEVERITIES = {"p1": "critical", "p2": "error", "p3": "warning", "p4": "info", "p5": "info"}


def severity(priority: Any) -> str:
    """`P1` or 1 is critical, P2 error, P3 warning, P4 and P5 info; another word stays as it is; empty when there is none."""
    word = payload.word({"": priority}, "").lower()
    return SEVERITIES.get(word if word.startswith("p") else f"p{word}", word)


def labels(alert: dict[str, Any], name: str) -> dict[str, str]:
    """Tags and details (those on one line) as labels, and over them what the alert says itself.

    Alertmanager and Grafana put their labels into `details`, so that an `alertname` in there is the name and not the message.
    """
    given = payload.tags(alert.get("tags")) | {key: said for key, said in _details(alert) if _is_label(said)}
    if "severity" in given:
        given["severity"] = given["severity"].lower()
    own = {
        "severity": severity(alert.get("priority")) or given.get("severity", ""),
        "alertname": given.get("alertname") or payload.name_in(name),
        "entity": payload.word(alert, "entity", most=payload.LONGEST_NAME),
        "source": payload.word(alert, "source", most=payload.LONGEST_NAME),
        "priority": payload.word(alert, "priority", most=payload.LONGEST_NAME),
        "team": given.get("team") or _team(alert),
    }
    return payload.kept(given | {key: said for key, said in own.items() if said})


def notes(alert: dict[str, Any]) -> dict[str, str]:
    """The annotations: message, description, note and the details that are too long or too many lines for a label."""
    known = {
        "summary": payload.word(alert, "message"),
        "description": payload.word(alert, "description"),
        "note": payload.word(alert, "note"),
        "owner": payload.word(alert, "owner", "ownerId", most=payload.LONGEST_NAME),
    }
    long = {key: said for key, said in _details(alert) if not _is_label(said)}
    return long | {key: said for key, said in known.items() if said}


def _details(alert: dict[str, Any]) -> list[tuple[str, str]]:
    details = alert.get("details")
    if not isinstance(details, dict):
        said = payload.text(details).strip()
        return [("details", said)] if said and details not in ([], {}) else []
    members = list(details.items())[: payload.MOST_LABELS]
    return [(payload.text(name, payload.LONGEST_NAME), payload.text(value).strip()) for name, value in members]


def link(alert: dict[str, Any]) -> str:
    """Where the sender shows it: Grafana and others put that into the details."""
    return payload.link(payload.word(payload.inner(alert, "details"), "url", "link"))


def _is_label(said: str) -> bool:
    return 0 < len(said) <= payload.LONGEST_NAME and "\n" not in said and not payload.link(said)


def _team(alert: dict[str, Any]) -> str:
    """The name of the first team among the responders; older senders have `teams`."""
    responders = alert.get("responders")
    for one in responders[: payload.MOST_LABELS] if isinstance(responders, list) else []:
        if isinstance(one, dict) and payload.word(one, "type").lower() == "team":
            return payload.word(one, "name", "id", most=payload.LONGEST_NAME)
    teams = alert.get("teams")
    first = teams[0] if isinstance(teams, list) and teams else alert.get("team")
    return payload.word(first, "name", "id") if isinstance(first, dict) else payload.word({"": first}, "")
