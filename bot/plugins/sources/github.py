"""GitHub's webhooks: deployments, releases, finished workflows and pushes are kept as changes, the context of incidents; none is an alert.

    sources:
      github:
        hmac: {secret: env:GITHUB_WEBHOOK_SECRET}
        services: {acme/checkout-api: checkout}   # a repository that is not named is a service by its own name
        branches: [main, "release/*"]             # without it: the default branch of each repository

On GitHub: the repository's (or the organisation's) Settings > Webhooks > Add webhook; payload URL
https://tocsin.example.com/webhooks/github, content type application/json, the same secret, and of the individual events Deployments, Deployment
statuses, Releases, Workflow runs and Pushes. Both content types are read. The signature is over the body as it was sent.

A deployment and its statuses are one change, whose newest state counts; so are the attempts of one workflow run. Runs for pull requests are none, and
runs on other branches only when somebody or something else than a push started them.
Sources: https://docs.github.com/en/webhooks/webhook-events-and-payloads, https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from bot.domain.incoming import HmacStyle, Incoming, Parsed
from bot.errors import BadInput
from bot.plugins import payload, repositories
from bot.plugins.repositories import Told, change, first_link, first_time

AUTH = ("hmac", "token")
HMAC = HmacStyle(header="x-hub-signature-256", prefix="sha256=")

EXPECTED = "an object with `repository` and `sender`, as GitHub sends it"
CONCLUSIONS = ("success", "failure", "cancelled", "timed_out", "startup_failure", "action_required")
PUBLISHED = ("published", "released", "prereleased")
# Runs that deploy from any branch; those of a push or a pull request are judged by their branch.
STARTED_OTHERWISE = (
    "release",
    "deployment",
    "deployment_status",
    "workflow_dispatch",
    "repository_dispatch",
    "schedule",
)


class Params(repositories.Params):
    """Which service a repository is of, and which branches count."""


def parse(incoming: Incoming, source: str, params: Params, now: datetime) -> Parsed:
    """The change that one delivery tells of; nothing for every other event. Raises BadInput when GitHub did not send it."""
    event = incoming.headers.get("x-github-event", "").strip().lower()
    if not event:
        raise BadInput(f"x-github-event: the header is missing; expected GitHub's event name{_instead(incoming)}")
    body = _body(incoming)
    reads = _EVENTS.get(event)
    told = reads(body, params, now) if reads else None
    name = payload.word(body.get("repository"), "name", most=payload.LONGEST_NAME)
    return Parsed(changes=change(told, source, params, _path(body), name))


def _instead(incoming: Incoming) -> str:
    if "x-gitlab-event" in incoming.headers:
        return "; it comes from GitLab: use a source with `type: gitlab`"
    return f". {payload.fitting(payload.members(incoming.body, EXPECTED))}"


def _body(incoming: Incoming) -> dict[str, Any]:
    """The event, whichever of GitHub's two content types it has: the form has it as JSON in its field `payload`."""
    if not incoming.body.startswith(b"payload="):
        return payload.members(incoming.body, EXPECTED)
    form = payload.fields(Incoming(incoming.body), EXPECTED)
    return payload.members(str(form.get("payload", "")).encode(errors="replace"), f"{EXPECTED}, in the field `payload`")


def _deployment(body: Mapping[str, Any], params: Params, now: datetime) -> Told | None:
    """A deployment as it begins, or its newest status. GitHub makes earlier ones `inactive` by itself: that changes nothing."""
    deployment, status = _needed(body, "deployment"), payload.inner(body, "deployment_status")
    state = payload.word(status, "state") or "created"
    if state == "inactive":
        return None
    ref, sha = payload.word(deployment, "ref"), payload.word(deployment, "sha")
    environment = payload.word(status, "environment") or payload.word(deployment, "environment")
    described = payload.word(status, "description") or payload.word(deployment, "description")
    said = repositories.title(
        f"deploy {repositories.version(ref, sha)}" if ref or sha else "deploy",
        f"to {environment}" if environment else "",
        f"({described})" if described else "",
    )
    told = status or deployment
    return Told(
        kind="deployment", identity=_id(deployment), title=said, state=state, environment=environment,
        at=first_time(now, told.get("updated_at"), told.get("created_at")),
        author=_login(deployment, "creator") or _login(body, "sender"),
        url=first_link(status.get("log_url"), status.get("target_url"), _page(body, "deployments")),
        labels={"ref": ref, "sha": sha, "task": payload.word(deployment, "task")},
    )  # fmt: skip


