"""Amazon SNS: CloudWatch alarms, alarm events of EventBridge, and any other message that a topic carries.

    sources:
      sns:
        sns: {topics: ["arn:aws:sns:eu-central-1:123456789012:alarms"]}

In AWS: SNS > Topics > the topic > Create subscription, protocol HTTPS, the address, "Enable raw message delivery" off (a raw message has no
signature, so it is refused). Tocsin confirms the subscription by itself. In CloudWatch let the alarm notify the topic for In alarm and for OK.

A CloudWatch alarm is one problem, by its ARN: ALARM and INSUFFICIENT_DATA fire, OK ends it. Other messages: JSON is read by the usual names
(title, status, severity ...), plain text is the summary; such an alert fires, and is over only if its JSON has a status that says so.
That a subscription was deleted (UnsubscribeConfirmation) changes nothing here; nothing is sent from then on.
Sources: https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html,
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

from pydantic import BaseModel, ConfigDict

from bot.domain.alert import Alert
from bot.domain.incoming import Incoming, Parsed
from bot.errors import BadInput
from bot.plugins import payload

AUTH = ("sns",)

RESOLVED = frozenset({"ok", "resolved", "closed", "recovered", "normal", "up", "success", "succeeded"})
ALARM_EVENT = "CloudWatch Alarm State Change"
_HOST = re.compile(r"sns\.[a-z]{2,4}(?:-[a-z]{2,12}){1,3}-\d{1,2}\.amazonaws\.com(?:\.cn)?")
_REGION = re.compile(r"[a-z]{2,4}(?:-[a-z]{2,12}){1,3}-\d{1,2}")


class Params(BaseModel):
    """Nothing to set: which topics may send is part of `sns`."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def parse(incoming: Incoming, source: str, params: Params, now: datetime) -> Parsed:
    """The alert of a notification, or the subscription to confirm. Raises BadInput for anything that is no message of SNS."""
    if incoming.headers.get("x-amz-sns-rawdelivery", "").strip().lower() == "true":
        raise BadInput(
            "x-amz-sns-rawdelivery: found true; expected SNS's signed JSON: turn off raw message delivery in the subscription"
        )
    body = payload.members(incoming.body, "an object with Type, TopicArn and Message, as SNS sends it")
    match payload.word(body, "Type"):
        case "SubscriptionConfirmation":
            return Parsed(confirm=_confirmed(body))
        case "UnsubscribeConfirmation":
            return Parsed()
        case "Notification":
            return Parsed((_notification(body, source, now),))
        case other:
            if "AlarmName" in body or "detail-type" in body:
                raise BadInput(
                    "body: found the message without its envelope; expected Type, TopicArn and Message: turn off raw message "
                    "delivery in the subscription"
                )
            raise BadInput(
                f'Type: found "{payload.shortened(other)}"; expected "Notification" or "SubscriptionConfirmation"; '
                f"{payload.fitting(body)}"
            )


def _confirmed(body: Mapping[str, Any]) -> str:
    """The address that confirms: only SNS's own, for the topic of this message. Raises BadInput."""
    address = payload.word(body, "SubscribeURL", most=payload.LONGEST_URL)
    try:
        parts = urlsplit(address)
        is_sns = _HOST.fullmatch(parts.netloc) is not None and parts.scheme == "https" and parts.path in ("", "/")
        query = parse_qs(parts.query, max_num_fields=20)
    except ValueError:
        is_sns, query = False, {}
    if not is_sns or not payload.link(address):
        raise BadInput(
            f"SubscribeURL: {payload.found(address)}; expected https://sns.<region>.amazonaws.com/?Action=ConfirmSubscription…"
        )
    if query.get("Action") != ["ConfirmSubscription"] or query.get("TopicArn") != [payload.word(body, "TopicArn")]:
        raise BadInput(
            "SubscribeURL: it confirms something else; expected ConfirmSubscription for the message's TopicArn"
        )
    return address


def _notification(body: Mapping[str, Any], source: str, now: datetime) -> Alert:
    message = body.get("Message")
    carried = _carried(message)
    topic = payload.word(body, "TopicArn").rpartition(":")[2]
    sent = payload.not_after(payload.time(body.get("Timestamp")), now) or now
    if payload.word(carried, "AlarmName") and payload.word(carried, "NewStateValue"):
        return _alarm(carried, topic, source, sent)
    if payload.word(carried, "detail-type") == ALARM_EVENT and payload.inner(carried, "detail"):
        return _alarm(_as_notified(carried), topic, source, sent)
    subject = payload.word(body, "Subject")
    if not carried:
        carried = {
            "title": subject or _first_line(payload.word(body, "Message")) or f"message of {topic}",
            "message": message,
        }
    return _message(carried, subject, topic, source, sent)


def _carried(message: Any) -> dict[str, Any]:
    """The JSON object in the text of a message; empty when it is none."""
    if isinstance(message, dict):
        return message
    if not isinstance(message, str) or not message.lstrip().startswith("{"):
        return {}
    try:
        value = payload.load(message.encode())
    except BadInput:
        return {}
    return value if isinstance(value, dict) else {}


