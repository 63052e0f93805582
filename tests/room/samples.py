"""Incidents, alerts, runs and findings for the tests of what people see; the nastiest texts an alert can carry."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.domain.alert import Alert, AlertState
from bot.domain.escalation import Level, Policy
from bot.domain.expand import begun, expanded
from bot.domain.incident import Incident
from bot.domain.lifecycle import Opening, opened
from bot.domain.people import Actor, Directory, Person
from bot.domain.plan import Diff, Plan, Question, Undo
from bot.domain.routing import Route
from bot.domain.run import Run, RunState, moved
from bot.domain.runbook import Runbook
from bot.domain.step import Look, StepRun, StepState, planned

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
ADA = Actor(id="ada", name="Ada")
DIRECTORY = Directory(
    people={
        "ada": Person(key="ada", name="Ada", slack="U0ADA"),
        "bob": Person(key="bob", name="Bob", slack="U0BOB"),
        "eve": Person(key="eve", name="Eve"),
    },
    roles={"responders": ("ada", "bob")},
)
SHOP = Policy(key="shop", levels=(Level(targets=("person:ada",)), Level(targets=("person:bob", "channel:ops"))))

HOSTILE = (
    "<!channel> is on fire",
    "<!here|here> <@U0ADA> <#C123|general> <https://evil.example|click me>",
    "`rm -rf /` and ```a block```",
    "first line\nsecond line\r\n> quoted",
    "*bold* _italic_ ~struck~ & &amp; <b>",
    "x" * 10_000,
    "<" * 10_000,
    "&" * 10_000,
    "\x00\x07\x1b[31mred\x1b[0m \u202eesrever\u202c \ud800 half",
    "",
    "   \n\t ",
)


def alert(**update: Any) -> Alert:
    labels = {"alertname": "HighErrorRate", "service": "checkout", **update.pop("labels", {})}
    given: dict[str, Any] = {
        "source": "prometheus",
        "fingerprint": "f1",
        "firing": True,
        "labels": labels,
        "annotations": {"summary": "5xx above 5 %"},
        "starts_at": NOW,
        "url": "https://prometheus.example/graph?a=1&b=2",
    }
    return Alert(**{**given, **update})


def incident(**update: Any) -> Incident:
    """INC-7, critical, with a channel, nobody has it."""
    found = opened(
        7, [alert()], Opening("root/service=checkout", {"service": "checkout"}, "critical", (SHOP,), Route()), NOW
    ).incident
    return found.model_copy(update={"channel_id": "C0PR0000009", **update})


def hostile_incident(text: str) -> Incident:
    """Everything that can come from outside is this text."""
    return incident(
        title=text,
        severity=text,
        service=text,
        labels={text[:50]: text, "b": text},
        route=text,
        opened_by=text,
        acknowledged_by=text,
        paged=(text, "ada"),
        alerts=12,
    )


def hostile_alert(text: str) -> AlertState:
    return AlertState(
        alert(labels={"alertname": text}, annotations={"summary": text}, url=f"https://x.example/{text}"), NOW, NOW
    )


def runbook(**update: Any) -> Runbook:
    given: Mapping[str, Any] = {
        "name": "scale-out",
        "title": "Scale out",
        "description": "More replicas.",
        "params": {"name": {"label": "service"}, "replicas": {"type": "integer", "default": 6}},
        "steps": [
            {"id": "scale", "title": "Scale the deployment", "action": "k8s.scale"},
            {"id": "check", "title": "Look at the error rate", "action": "http.get"},
        ],
    }
    return Runbook.model_validate({**given, **update})


def plan(*diffs: Diff) -> Plan:
    shown = diffs or (
        Diff(what="replicas", before="3", after="6"),
        Diff(what="image", before="a", after="b", note="<b> & `c`"),
    )
    return Plan(target="Deployment shop/checkout", diffs=shown)


def waiting_run(wanted: Plan | None = None, **update: Any) -> Run:
    """RUN-3 waits for the approval of its first step."""
    return shown(begun_run(**update), wanted or plan())


def begun_run(actor: Actor = ADA, **update: Any) -> Run:
    """RUN-3 has done nothing yet."""
    return begun(3, incident(), runbook(**update), {}, actor, NOW)


def shown(run: Run, wanted: Plan, step_id: str = "") -> Run:
    """The run after a step's plan was shown: that one waits for an approval."""
    step = run.find(step_id) or run.steps[0]
    after = planned(step, Look(plan=wanted), run.approval(step), NOW + timedelta(seconds=5))
    return moved(run.with_steps(step.id, [after]), NOW)


def put(run: Run, step_id: str, **update: Any) -> Run:
    """The run with one step as given."""
    step = run.find(step_id)
    assert step is not None
    return moved(run.with_steps(step_id, [step.to(**update)]), NOW)


def asking_run(question: Question | None = None, **update: Any) -> Run:
    """RUN-3 asks something in its first step."""
    asked = question or Question(words="Is the cache warm?", choices=("Yes", "No, not yet"))
    expires = NOW + timedelta(hours=4)
    return put(begun_run(**update), "scale", state=StepState.ASKING, question=asked, expires_at=expires, started_at=NOW)


def changed_run(state: RunState = RunState.FAILED, **update: Any) -> Run:
    """RUN-3 has ended after its first step changed something that can be taken back."""
    back = Undo.model_validate({"action": "k8s.scale", "with": {"replicas": 3}})
    run = waiting_run().model_copy(update={"state": RunState.RUNNING})
    done = {"state": StepState.DONE, "changed": True, "undo": back, "message": "verified", "ended_at": NOW}
    run = run.with_steps("scale", [run.steps[0].to(**done)])
    return run.model_copy(update={"state": state, "ended_at": NOW, "message": "because of that", **update})


def parallel_run(count: int = 2, wanted: Plan | None = None) -> Run:
    """RUN-3, whose first `count` steps wait for an approval at the same time."""
    together = {
        "id": "both",
        "title": "Both at once",
        "parallel": [{"id": f"s{n}", "title": f"Set {n}", "action": "a"} for n in range(count)],
    }
    run = begun_run(steps=[together, {"id": "last", "action": "a"}])
    for step in run.steps[:count]:
        run = shown(run, wanted or Plan(target=f"thing {step.id}", diffs=plan().diffs), step.id)
    return run


def listed_run(items: int, most: int = 100, **first: Any) -> Run:
    """RUN-3 with a list of that many items, the first of them as given."""
    run = begun_run(
        steps=[{"id": "drain", "title": "Drain", "action": "a", "foreach": "params.nodes", "most": most, "at_once": 2}]
    )
    made: list[StepRun] = list(expanded(run.steps[0], [f"node-{n}" for n in range(items)], NOW))
    return moved(run.with_steps("drain", [made[0].to(**first), *made[1:]]), NOW)