def _release(body: Mapping[str, Any], params: Params, now: datetime) -> Told | None:
    release, action = _needed(body, "release"), payload.word(body, "action").lower()
    if action not in (*PUBLISHED, "deleted", "unpublished") or release.get("draft") is True:
        return None
    name, tag = payload.word(release, "name"), payload.word(release, "tag_name")
    said = repositories.title("release", tag or name, f"({name})" if tag and name not in ("", tag) else "")
    published = action in PUBLISHED
    return Told(
        kind="release", identity=_id(release), title=said, state="published" if published else action,
        at=first_time(now, release.get("published_at"), release.get("created_at")) if published else now,
        author=_login(body, "sender") or _login(release, "author"), url=first_link(release.get("html_url")),
        labels={"tag": tag, "prerelease": "true" if release.get("prerelease") is True else ""},
    )  # fmt: skip


def _workflow(body: Mapping[str, Any], params: Params, now: datetime) -> Told | None:
    run = _needed(body, "workflow_run")
    conclusion, event = payload.word(run, "conclusion").lower(), payload.word(run, "event")
    branch = payload.word(run, "head_branch")
    if payload.word(body, "action") != "completed" or conclusion not in CONCLUSIONS:
        return None
    if event.startswith("pull_request") or not (event in STARTED_OTHERWISE or params.counts(branch, _default(body))):
        return None
    name = payload.word(run, "name") or payload.word(body.get("workflow"), "name") or "workflow"
    number = payload.word(run, "run_number")
    said = repositories.title(name, f"#{number}" if number else "", f"on {branch}" if branch else "")
    about = payload.word(run, "display_title")
    return Told(
        kind="workflow", identity=_id(run), title=repositories.title(said, f"({about})" if about else ""),
        state=conclusion, at=first_time(now, run.get("updated_at"), run.get("run_started_at"), run.get("created_at")),
        author=_login(run, "triggering_actor") or _login(run, "actor") or _login(body, "sender"),
        url=first_link(run.get("html_url")),
        labels={"workflow": name, "branch": branch, "sha": payload.word(run, "head_sha"), "event": event},
    )  # fmt: skip


def _push(body: Mapping[str, Any], params: Params, now: datetime) -> Told | None:
    ref = payload.word(body, "ref")
    branch = ref.removeprefix("refs/heads/")
    if branch == ref or body.get("deleted") is True or not params.counts(branch, _default(body)):
        return None
    head, commits = payload.inner(body, "head_commit"), body.get("commits")
    sha = payload.word(body, "after") or payload.word(head, "id")
    count = len(commits) if isinstance(commits, list) else 0
    message = (payload.word(head, "message").splitlines() or [""])[0]
    said = repositories.title(f"push to {branch}:", message or sha[: repositories.SHA])
    more = f"(and {count - 1} more commits)" if count > 2 else "(and 1 more commit)" if count == 2 else ""
    return Told(
        kind="push", identity=f"{branch}/{sha}", title=repositories.title(said, more),
        state="forced" if body.get("forced") is True else "",
        at=first_time(now, payload.inner(body, "repository").get("pushed_at"), head.get("timestamp")),
        author=payload.word(body.get("pusher"), "name") or _login(body, "sender"),
        url=first_link(body.get("compare"), head.get("url")), labels={"branch": branch, "sha": sha},
    )  # fmt: skip


_EVENTS: Mapping[str, Callable[[Mapping[str, Any], Params, datetime], Told | None]] = {
    "deployment": _deployment,
    "deployment_status": _deployment,
    "release": _release,
    "workflow_run": _workflow,
    "push": _push,
}


def _needed(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = body.get(name)
    if not isinstance(value, dict):
        raise BadInput(f"{name}: {payload.found(value)}; expected an object, as GitHub sends with this event")
    return value


def _id(item: Mapping[str, Any]) -> str:
    """The number that GitHub gave it, else one made of all that is said of it."""
    return payload.word(item, "id") or payload.fingerprint(None, {"of": payload.text(dict(item))})


def _path(body: Mapping[str, Any]) -> str:
    repository = payload.inner(body, "repository")
    return payload.word(repository, "full_name", "name", most=payload.LONGEST_NAME)


def _default(body: Mapping[str, Any]) -> str:
    return payload.word(body.get("repository"), "default_branch")


def _login(holder: Mapping[str, Any], name: str) -> str:
    return payload.word(holder.get(name), "login", most=payload.LONGEST_NAME)


def _page(body: Mapping[str, Any], name: str) -> str:
    """A page of the repository."""
    address = payload.link(payload.inner(body, "repository").get("html_url"))
    return f"{address}/{name}" if address else ""
