"""GitHub's webhooks: deployments, releases, workflow runs and pushes become changes, everything else nothing."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from bot.domain.incoming import ChangeEvent, Incoming, Parsed
from bot.entry.auth_hmac import SignedAs
from bot.entry.problems import Refused
from bot.errors import BadInput
from bot.plugins.sources import github
from tests.support.payloads import ANYTHING, DEEP, mutated

RECORDED = {
    file.stem: json.loads(file.read_text()) for file in sorted((Path(__file__).parent / "github").glob("*.json"))
}
EVENTS = {
    "deployment": "deployment",
    "deployment-status": "deployment_status",
    "release-published": "release",
    "workflow-run-completed": "workflow_run",
    "push": "push",
    "ping": "ping",
}
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def parsed(body: Any, event: str, **params: Any) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return github.parse(Incoming(raw, {"x-github-event": event}), "gh", github.Params.model_validate(params), NOW)


def changed(name: str, /, *, inside: str = "", params: dict[str, Any] | None = None, **members: Any) -> Any:
    """The change that a recorded event is, with some members (of its object `inside`) different; None when there is none."""
    body = json.loads(json.dumps(RECORDED[name]))
    (body[inside] if inside else body).update(members)
    result = parsed(body, EVENTS[name], **(params or {}))
    assert (result.alerts, result.bad, result.acknowledged) == ((), (), ())
    return result.changes[0] if result.changes else None


def only(name: str, /, **changes: Any) -> ChangeEvent:
    change = changed(name, **changes)
    assert isinstance(change, ChangeEvent)
    return change


def test_every_recorded_event_is_expected() -> None:
    assert set(RECORDED) == set(EVENTS)


# ------------------------------------------------------------------------------------------------ what is kept


def test_a_deployment_and_its_status_are_one_change() -> None:
    begun, done = only("deployment"), only("deployment-status")
    assert (begun.key, begun.state) == ("deployment/Codertocat/Hello-World/145988746", "created")
    assert done == ChangeEvent(
        source="gh",
        key=begun.key,
        kind="deployment",
        title="deploy master (f95f852b) to production",
        at=datetime(2019, 5, 15, 15, 20, 55, tzinfo=UTC),
        state="success",
        service="Hello-World",
        environment="production",
        author="Codertocat",
        url="https://github.com/Codertocat/Hello-World/deployments",
        labels={
            "repository": "Codertocat/Hello-World",
            "ref": "master",
            "sha": "f95f852bd8fca8fcc58a9a2d6c842781e32a215e",
            "task": "deploy",
        },
    )


def test_a_failed_deployment_says_so_and_leads_to_its_log() -> None:
    log = "https://ci.example.com/7"
    change = only("deployment-status", inside="deployment_status", state="failure", log_url=log, description="no quota")
    assert (change.state, change.url) == ("failure", log)
    assert change.title == "deploy master (f95f852b) to production (no quota)"


def test_a_deployment_that_a_newer_one_made_inactive_is_no_change() -> None:
    assert changed("deployment-status", inside="deployment_status", state="inactive") is None


def test_a_published_release_is_a_change() -> None:
    change = only("release-published")
    assert (change.kind, change.title, change.state) == ("release", "release 0.0.1", "published")
    assert change.at == datetime(2019, 5, 15, 15, 20, 53, tzinfo=UTC)
    assert change.url == "https://github.com/Codertocat/Hello-World/releases/tag/0.0.1"
    assert change.labels == {"repository": "Codertocat/Hello-World", "tag": "0.0.1"}
    assert only("release-published", action="released").key == change.key


@pytest.mark.parametrize(
    ("action", "state"), [("deleted", "deleted"), ("unpublished", "unpublished"), ("edited", None), ("created", None)]
)
def test_a_release_is_a_change_when_it_comes_or_goes(action: str, state: str | None) -> None:
    change = changed("release-published", action=action)
    assert (change.state if change else None) == state
    assert change is None or change.at == NOW


def test_a_workflow_run_is_a_change_with_its_conclusion() -> None:
    change = only("workflow-run-completed", inside="workflow_run", conclusion="failure")
    assert (change.kind, change.state, change.service) == ("workflow", "failure", "octo-repo")
    assert change.title == "test #163 on master (ci(action): update actions/setup-node digest to 8c91899)"
    assert change.at == datetime(2020, 10, 5, 16, 33, 49, tzinfo=UTC)
    assert only("workflow-run-completed").state == "success"
    assert only("workflow-run-completed", inside="workflow_run", run_attempt=2).key == change.key


RUNS: list[tuple[str, dict[str, Any], dict[str, Any], bool]] = [
    ("a push to the default branch", {"event": "push", "head_branch": "master"}, {}, True),
    ("a push elsewhere", {"event": "push", "head_branch": "fix"}, {}, False),
    ("a push to a branch that counts", {"event": "push", "head_branch": "v1.2"}, {"branches": ["v*"]}, True),
    ("by hand, from anywhere", {"event": "workflow_dispatch", "head_branch": "fix"}, {}, True),
    ("a pull request", {"event": "pull_request", "head_branch": "master"}, {}, False),
    ("skipped", {"conclusion": "skipped"}, {}, False),
    ("no conclusion", {"conclusion": None}, {}, False),
]


@pytest.mark.parametrize(("what", "run", "params", "counts"), RUNS)
def test_a_run_counts_by_what_started_it_and_where(
    what: str, run: dict[str, Any], params: dict[str, Any], counts: bool
) -> None:
    assert (changed("workflow-run-completed", inside="workflow_run", params=params, **run) is not None) is counts


def test_a_run_that_is_not_over_is_no_change() -> None:
    assert changed("workflow-run-completed", action="in_progress") is None


def test_a_push_is_told_by_its_newest_commit() -> None:
    change = only("push")
    assert change.title == "push to master: Say goodbye (and 1 more commit)"
    assert change.at == datetime(2019, 5, 15, 15, 20, 57, tzinfo=UTC)  # when it was pushed, not when it was committed
    assert (change.author, change.url.rpartition("/")[2]) == ("Codertocat", "6113728f27ae...f95f852bd8fc")
    assert only("push", forced=True).state == "forced"


@pytest.mark.parametrize(
    "members", [{"ref": "refs/heads/fix"}, {"ref": "refs/tags/v1"}, {"deleted": True}, {"ref": None}]
)
def test_a_push_elsewhere_and_a_deleted_branch_are_no_changes(members: dict[str, Any]) -> None:
    assert changed("push", **members) is None


def test_branches_may_be_named_instead_of_the_default_one() -> None:
    params = {"branches": ["main", "release/*"]}
    assert changed("push", params=params) is None
    assert only("push", ref="refs/heads/release/2.0", params=params).labels["branch"] == "release/2.0"


@pytest.mark.parametrize(
    ("services", "service"),
    [({"codertocat/hello-world": "shop"}, "shop"), ({"other/Hello-World": "shop"}, "Hello-World"), ({}, "Hello-World")],
)
def test_the_service_is_the_one_that_the_repository_is_of(services: dict[str, str], service: str) -> None:
    assert only("push", params={"services": services}).service == service


# ------------------------------------------------------------------------------------------------ what is not


@pytest.mark.parametrize("event", ["ping", "issues", "check_run", "secret_scanning_alert", "dependabot_alert", "new"])
def test_every_other_event_says_nothing(event: str) -> None:
    assert parsed(RECORDED["ping"], event) == Parsed()


def test_a_form_has_the_event_in_a_field() -> None:
    form = urlencode({"payload": json.dumps(RECORDED["push"])}).encode()
    assert parsed(form, "push") == parsed(RECORDED["push"], "push")


def test_times_to_come_count_as_now_and_missing_ones_too() -> None:
    for at in ("2030-01-01T00:00:00Z", None, "soon", 0):
        assert only("deployment", inside="deployment", created_at=at, updated_at=at).at == NOW


def test_numbers_where_texts_belong_are_taken_as_text() -> None:
    change = only("deployment", inside="deployment", id="7", ref=1.10, sha=5, environment=12)
    assert (change.key, change.environment) == ("deployment/Codertocat/Hello-World/7", "12")
    assert change.title == "deploy 1.1 (5) to 12"


def test_what_is_missing_is_left_out() -> None:
    (change,) = parsed({"deployment": {}}, "deployment").changes
    assert (change.title, change.service, change.state, change.labels) == ("deploy", "", "created", {})
    (again,) = parsed({"deployment": {}, "deployment_status": {"state": "success"}}, "deployment_status").changes
    assert again.key == change.key


WRONG: list[tuple[str, bytes, dict[str, str], str]] = [
    ("a list", b"[1]", {"x-github-event": "push"}, "body: found a list of 1; expected an object with `repository`"),
    ("not JSON", b"<x>", {"x-github-event": "push"}, "body: line 1, column 1"),
    ("nothing of the event", b"{}", {"x-github-event": "release"}, "release: found nothing; expected an object"),
    ("no payload", b"payload=&x=1", {"x-github-event": "push"}, "body: it is empty"),
    ("nested", DEEP, {"x-github-event": "push"}, "body: it is nested too deeply"),
    ("of GitLab", b"{}", {"x-gitlab-event": "Push Hook"}, "x-github-event: the header is missing"),
    ("of nobody", b"{}", {}, "x-github-event: the header is missing; expected GitHub's event name"),
]


@pytest.mark.parametrize(("what", "body", "headers", "error"), WRONG)
def test_what_github_did_not_send_is_refused(what: str, body: bytes, headers: dict[str, str], error: str) -> None:
    with pytest.raises(BadInput) as refused:
        github.parse(Incoming(body, headers), "gh", github.Params(), NOW)
    assert str(refused.value).startswith(error)
    assert ("type: gitlab" in str(refused.value)) is (what == "of GitLab")


async def test_it_signs_as_its_documentation_says() -> None:
    """The example of https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries"""
    digest = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    signed = SignedAs(github.HMAC, ("It's a Secret to Everybody",))
    assert await signed.check(Incoming(b"Hello, World!", {"x-hub-signature-256": f"sha256={digest}"}), NOW) is None
    with pytest.raises(Refused):
        await signed.check(Incoming(b"Hello, World?", {"x-hub-signature-256": f"sha256={digest}"}), NOW)


def test_a_misspelt_setting_is_refused() -> None:
    with pytest.raises(ValidationError, match="branch"):
        github.Params.model_validate({"branch": "main"})


@settings(max_examples=60, deadline=None)
@given(mutated(list(RECORDED.values())) | ANYTHING.map(json.dumps).map(str.encode), st.sampled_from([*EVENTS.values()]))
def test_anything_is_a_change_or_is_refused(body: bytes, event: str) -> None:
    with suppress(BadInput):
        for change in parsed(body, event).changes:
            assert len(change.key) <= 200 and len(change.title) <= 300 and change.at <= NOW