def _as_notified(event: Mapping[str, Any]) -> dict[str, Any]:
    """EventBridge's alarm event with the names of CloudWatch's own notification."""
    detail = payload.inner(event, "detail")
    state, configuration = payload.inner(detail, "state"), payload.inner(detail, "configuration")
    metrics = configuration.get("metrics")
    stat = payload.inner(metrics[0] if isinstance(metrics, list) and metrics else {}, "metricStat")
    metric = payload.inner(stat, "metric")
    return {
        "AlarmName": payload.word(detail, "alarmName"),
        "AlarmArn": payload.first(event.get("resources")),
        "AlarmDescription": payload.word(configuration, "description"),
        "AWSAccountId": payload.word(event, "account"),
        "NewStateValue": payload.word(state, "value"),
        "NewStateReason": payload.word(state, "reason"),
        "StateChangeTime": state.get("timestamp") or event.get("time"),
        "Trigger": {
            "MetricName": metric.get("name"),
            "Namespace": metric.get("namespace"),
            "Dimensions": metric.get("dimensions"),
        },
    }


def _alarm(alarm: Mapping[str, Any], topic: str, source: str, sent: datetime) -> Alert:
    trigger = payload.inner(alarm, "Trigger")
    arn, name = payload.word(alarm, "AlarmArn"), payload.word(alarm, "AlarmName", most=payload.LONGEST_NAME)
    parts = arn.split(":")
    region = parts[3] if len(parts) > 6 and _REGION.fullmatch(parts[3]) else ""
    state = payload.word(alarm, "NewStateValue")
    firing = state.upper() != "OK"
    labels = payload.tags(_dimensions(trigger)) | {
        "alertname": name or "CloudWatch alarm",
        "region": region or payload.word(alarm, "Region"),
        "account": payload.word(alarm, "AWSAccountId"),
        "cloudwatch_namespace": payload.word(trigger, "Namespace"),
        "metric": payload.word(trigger, "MetricName"),
        "state": state,
        "topic": topic,
    }
    identity = {key: labels[key] for key in ("alertname", "region", "account")}
    at = min(payload.time(alarm.get("StateChangeTime")) or sent, sent)
    home = (
        f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#alarmsV2:alarm/{quote(name, safe='')}"
    )
    return Alert(
        source=source,
        fingerprint=payload.fingerprint(arn, identity),
        firing=firing,
        labels=payload.kept(labels),
        annotations=payload.kept(
            {
                "summary": f"{name} is {state}",
                "description": payload.word(alarm, "AlarmDescription"),
                "reason": payload.word(alarm, "NewStateReason"),
            }
        ),
        starts_at=at,
        ends_at=None if firing else at,
        url=payload.link(home) if region and name else "",
    )


def _dimensions(trigger: Mapping[str, Any]) -> Any:
    """The dimensions of the metric; of a calculation those of the first metric in it that has some."""
    own = trigger.get("Dimensions")
    metrics = trigger.get("Metrics")
    if own or not isinstance(metrics, list):
        return own
    stats = (payload.inner(payload.inner(one, "MetricStat"), "Metric").get("Dimensions") for one in metrics[:20])
    return next((dimensions for dimensions in stats if dimensions), None)


def _message(carried: Mapping[str, Any], subject: str, topic: str, source: str, sent: datetime) -> Alert:
    """Any message, by the usual names."""
    fields = payload.folded(carried)
    usual = ("title", "alertname", "alarmname", "name", "detailtype", "subject")
    name = payload.word(fields, *usual, most=payload.LONGEST_NAME) or subject or f"message of {topic}"
    text = payload.word(fields, "summary", "message", "description", "text")
    severity = payload.word(fields, "severity", "priority", "level").lower()
    labels = payload.tags(fields.get("labels") or fields.get("tags")) | {
        "alertname": name,
        "service": payload.word(fields, "service"),
        "region": payload.word(fields, "region"),
        "account": payload.word(fields, "account", "awsaccountid", "accountid"),
        "resource": payload.first(fields.get("resources")),
        "topic": topic,
    }
    own = payload.word(fields, "fingerprint", "dedupkey", "alarmarn")
    firing = payload.word(fields, "status", "state").lower() not in RESOLVED
    said = {"summary": _first_line(text) or subject or name, "description": text}
    return Alert(
        source=source,
        fingerprint=payload.fingerprint(own, labels),
        firing=firing,
        labels=payload.kept(labels | ({"severity": severity} if severity else {})),
        annotations=payload.kept(said),
        starts_at=sent,
        ends_at=None if firing else sent,
        url=payload.link(payload.word(fields, "url", "link")),
    )


def _first_line(text: str) -> str:
    return next((payload.shortened(line, 200) for line in text[:2_000].splitlines() if line.strip()), "")
