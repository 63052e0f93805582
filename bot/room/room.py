"""What the bot does in Slack: the `Room` that the worker acts through. It never retries and looks before it acts again."""

from __future__ import annotations

import html
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeVar

from bot.clients.slack import SlackError, SlackGateway
from bot.domain.alert import AlertState
from bot.domain.context import Context
from bot.domain.digest import Digest
from bot.domain.effects import Priority
from bot.domain.incident import Incident
from bot.domain.naming import slug
from bot.domain.notice import Notice
from bot.domain.people import Directory
from bot.domain.run import Run
from bot.domain.step import StepRun
from bot.errors import GaveUp
from bot.room import digest as digests
from bot.room import messages, mrkdwn, notices
from bot.room.blocks import Message
from bot.room.channels import Channels
from bot.room.posts import File, Key, Posts, after_the_act
from bot.room.runs import run_message

T = TypeVar("T")

CANNOT_INVITE = {
    "user_not_found": "Slack does not know this user id",
    "cant_invite": "this user cannot be invited (deactivated, or a bot)",
    "user_is_restricted": "this user is a guest and may not join",
    "user_is_ultra_restricted": "this user is a guest and may not join",
    "channel_not_found": "the channel is gone",
    "is_archived": "the channel is archived",
}
ASKER = re.compile(r"tocsin-run-(\d+)-")  # in the key of what a run asks for (Run.key)
ALREADY_THERE = frozenset({"already_in_channel", "cant_invite_self"})
WORDS = {
    "is_archived": "is archived",
    "channel_not_found": "is gone or not visible to the bot",
    "not_in_channel": "has removed the bot: invite it again",
    "user_not_found": "is not known to Slack: check the user id in oncall.yaml",
    "users_not_found": "is not known to Slack: check the user id in oncall.yaml",
    "user_disabled": "is deactivated in Slack",
    "cannot_dm_bot": "is a bot",
    "messages_tab_disabled": "cannot get direct messages: turn on the Messages tab of the app (see deploy/slack)",
}


