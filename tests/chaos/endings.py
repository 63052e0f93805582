"""How a story ended, in a form that can be compared with how it should have ended."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

from bot.practice.cluster.resources import DEPLOYMENTS
from tests.chaos.outside import Outside, key_of

# Times, ids that Slack gave, folders, hashes over times.
VARIABLE = re.compile(
    r"<!date\^\d+\^[^>]*>|\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|\+00:00)?|\b\d\d:\d\d(:\d\d)?\b|\b\d+ ?(s|min)\b"
    r"|\b[CD]0PR[0-9A-F]{7}\b|/\S+(?=/postmortems/)|`[0-9a-f]{64}`"
)
# A page says where to go: to the channel once there is one. What is said has the number of its timeline entry in its key.
LATE_OR_EARLY = ((re.compile(r"its channel is being opened"), "<#…>"), (re.compile(r"\bsay:1:\d+"), "say:1:…"))
# After an interruption the bot finds a thing done instead of doing it, and cannot know whether a page arrived: it says so, and that is right.
THE_SAME = (
    (
        re.compile(r"RUN-1 did Roll back: Deployment shop/checkout: revision: 14 -> 13 \([^)]*\)"),
        "RUN-1: Roll back is done already",
    ),
    (re.compile(r"page_skipped: (.*) may have been paged.*"), r"page_sent: \1 was paged through Slack"),
    (re.compile(r"It was open for \d+ \w+"), "It was open for some time"),
    (re.compile(r"(\w+ \w+) may have been paged, and is not paged again: INC-1 is \w+"), r"\1 was paged through Slack"),
)


def timeless(value: Any) -> Any:
    """The same whenever and wherever it was written."""
    if isinstance(value, dict):
        return {name: timeless(part) for name, part in value.items()}
    if isinstance(value, list):
        return [timeless(part) for part in value]
    if isinstance(value, str):
        for pattern, same in (*THE_SAME, *LATE_OR_EARLY):
            value = pattern.sub(same, value)
        return VARIABLE.sub("…", value)
    return value


async def final(it: Outside) -> dict[str, Any]:
    """All that is in Slack, in the cluster and in the database at the end."""
    state = it.world.workspace.state
    channels: dict[str, Any] = {}
    for channel in state.channels.values():
        # In direct messages, what has no key answers a click when Slack's other ways to answer fail.
        messages = [
            one for one in channel.messages.values() if not one.subtype and (key_of(one) or not channel.im_with)
        ]
        channels[channel.name or f"direct {channel.im_with}"] = {
            "topic": channel.topic,
            "purpose": channel.purpose,
            "members": sorted(channel.members),
            "pinned": [key_of(channel.messages[ts]) for ts in channel.pins],
            "messages": sorted(
                f"{key_of(one)} | {one.text} | {json.dumps(timeless(one.blocks), ensure_ascii=False)}"
                for one in messages
            ),
            "files": sorted(one.name for one in state.files.values() if channel.id in one.channels),
        }
    (deployment,) = [one for one in it.world.cluster.snapshot()["deployments"] if one["name"] == "checkout"]
    files = it.files("INC-1-post-mortem")
    looked = await it.look()
    looked["waiting"].pop("escalate", None)  # a timer that will find nothing to do
    written = it.folder / "postmortems" / "INC-1.md"
    return dict(
        timeless(
            {
                "channels": channels,
                "deployment": {name: deployment[name] for name in ("image", "ready")},
                "generation": it.world.cluster.store.need(DEPLOYMENTS, "shop", "checkout")["metadata"]["generation"],
                "patches": it.patches(),
                "post-mortem": files[0].content.decode().splitlines() if files else [],
                "keys used twice": [key for key, times in Counter(it.keys()).items() if times > 1],
                "as written": [written.read_bytes() == file.content for file in files],
                **looked,
            }
        )
    )


def must_be_right(state: dict[str, Any]) -> None:
    """What the story must have come to when nothing went wrong."""
    (incident,) = state["incidents"].values()
    assert incident["state"] == "resolved"
    assert incident["chain"] == "unbroken"
    assert [run["state"] for run in incident["runs"]] == ["succeeded"]
    assert state["patches"] == ["patch deployments checkout"]
    assert state["deployment"] == {"image": "checkout:1.4.1", "ready": 3}
    assert state["as written"] == [True]
    assert state["dead"] == []
    assert state["due"] == {}
    assert state["waiting"] == {}
    assert state["keys used twice"] == []
    assert [name for name in state["channels"] if name.startswith("inc-")] == ["inc-1-checkout-high-error-rate"]


def differences(one: Any, other: Any, path: str = "", *, ordered: bool = True) -> list[str]:
    """Where two states differ, in words. Not `ordered`: the same lines in another order are no difference."""
    if isinstance(one, dict) and isinstance(other, dict):
        return [
            line
            for name in dict.fromkeys([*one, *other])
            for line in differences(one.get(name), other.get(name), f"{path}/{name}", ordered=ordered)
        ]
    if isinstance(one, list) and isinstance(other, list):
        missing, more = _without(one, other), _without(other, one)
        order = ["    in another order"] if ordered and not missing and not more and one != other else []
        lines = [f"    - {text}"[:600] for text in missing] + [f"    + {text}"[:600] for text in more] + order
        return [f"{path}:", *lines] if lines else []
    return [] if one == other else [f"{path}: {other!r} instead of {one!r}"]


def _without(some: list[Any], others: list[Any]) -> list[Any]:
    left = list(others)
    missing = []
    for one in some:
        if one in left:
            left.remove(one)
        else:
            missing.append(one)
    return missing
