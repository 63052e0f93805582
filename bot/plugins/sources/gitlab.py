"""GitLab's webhooks: deployments, releases, finished pipelines, pushes and feature flags are kept as changes, context of incidents; none is an alert.

    sources:
      gitlab:
        key: env:GITLAB_WEBHOOK_TOKEN             # its "Secret token"; or `hmac` with its signing token, which also tells replays
        services: {shop/backend/checkout-api: checkout}
        branches: [main, "release/*"]             # without it: the default branch of each project

On GitLab: the project's (or the group's) Settings > Webhooks > Add new webhook; URL https://tocsin.example.com/webhooks/gitlab, the same secret
token, and of the triggers Push events, Pipeline events, Deployment events, Releases events and Feature flag events.

A secret token is sent as it is in a header, so the address has to be https. A signing token (`whsec_…`, newer versions) signs as Standard Webhooks
does. Pipelines of merge requests and of other branches are left out, as are alerts, incidents and all other events. A pipeline that is tried again is
the same change, whose newest state counts.
Sources: https://docs.gitlab.com/user/project/integrations/webhook_events/, https://docs.gitlab.com/user/project/integrations/webhooks/,
https://gitlab.com/gitlab-org/gitlab/-/merge_requests/230944, https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from bot.domain.incoming import HmacStyle, Incoming, KeyPlace, Parsed
from bot.errors import BadInput
from bot.plugins import payload, repositories
from bot.plugins.repositories import Told, change, first_link, first_time

AUTH = ("key", "hmac", "token")
KEY = KeyPlace(header="x-gitlab-token")
HMAC = HmacStyle(
    header="webhook-signature",
    prefix="v1,",
    encoding="base64",
    separator=" ",
    signed="{id}.{timestamp}.{body}",
    timestamp_header="webhook-timestamp",
    id_header="webhook-id",
    secret_prefix="whsec_",  # noqa: S106  how such secrets begin, none itself
)

EXPECTED = "an object with `object_kind` and `project`, as GitLab sends it"
FINISHED = ("success", "failed", "canceled")


class Params(repositories.Params):
    """Which service a project is of, and which branches count."""


def parse(incoming: Incoming, source: str, params: Params, now: datetime) -> Parsed:
    """The change that one delivery tells of; nothing for every other event. Raises BadInput when GitLab did not send it."""
    if not incoming.headers.get("x-gitlab-event"):
        raise BadInput(f"x-gitlab-event: the header is missing; expected GitLab's event name{_instead(incoming)}")
    body = payload.members(incoming.body, EXPECTED)
    reads = _EVENTS.get(payload.word(body, "object_kind"))
    told = reads(body, params, now) if reads else None
    path = payload.word(body.get("project"), "path_with_namespace", "name", most=payload.LONGEST_NAME)
    return Parsed(changes=change(told, source, params, path, ""))


def _instead(incoming: Incoming) -> str:
    if "x-github-event" in incoming.headers:
        return "; it comes from GitHub: use a source with `type: github`"
    return f". {payload.fitting(payload.members(incoming.body, EXPECTED))}"


def _deployment(body: Mapping[str, Any], params: Params, now: datetime) -> Told | None:
    environment, ref = payload.word(body, "environment"), payload.word(body, "ref")
    sha = payload.word(body, "short_sha")
    about = payload.word(body, "commit_title")
    said = repositories.title(
        f"deploy {repositories.version(ref, sha)}" if ref or sha else "deploy",
        f"to {environment}" if environment else "",
        f"({about})" if about else "",
    )
    return Told(
        kind="deployment", identity=payload.word(body, "deployment_id") or f"{environment}/{ref}/{sha}", title=said,
        state=payload.word(body, "status").lower(), environment=environment, at=first_time(now, body.get("status_changed_at")),
        author=_user(body), url=first_link(body.get("deployable_url"), body.get("commit_url"), _page(body)),
        labels={"ref": ref, "sha": sha, "tier": payload.word(body, "environment_tier")},
    )  # fmt: skip


def _release(body: Mapping[str, Any], params: Params, now: datetime) -> Told | None:
    action = payload.word(body, "action").lower()
    if action not in ("create", "delete"):
        return None
    tag, name = payload.word(body, "tag"), payload.word(body, "name")
    created = action == "create"
    said = repositories.title("release", tag or name, f"({name})" if tag and name not in ("", tag) else "")
    return Told(
        kind="release", identity=payload.word(body, "id") or tag, title=said, state="published" if created else "deleted",
        at=first_time(now, body.get("released_at"), body.get("created_at")) if created else now,
        author=payload.word(payload.inner(body, "commit").get("author"), "name"), url=first_link(body.get("url"), _page(body)),
        labels={"tag": tag},
    )  # fmt: skip


def _pipeline(body: Mapping[str, Any], params: Params, now: datetime) -> Told | None:
    run = body.get("object_attributes")
    if not isinstance(run, dict):
        raise BadInput(f"object_attributes: {payload.found(run)}; expected an object, as GitLab sends with a pipeline")
    status, branch = payload.word(run, "status").lower(), payload.word(run, "ref")
    if status not in FINISHED or payload.word(run, "source") == "merge_request_event":
        return None
    if not params.counts(branch, _default(body)):
        return None
    number, name = payload.word(run, "id"), payload.word(run, "name")
    about = payload.word(body.get("commit"), "title", "message").partition("\n")[0]
    said = repositories.title(
        name or "pipeline", f"#{number}" if number else "", f"on {branch}", f"({about})" if about else ""
    )
    pages = _page(body)
    return Told(
        kind="workflow", identity=number or f"{branch}/{payload.word(run, 'sha')}", title=said, state=status,
        at=first_time(now, run.get("finished_at"), run.get("created_at")), author=_user(body),
        url=first_link(run.get("url"), f"{pages}/-/pipelines/{number}" if pages and number else "", pages),
        labels={"branch": branch, "sha": payload.word(run, "sha"), "event": payload.word(run, "source")},
    )  # fmt: skip


def _push(body: Mapping[str, Any], params: Params, now: datetime) -> Told | None:
    ref, sha = payload.word(body, "ref"), payload.word(body, "after")
    branch = ref.removeprefix("refs/heads/")
    if branch == ref or not sha.strip("0") or not params.counts(branch, _default(body)):
        return None  # a tag, a branch that was deleted, or one that does not count
    commits = body.get("commits")
    newest = commits[-1] if isinstance(commits, list) and commits else None
    about = payload.word(newest, "title", "message").partition("\n")[0]
    count = payload.word(body, "total_commits_count")
    more = f"({count} commits)" if count not in ("", "0", "1") else ""
    pages = _page(body)
    return Told(
        kind="push", identity=f"{branch}/{sha}",
        title=repositories.title(f"push to {branch}:", about or sha[: repositories.SHA], more), at=now,
        author=_user(body), url=first_link(f"{pages}/-/commit/{sha}" if pages else ""),
        labels={"branch": branch, "sha": sha},
    )  # fmt: skip


def _flag(body: Mapping[str, Any], params: Params, now: datetime) -> Told | None:
    flag = payload.inner(body, "object_attributes")
    name, active = payload.word(flag, "name"), payload.word(flag, "active")
    if not name or active not in ("true", "false"):
        return None
    state = "on" if active == "true" else "off"
    return Told(
        kind="change", identity=f"flag/{payload.word(flag, 'id') or name}",
        title=repositories.title("feature flag", name, f"turned {state}"), state=state, at=now, author=_user(body),
        url=first_link(_page(body)), labels={"flag": name},
    )  # fmt: skip


_EVENTS: Mapping[str, Callable[[Mapping[str, Any], Params, datetime], Told | None]] = {
    "deployment": _deployment,
    "release": _release,
    "pipeline": _pipeline,
    "push": _push,
    "feature_flag": _flag,
}


def _default(body: Mapping[str, Any]) -> str:
    return payload.word(body.get("project"), "default_branch")


def _user(body: Mapping[str, Any]) -> str:
    """Deployments and pipelines have an object, pushes have members of their own."""
    most = payload.LONGEST_NAME
    return payload.word(body.get("user"), "username", "name", most=most) or payload.word(
        body, "user_username", "user_name", most=most
    )


def _page(body: Mapping[str, Any]) -> str:
    return payload.link(payload.inner(body, "project").get("web_url"))