class SlackRoom:
    """Implements bot.domain.ports.Room. `directory` may be replaced when the configuration is read again."""

    def __init__(self, gateway: SlackGateway, directory: Directory, fallback_channel: str) -> None:
        self.directory = directory
        self._gateway = gateway
        self._fallback = fallback_channel
        self._posts = Posts(gateway)
        self._channels = Channels(gateway)

    async def open_channel(self, incident: Incident, again: bool) -> tuple[str, str]:
        return await self._channels.open(incident, again)

    async def invite(self, incident: Incident, people: Sequence[str]) -> list[str]:
        """All in one call, so that one wrong id keeps nobody out. Without a channel there is nothing to be invited to."""
        users: dict[str, str] = {}
        reasons: list[str] = []
        for person in people:
            user = self._slack_id(person)
            if user:
                users[user] = self._name(person)
            elif person != "tocsin":
                reasons.append(f"{self._name(person)}: no Slack user id in oncall.yaml")
        if not users or not incident.channel_id:
            return reasons
        try:
            answer = await self._gateway.call(
                "conversations.invite",
                channel=incident.channel_id,
                priority=Priority.CHANNEL,
                users=",".join(users),
                force=True,
            )
        except SlackError as error:
            errors = error.answer.get("errors") or [{"user": user, "error": error.error} for user in users]
        else:
            errors = answer.get("errors") or []
        for refused in errors:
            why = str(refused.get("error"))
            if why not in ALREADY_THERE:
                reasons.append(f"{users.get(refused.get('user'), 'somebody')}: {CANNOT_INVITE.get(why, why)}")
        return reasons

    async def topic(self, incident: Incident) -> None:
        """Set it only when it differs: every change is a line in the channel."""
        if not incident.channel_id:
            return
        channel, wanted = incident.channel_id, messages.topic(incident)
        answer = await self._gateway.call("conversations.info", channel=channel, priority=Priority.COSMETICS)
        now = str((answer["channel"].get("topic") or {}).get("value") or "")
        if html.unescape(now) != html.unescape(wanted):
            await self._in(
                channel,
                lambda: self._gateway.call(
                    "conversations.setTopic", channel=channel, priority=Priority.COSMETICS, topic=wanted
                ),
            )

    async def card(self, incident: Incident, alerts: Sequence[AlertState], runs: Sequence[Run], again: bool) -> str:
        channel = await self._channel_of(incident)
        message = messages.card(incident, alerts, runs, self.directory)
        ts = await self._put(channel, message, f"card:{incident.id}", incident, again, ts=incident.card_ts)
        if ts != incident.card_ts and incident.channel_id:
            with after_the_act():
                await self._pin(channel, ts)
        return ts

    async def say(self, incident: Incident, text: str, key: str, again: bool) -> str:
        channel = await self._channel_of(incident)
        where = "" if incident.channel_id else f"{incident.ref}: "
        return await self._once(channel, messages.said(where + text), Key(key, incident.mark), again, Priority.CARD)

    async def page(self, incident: Incident, target: str, level: int, key: str, again: bool, address: str = "") -> str:
        message = messages.page(incident, target, level)
        return await self._deliver(target, message, Key(key, incident.mark), again, address)

    async def notice(self, notice: Notice, target: str, address: str, again: bool) -> str:
        return await self._deliver(target, notices.notice(notice), Key(notice.key, notice.mark), again, address)

    async def _deliver(self, target: str, message: Message, key: Key, again: bool, address: str = "") -> str:
        """To a channel by name, or to a person by direct message (`address`: their Slack id, when it is known); once. Who cannot be reached is a
        reason in words."""
        kind, _, name = target.partition(":")
        if kind == "channel":
            return await self._once(await self._channels.by_name(name), message, key, again, Priority.PAGE)
        user = address or self._slack_id(name)
        if not user:
            raise GaveUp(f"{self._name(name)} cannot be paged: no Slack user id in oncall.yaml")
        try:
            channel = await self._channels.direct(user)
            return await self._posts.once(channel, message, key, again=again, priority=Priority.PAGE)
        except SlackError as error:
            self._channels.forget(user)
            raise GaveUp(f"{self._name(name)} cannot be paged: {WORDS.get(error.error, error)}") from error

    async def alarm(self, text: str, key: str, again: bool) -> str:
        channel = await self._channels.by_name(self._fallback)
        message = messages.alarm(text, everybody=key.startswith("alarm:exhausted"))
        return await self._once(channel, message, Key(key), again, Priority.PAGE)

    async def digest(self, channel: str, digest: Digest, key: str, again: bool) -> str:
        found = await self._channels.by_name(channel.removeprefix("#") or self._fallback)
        return await self._once(found, digests.digest(digest), Key(key), again, Priority.COSMETICS)

    async def show_context(self, incident: Incident, context: Context, again: bool) -> str:
        channel = await self._channel_of(incident)
        name = f"context:{incident.id}:{context.epoch}"
        message = messages.context(incident, context)
        ts = await self._put(channel, message, name, incident, again, Priority.CONTEXT, context.message_ts)
        pictures = list(_pictures(incident, context, name))
        if pictures:
            look = again or bool(context.message_ts)
            comment = f"Pictures for {incident.ref}"
            with after_the_act():
                await self._posts.attach(channel, pictures, comment, look=look, priority=Priority.CONTEXT)
        return ts

    async def show_run(self, incident: Incident, run: Run, again: bool) -> str:
        channel = await self._channel_of(incident)
        message = run_message(run, self.directory)
        return await self._put(channel, message, f"run:{run.id}", incident, again, Priority.APPROVAL, run.message_ts)

    async def share_output(self, incident: Incident, run: Run, step: StepRun, text: str, key: str, again: bool) -> None:
        if not text:
            return
        channel = await self._channel_of(incident)
        name = Key(key, incident.mark).file_name(f"{run.ref}-{slug(step.id) or 'step'}", "txt")
        file = File(name, mrkdwn.plain(f"{run.ref} {step.title}", 200), text.encode(errors="replace"))
        comment = f"What {mrkdwn.bold(step.title, 200)} of {run.ref} has put out."
        await self._in(
            channel,
            lambda: self._posts.attach(
                channel, [file], comment, look=again, priority=Priority.CONTEXT, thread=run.message_ts
            ),
        )

    async def post(self, incident: Incident, channel: str, text: str, key: str, again: bool) -> str:
        if not channel:
            return await self.say(incident, text, key, again)
        name = channel.removeprefix("#")
        if incident.private and name not in (incident.channel_name, incident.channel_id):
            raise GaveUp(
                f"{incident.ref} is private, so nothing about it is posted in #{name}: "
                f"leave `channel` out of the step, and it goes to the incident's own channel"
            )
        found = await self._named(name, Priority.APPROVAL)
        return await self._once(found, messages.said(text), Key(key, incident.mark), again, Priority.APPROVAL)

    async def summon(self, incident: Incident, target: str, why: str, key: str, again: bool) -> str:
        asker = ASKER.search(key)
        who = f"RUN-{asker[1]}" if asker else "Somebody"
        message = messages.summons(incident, target, why, who)
        return await self._deliver(target, message, Key(key, incident.mark), again)

    async def _named(self, name: str, priority: int) -> str:
        """The id of a channel that a runbook names; when it cannot be written to, what to do about it."""
        try:
            return await self._channels.by_name(name, priority)
        except SlackError as error:
            advice = "unarchive it" if error.error == "is_archived" else "invite the bot there"
            why = f"{WORDS.get(error.error, error)}: {advice}, or name another channel"
            raise GaveUp(f"nothing can be posted in #{name}, which {why}") from error

    async def share_postmortem(self, incident: Incident, text: str, key: str, again: bool) -> None:
        channel = await self._channel_of(incident)
        name = Key(key, incident.mark).file_name(f"{incident.ref}-post-mortem", "md")
        file = File(name, f"Post-mortem of {incident.ref}", text.encode())
        comment = (
            f"The draft of the post-mortem of {incident.ref}, written from its timeline. Please read and complete it."
        )
        priority = Priority.COSMETICS
        await self._in(channel, lambda: self._posts.attach(channel, [file], comment, look=again, priority=priority))

    async def _put(
        self,
        channel: str,
        message: Message,
        name: str,
        incident: Incident,
        again: bool,
        priority: int = Priority.CARD,
        ts: str = "",
    ) -> str:
        key = Key(name, incident.mark)
        return await self._in(
            channel, lambda: self._posts.put(channel, message, key, again=again, priority=priority, ts=ts)
        )

    async def _once(self, channel: str, message: Message, key: Key, again: bool, priority: int) -> str:
        return await self._in(channel, lambda: self._posts.once(channel, message, key, again=again, priority=priority))

    async def _in(self, channel: str, act: Callable[[], Awaitable[T]]) -> T:
        """Act in a channel; a bot that was removed from a public one joins again. Refusals in words."""
        try:
            return await act()
        except SlackError as error:
            if error.error == "not_in_channel":
                return await self._rejoined(channel, act)
            self._channels.forget(channel)
            if error.error in WORDS:
                raise GaveUp(f"the channel {channel} {WORDS[error.error]}") from error
            raise

    async def _rejoined(self, channel: str, act: Callable[[], Awaitable[T]]) -> T:
        try:
            await self._channels.join(channel)
            return await act()
        except SlackError as error:
            raise GaveUp(f"the channel {channel} {WORDS['not_in_channel']} ({error.error})") from error

    async def _pin(self, channel: str, ts: str) -> None:
        """A card that cannot be pinned (a hundred pins, no permission) is still a card."""
        try:
            await self._gateway.call("pins.add", channel=channel, timestamp=ts)
        except SlackError:
            return

    async def _channel_of(self, incident: Incident) -> str:
        """The incident's channel; the fallback channel as long as it has none, but never for a private incident."""
        if incident.channel_id:
            return incident.channel_id
        if incident.private:
            raise GaveUp(f"{incident.ref} is private and has no channel: it is not shown in #{self._fallback}")
        return await self._channels.by_name(self._fallback)

    def _slack_id(self, person: str) -> str:
        """The Slack user id of a person key or of `slack:U…`; empty when there is none."""
        if person.startswith("slack:"):
            return person.removeprefix("slack:")
        known = self.directory.people.get(person)
        return known.slack if known else ""

    def _name(self, person: str) -> str:
        known = self.directory.people.get(person)
        return known.name if known else person


def _pictures(incident: Incident, context: Context, name: str) -> Iterator[File]:
    for number, found in enumerate(context.findings):
        if found.picture:
            key = Key(f"{name}:{number}", incident.mark)
            file_name = key.file_name(f"{incident.ref}-{found.gatherer}", "png")
            yield File(file_name, mrkdwn.plain(found.title, 200), found.picture)
