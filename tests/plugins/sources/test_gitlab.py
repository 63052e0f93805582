"""GitLab's webhooks: deployments, releases, pipelines, pushes and feature flags become changes, everything else nothing."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from bot.domain.incoming import ChangeEvent, Incoming, Parsed
from bot.entry.auth_hmac import SignedAs
from bot.entry.problems import Refused
from bot.errors import BadInput
from bot.plugins.sources import gitlab
from tests.support.payloads import ANYTHING, mutated

RECORDED = {
    file.stem: json.loads(file.read_text()) for file in sorted((Path(__file__).parent / "gitlab").glob("*.json"))
}
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def parsed(body: Any, event: str = "Push Hook", **params: Any) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return gitlab.parse(Incoming(raw, {"x-gitlab-event": event}), "gl", gitlab.Params.model_validate(params), NOW)


def changed(name: str, /, *, inside: str = "", params: dict[str, Any] | None = None, **members: Any) -> Any:
    """The change that a documented event is, with some members (of its object `inside`) different; None when there is none."""
    body = json.loads(json.dumps(RECORDED[name]))
    (body[inside] if inside else body).update(members)
    result = parsed(body, **(params or {}))
    assert (result.alerts, result.bad, result.acknowledged) == ((), (), ())
    return result.changes[0] if result.changes else None


def only(name: str, /, **changes: Any) -> ChangeEvent:
    change = changed(name, **changes)
    assert isinstance(change, ChangeEvent)
    return change


def test_a_deployment_is_a_change_with_its_newest_state() -> None:
    change = only("deployment")
    assert change == ChangeEvent(
        source="gl",
        key="deployment/root/test-deployment-webhooks/15",
        kind="deployment",
        title="deploy 279484c0 to staging (Add new file)",
        at=datetime(2021, 4, 28, 19, 50, tzinfo=UTC),
        state="success",
        service="test-deployment-webhooks",
        environment="staging",
        author="root",
        url="http://10.126.0.2:3000/root/test-deployment-webhooks/-/jobs/796",
        labels={"repository": "root/test-deployment-webhooks", "sha": "279484c0", "tier": "staging"},
    )
    running = only("deployment", status="running", deployable_url=None)
    assert (running.key, running.state) == (change.key, "running")
    assert "/-/commit/" in running.url


def test_a_release_is_a_change_when_it_comes_or_goes() -> None:
    change, gone = only("release"), only("release", action="delete")
    assert (change.title, change.state, change.author) == ("release v1.1", "published", "Example User")
    assert change.at == datetime(2020, 11, 2, 12, 55, 12, tzinfo=UTC)
    assert (gone.key, gone.state, gone.at) == (change.key, "deleted", NOW)
    assert changed("release", action="update") is None


def test_a_failed_pipeline_of_the_default_branch_is_a_change() -> None:
    change = only("pipeline-failed")
    assert (change.kind, change.state, change.author) == ("workflow", "failed", "root")
    assert change.title == "Pipeline for branch: master #31 on master (test)"
    assert change.at == datetime(2016, 8, 12, 15, 26, 29, tzinfo=UTC)
    assert change.url == "http://example.com/gitlab-org/gitlab-test/-/pipelines/31"
    again = only("pipeline-failed", inside="object_attributes", status="success", url=None)
    assert (again.key, again.state) == (change.key, "success")
    assert again.url == "http://192.168.64.1:3005/gitlab-org/gitlab-test/-/pipelines/31"


@pytest.mark.parametrize(
    "members",
    [{"status": "running"}, {"status": None}, {"ref": "fix"}, {"source": "merge_request_event"}, {"status": "skipped"}],
)
def test_pipelines_that_run_and_those_of_other_branches_are_no_changes(members: dict[str, Any]) -> None:
    assert changed("pipeline-failed", inside="object_attributes", **members) is None


def test_a_push_is_told_by_its_newest_commit() -> None:
    change = only("push")
    assert change.title == "push to master: fixed readme (4 commits)"
    assert (change.at, change.author) == (NOW, "jsmith")
    assert change.url == "http://example.com/mike/diaspora/-/commit/da1560886d4f094c3e6c9ef40349f7d38b5d27d7"


@pytest.mark.parametrize("members", [{"ref": "refs/heads/fix"}, {"ref": "refs/tags/v1"}, {"after": "0" * 40}])
def test_a_push_elsewhere_and_a_deleted_branch_are_no_changes(members: dict[str, Any]) -> None:
    assert changed("push", **members) is None


def test_branches_and_services_are_as_configured() -> None:
    params = {"branches": ["release/*"], "services": {"Mike/Diaspora": "social"}}
    assert changed("push", params=params) is None
    assert only("push", ref="refs/heads/release/2", params=params).service == "social"


def test_a_feature_flag_is_a_change() -> None:
    on, off = only("feature-flag"), only("feature-flag", inside="object_attributes", active=False)
    assert (on.kind, on.title, on.state) == ("change", "feature flag test-feature-flag turned on", "on")
    assert (off.key, off.state) == (on.key, "off")


@pytest.mark.parametrize(
    "kind", ["issue", "work_item", "incident", "alert", "note", "merge_request", "build", "tag_push", "", None, 5]
)
def test_every_other_event_says_nothing_incidents_and_alerts_too(kind: Any) -> None:
    assert parsed({"object_kind": kind, "object_attributes": {"severity": "critical"}}, "Issue Hook") == Parsed()


def test_events_of_the_whole_server_are_read_by_what_they_are() -> None:
    assert parsed(RECORDED["push"], "System Hook").changes == parsed(RECORDED["push"]).changes


def test_what_is_missing_is_left_out() -> None:
    (change,) = parsed({"object_kind": "deployment"}).changes
    assert (change.title, change.service, change.state, change.url, change.at) == ("deploy", "", "", "", NOW)


WRONG: list[tuple[bytes, dict[str, str], str]] = [
    (b"[1]", {"x-gitlab-event": "Push Hook"}, "body: found a list of 1; expected an object with `object_kind`"),
    (
        b'{"object_kind": "pipeline", "object_attributes": 5}',
        {"x-gitlab-event": "Pipeline Hook"},
        "object_attributes: found the number 5; expected an object",
    ),
    (
        b"{}",
        {"x-github-event": "push"},
        "x-gitlab-event: the header is missing; expected GitLab's event name; it comes",
    ),
    (b"{}", {}, "x-gitlab-event: the header is missing"),
]


@pytest.mark.parametrize(("body", "headers", "error"), WRONG)
def test_what_gitlab_did_not_send_is_refused(body: bytes, headers: dict[str, str], error: str) -> None:
    with pytest.raises(BadInput) as refused:
        gitlab.parse(Incoming(body, headers), "gl", gitlab.Params(), NOW)
    assert str(refused.value).startswith(error)


async def test_a_signing_token_signs_as_standard_webhooks_does() -> None:
    """The secret and the message of that specification's own tests; any of several signatures may fit."""
    at, body = datetime.fromtimestamp(1614265330, UTC), b'{"test": 2432232314}'
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    signed = SignedAs(gitlab.HMAC, ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",))
    assert await signed.check(Incoming(body, headers), at) is None
    with pytest.raises(Refused):
        await signed.check(Incoming(body, {**headers, "webhook-id": "other"}), at)


@settings(max_examples=60, deadline=None)
@given(mutated(list(RECORDED.values())) | ANYTHING.map(lambda value: json.dumps(value).encode()))
def test_anything_is_a_change_or_is_refused(body: bytes) -> None:
    with suppress(BadInput):
        for change in parsed(body).changes:
            assert len(change.key) <= 200 and len(change.title) <= 300 and change.at <= NOW
