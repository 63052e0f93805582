"""What the gatherers say about the demo's broken deployment, and what they say when there is little to say."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import quote

import pytest

from bot.errors import BadInput, TryLater
from bot.plugins.gatherers.metrics import Question, understood
from tests.plugins.gatherers.world import LABELS, LINK, World, demo

RATIO = LINK.format(quote('demo_error_ratio{namespace="shop"} > 0.05'))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with demo() as one:
        yield one


# ------------------------------------------------------------------------------------------------ rollouts


async def test_the_rollout_before_the_alert_is_named_with_its_images(world: World) -> None:
    (found,) = await world.gather("rollouts")
    assert found.lines == ("checkout 1.4.1 -> 1.4.2, 4 min before the alert (revision 13 -> 14)",)
    assert found.source == "ReplicaSets of namespace shop, 6 h before the alert"


async def test_rollouts_of_neighbours_follow_when_they_are_recent(world: World) -> None:
    world.cluster.set_image("shop", "payments", "payments:3.9.0")
    world.forward(30)
    (found,) = await world.gather("rollouts")
    assert [line.split(",")[0] for line in found.lines] == ["checkout 1.4.1 -> 1.4.2", "payments 3.8.1 -> 3.9.0"]
    (found,) = await world.gather("rollouts", lookback=timedelta(days=2))
    assert "search 0.19.3 -> 0.19.4, 1 d before the alert (revision 21 -> 22)" in found.lines
    (found,) = await world.gather("rollouts", lookback=timedelta(days=60), most=2)
    assert len(found.lines) == 2


async def test_no_rollout_lately_is_said_with_the_last_one(world: World) -> None:
    (found,) = await world.gather("rollouts", labels={**LABELS, "deployment": "cart"})
    assert (
        found.lines[0] == "cart: none lately; the last was cart 2.6.3 -> 2.7.0, 12 d before the alert (revision 4 -> 5)"
    )
    assert found.lines[1].startswith("checkout 1.4.1 -> 1.4.2")


async def test_a_rollback_is_recognised(world: World) -> None:
    world.cluster.set_image("shop", "checkout", "checkout:1.4.1")
    world.forward(30)
    (found,) = await world.gather("rollouts")
    assert found.lines[0] == "checkout 1.4.2 -> 1.4.1 again (revision 14 -> 15; it ran before as revision 13)"


# ------------------------------------------------------------------------------------------------ pods, events, logs


async def test_pods_that_are_not_ready_come_with_the_reason(world: World) -> None:
    (found,) = await world.gather("pods", most=2)
    assert found.lines[0] == "0 of 3 pods of checkout are ready"
    assert "CrashLoopBackOff" in found.lines[1]
    assert "last exit 1 (Error)" in found.lines[1]
    assert "(checkout:1.4.2)" in found.lines[1]
    assert found.lines[3] == "… and 1 more with trouble"


async def test_pods_that_are_well_are_counted(world: World) -> None:
    (found,) = await world.gather("pods", labels={**LABELS, "deployment": "payments"})
    assert found.lines == ("3 of 3 pods of payments are ready",)


async def test_the_same_warning_of_several_pods_is_one_line(world: World) -> None:
    (found,) = await world.gather("events")
    backoffs = [line for line in found.lines if line.startswith("BackOff ×")]
    assert len(backoffs) == 1
    assert "3 objects, such as checkout-" in backoffs[0]
    (found,) = await world.gather("events", labels={**LABELS, "deployment": "payments"})
    assert found.lines == ("none",)


async def test_the_log_of_the_worst_pod_is_shown_without_its_secrets(world: World) -> None:
    found = await world.gather("logs", lines=20)
    assert found[0].title.endswith("before its last restart")
    assert found[0].code
    text = "\n".join(line for one in found for line in one.lines)
    assert "sessions API v2 not found" in text
    for secret in ("hunter2", "AKIA", "wJalr", "eyJ", "s3cr3t"):
        assert secret not in text
    assert "[redacted: password]" in text


async def test_a_log_is_bounded_in_lines_and_in_their_length(world: World) -> None:
    world.cluster.logs_for_bad_image = "x" * 5000 + "\nlast\n"
    found = await world.gather("logs", lines=2)
    assert all(len(one.lines) <= 2 and all(len(line) <= 300 for line in one.lines) for one in found)


async def test_a_log_that_cannot_be_read_is_missing_with_the_reason(world: World) -> None:
    world.cluster.fail("status", resource="pods/log", status=400, count=None)
    found = await world.gather("logs")
    assert all(one.missing and not one.lines for one in found)


# ------------------------------------------------------------------------------------------------ metrics


async def test_the_alerts_own_expression_is_followed_through_the_last_hour(world: World) -> None:
    (found,) = await world.gather("metrics", url=RATIO)
    assert "now (lowest 0.00" in found.lines[0]
    assert "> 0.05 since 07:5" in found.lines[0]
    assert found.source == 'demo_error_ratio{namespace="shop"}, the last 1 h'
    assert found.url == RATIO


async def test_the_picture_is_a_small_png(world: World) -> None:
    (found,) = await world.gather("metrics", url=RATIO)
    assert found.picture is not None
    assert found.picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", found.picture[16:24]) == (600, 240)
    assert len(found.picture) < 60_000
    (found,) = await world.gather("metrics", url=RATIO, picture=False)
    assert found.picture is None


async def test_series_that_are_not_the_alerts_are_left_out_and_several_are_told_apart(world: World) -> None:
    labels = {"alertname": "x", "namespace": "shop"}
    (found,) = await world.gather("metrics", labels=labels, url=RATIO, most=3)
    assert found.lines[0].split(",")[0] == "deployment=checkout"
    assert len(found.lines) == 3


@pytest.mark.parametrize("url", ["", "http://grafana.example/d/abc", "http://[bad", "http://x/graph?g0.expr="])
async def test_an_alert_without_an_expression_is_said_to_have_none(world: World, url: str) -> None:
    with pytest.raises(BadInput, match="no alert carries a link to its expression"):
        await world.gather("metrics", url=url)


async def test_an_expression_without_data_is_missing(world: World) -> None:
    (found,) = await world.gather("metrics", url=LINK.format(quote('demo_error_ratio{namespace="nope"} > 1')))
    assert found.missing == "the expression gives no data"


QUESTIONS = {
    "ratio > 0.05": Question("ratio", ">", 0.05),
    "sum(rate(a[5m])) / sum(rate(b[5m])) >= 1e-3": Question("sum(rate(a[5m])) / sum(rate(b[5m]))", ">=", 0.001),
    "up == 0": Question("up", "==", 0.0),
    "up == bool 0": Question("up", "==", 0.0),
    'x{a="b > 1"}': Question('x{a="b > 1"}'),
    'x{a="b or c"} > 1': Question('x{a="b or c"}', ">", 1.0),
    "a > 1 and b > 2": Question("a > 1 and b > 2"),
    "(a > 1)": Question("(a > 1)"),
    "count(a > 1) > 2": Question("count(a > 1)", ">", 2.0),
    "absent(up)": Question("absent(up)"),
    "> 1": Question("> 1"),
    "a < -0.5": Question("a", "<", -0.5),
}


@pytest.mark.parametrize(("expression", "question"), QUESTIONS.items())
def test_an_expression_is_taken_apart_where_it_compares_with_a_number(expression: str, question: Question) -> None:
    assert understood(expression) == question


# ------------------------------------------------------------------------------------------------ which object


@pytest.mark.parametrize(
    "labels",
    [
        {"namespace": "shop", "deployment": "checkout"},
        {"namespace": "shop", "app": "checkout"},
        {"exported_namespace": "shop", "service": "checkout"},
        {"namespace": "shop", "service": "unknown", "job": "checkout"},
    ],
)
async def test_the_deployment_is_found_by_the_usual_labels(world: World, labels: dict[str, str]) -> None:
    (found,) = await world.gather("rollouts", labels=labels)
    assert found.lines[0].startswith("checkout 1.4.1 -> 1.4.2")


async def test_the_deployment_is_found_by_a_pod_that_is_there_or_has_gone(world: World) -> None:
    (pod, *_) = await world.kit.cluster.pods("shop", "app=checkout")
    for name in (pod["metadata"]["name"], "checkout-6d4cf56db6-abcde"):
        (found,) = await world.gather("pods", labels={"namespace": "shop", "pod": name})
        assert found.source == "pods app=checkout in namespace shop"


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"service": "checkout"}, r"the alert has no namespace label \(its labels: service\)"),
        ({"namespace": "shop"}, "no label that names a Deployment"),
        ({"namespace": "shop", "app": "nope"}, "namespace shop has no Deployment named or labelled nope"),
        ({"namespace": "../x", "app": "nope"}, "cannot be a namespace"),
    ],
)
@pytest.mark.parametrize("name", ["rollouts", "pods", "logs", "events"])
async def test_an_alert_that_names_nothing_says_what_is_missing(
    world: World, name: str, labels: dict[str, str], words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        await world.gather(name, labels=labels)


@pytest.mark.parametrize("name", ["rollouts", "pods", "logs", "events"])
async def test_a_cluster_that_is_out_of_order_is_for_later(world: World, name: str) -> None:
    world.cluster.fail("status", status=503, count=None)
    with pytest.raises(TryLater):
        await world.gather(name)
