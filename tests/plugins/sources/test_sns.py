"""Amazon SNS: alarms of CloudWatch, other messages, and the confirmation of a subscription."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from bot.domain.alert import Alert
from bot.domain.incoming import Incoming, Parsed
from bot.errors import BadInput
from bot.plugins.sources import sns
from tests.support.payloads import bodies

RECORDED = {file.stem: json.loads(file.read_text()) for file in (Path(__file__).parent / "sns").glob("*.json")}
NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def parsed(body: Any) -> Parsed:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return sns.parse(Incoming(raw), "sn", sns.Params(), NOW)


def only(body: Any) -> Alert:
    (alert,) = parsed(body).alerts
    return alert


TOPIC = "arn:aws:sns:eu-central-1:123456789012:alarms"


def notified(message: Any, **envelope: Any) -> Alert:
    text = message if isinstance(message, str) else json.dumps(message)
    return only({"Type": "Notification", "TopicArn": TOPIC, "MessageId": "1", "Message": text, **envelope})


def test_an_alarm_of_cloudwatch_fires() -> None:
    alert = only(RECORDED["cloudwatch-alarm"])
    assert (alert.firing, alert.name) == (True, "HighCPU")
    assert alert.fingerprint == "arn:aws:cloudwatch:eu-central-1:123456789012:alarm:HighCPU"
    assert (alert.labels["InstanceId"], alert.labels["region"], alert.labels["topic"]) == (
        "i-0c986c72",
        "eu-central-1",
        "alarms",
    )
    assert alert.starts_at == datetime(2026, 11, 21, 11, 0, 0, 236000, tzinfo=UTC)
    assert alert.url.startswith(
        "https://eu-central-1.console.aws.amazon.com/cloudwatch/home?region=eu-central-1#alarmsV2:alarm/"
    )


def test_ok_ends_the_same_problem() -> None:
    fired, over = only(RECORDED["cloudwatch-alarm"]), only(RECORDED["cloudwatch-ok"])
    assert (over.firing, over.fingerprint) == (False, fired.fingerprint)
    assert over.ends_at == datetime(2026, 11, 21, 11, 20, 0, 236000, tzinfo=UTC)


def test_the_event_of_eventbridge_is_the_same_alarm() -> None:
    event, alarm = only(RECORDED["eventbridge-alarm"]), only(RECORDED["cloudwatch-alarm"])
    assert (event.fingerprint, event.starts_at, event.labels) == (alarm.fingerprint, alarm.starts_at, alarm.labels)


def test_an_alarm_without_data_fires_and_a_calculation_has_the_dimensions_of_its_metric() -> None:
    alert = only(RECORDED["cloudwatch-metric-math"])
    assert (alert.firing, alert.labels["state"], alert.labels["FunctionName"]) == (
        True,
        "INSUFFICIENT_DATA",
        "checkout",
    )


def test_an_alarm_needs_no_more_than_its_name_and_state() -> None:
    fired = notified({"AlarmName": 7, "NewStateValue": "ALARM"})
    over = notified({"AlarmName": 7, "NewStateValue": "OK", "NewStateReason": "x"})
    assert (fired.name, fired.fingerprint, over.firing) == ("7", over.fingerprint, False)


def test_plain_text_fires_with_its_first_line_as_the_summary() -> None:
    alert = only(RECORDED["plain-text"])
    assert (alert.firing, alert.name, alert.summary) == (True, "Backup failed", "Backup of orders failed")
    assert alert.annotations["description"] == "Backup of orders failed\nsee the log"
    assert notified("another text", Subject="Backup failed").fingerprint == alert.fingerprint


def test_other_json_is_read_by_the_usual_names_and_can_say_that_it_is_over() -> None:
    alert = only(RECORDED["other-json"])
    assert (alert.firing, alert.name, alert.service, alert.labels["env"]) == (
        True,
        "Budget exceeded",
        "billing",
        "prod",
    )
    assert alert.labels["severity"] == "high"
    over = notified({"title": "Budget exceeded", "status": "resolved", "service": "billing", "tags": {"env": "prod"}})
    assert (over.firing, over.fingerprint) == (False, alert.fingerprint)


def test_a_subscription_is_confirmed_at_sns() -> None:
    body = RECORDED["subscription-confirmation"]
    assert parsed(body) == Parsed(confirm=body["SubscribeURL"])


QUERY = f"Action=ConfirmSubscription&TopicArn={TOPIC}&Token=2"
ADDRESSES: list[tuple[Any, bool]] = [
    (f"https://sns.eu-central-1.amazonaws.com/?{QUERY}", True),
    (f"https://sns.us-gov-west-1.amazonaws.com/?{QUERY}", True),
    (f"https://sns.cn-north-1.amazonaws.com.cn/?{QUERY}", True),
    (f"http://sns.eu-central-1.amazonaws.com/?{QUERY}", False),
    (f"https://sns.eu-central-1.amazonaws.com.evil.example/?{QUERY}", False),
    (f"https://evil.example/sns.eu-central-1.amazonaws.com/?{QUERY}", False),
    (f"https://sns.eu-central-1.amazonaws.com@evil.example/?{QUERY}", False),
    (f"https://sns.eu-central-1.amazonaws.com:8443/?{QUERY}", False),
    (f"https://sns.eu-central-1.amazonaws.com\\@evil.example/?{QUERY}", False),
    (f"https://sqs.eu-central-1.amazonaws.com/?{QUERY}", False),
    (f"https://bucket.s3.amazonaws.com/?{QUERY}", False),
    (f"https://sns.eu-central-1.amazonaws.com/other?{QUERY}", False),
    (f"https://sns.eu-central-1.amazonaws.com/?{QUERY.replace('alarms', 'others')}", False),
    (f"https://sns.eu-central-1.amazonaws.com/?{QUERY.replace('Confirm', 'Un')}", False),
    ("https://[sns.eu-central-1.amazonaws.com/", False),
    ("http://169.254.169.254/latest/meta-data", False),
    ("", False),
    (None, False),
    (5, False),
]


@pytest.mark.parametrize(("address", "good"), ADDRESSES)
def test_nothing_but_sns_itself_is_ever_asked_to_confirm(address: Any, good: bool) -> None:
    body = {**RECORDED["subscription-confirmation"], "SubscribeURL": address}
    if good:
        assert parsed(body).confirm == address
    else:
        with pytest.raises(BadInput, match="SubscribeURL"):
            parsed(body)


def test_the_end_of_a_subscription_is_taken_and_confirms_nothing() -> None:
    assert parsed(RECORDED["unsubscribe-confirmation"]) == Parsed()


def test_a_raw_message_is_refused_with_what_to_do() -> None:
    alarm = RECORDED["cloudwatch-alarm"]["Message"].encode()
    with pytest.raises(BadInput, match="turn off raw message delivery"):
        sns.parse(Incoming(alarm, {"x-amz-sns-rawdelivery": "true"}), "sn", sns.Params(), NOW)
    with pytest.raises(BadInput, match="turn off raw message delivery"):
        parsed(alarm)


@pytest.mark.parametrize("message", ["{", "[1]", '"x"', "{" + '"a":{' * 500, "", "\ud83d\ude00"])
def test_a_message_that_is_no_json_is_text(message: str) -> None:
    alert = notified(message)
    assert (alert.firing, alert.labels["topic"]) == (True, "alarms")


def test_only_sns_can_show_who_it_is() -> None:
    assert sns.AUTH == ("sns",)


@settings(max_examples=60, deadline=None)
@given(bodies(list(RECORDED.values())))
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    with suppress(BadInput):
        assert isinstance(parsed(body), Parsed)


NOT_OBJECTS: list[tuple[bytes, str]] = [
    (b"[1, 2]", "found a list of 2"),
    (b'"down"', "found the text"),
    (b"", "it is empty"),
    (b'{"a": ', "line 1, column"),
    (b'{"colour": "red"}', "type: generic"),
    (b'{"alerts": [], "receiver": "x"}', "type: alertmanager"),
]


@pytest.mark.parametrize(("body", "said"), NOT_OBJECTS)
def test_what_is_no_payload_of_this_product_is_refused_in_words(body: bytes, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        parsed(body)
