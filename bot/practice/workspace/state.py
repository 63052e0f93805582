"""What the practice workspace remembers: people, channels, messages, files, views. No I/O; time comes from outside."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bot.practice.workspace.calls import Json, SlackError

TEAM_ID = "T0PRACTICE"
APP_ID = "A0PRACTICE"
BOT_ID = "B0PRACTICE"
BOT_USER = "U0TOCSIN"
SLACKBOT = "USLACKBOT"
TRIGGER_SECONDS = 3.0  # how long Slack lets an app open a modal after a click or command


@dataclass
class User:
    """A person, or the app's bot user."""

    id: str
    name: str
    real_name: str
    email: str = ""
    tz: str = "Europe/Berlin"
    title: str = ""
    is_bot: bool = False
    deleted: bool = False
    phone: str = ""

    def to_json(self) -> Json:
        """As `users.info` gives it."""
        profile: Json = {"real_name": self.real_name, "display_name": self.name, "title": self.title}
        if self.email:
            profile["email"] = self.email
        if self.phone:
            profile["phone"] = self.phone
        if self.is_bot:
            profile |= {"bot_id": BOT_ID, "api_app_id": APP_ID}
        return {
            "id": self.id,
            "team_id": TEAM_ID,
            "name": self.name,
            "real_name": self.real_name,
            "deleted": self.deleted,
            "tz": self.tz,
            "is_bot": self.is_bot,
            "is_app_user": False,
            "profile": profile,
        }


@dataclass
class Message:
    """One message; `only_for` names the one person who sees an ephemeral."""

    ts: str
    user: str
    text: str
    blocks: list[Json] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    thread_ts: str = ""
    metadata: Json | None = None
    edited: Json | None = None
    files: list[str] = field(default_factory=list)
    reactions: dict[str, list[str]] = field(default_factory=dict)
    subtype: str = ""
    only_for: str = ""
    is_app: bool = False

    @property
    def is_reply(self) -> bool:
        """Whether it lives in somebody else's thread."""
        return bool(self.thread_ts) and self.thread_ts != self.ts


@dataclass
class Channel:
    """A public or private channel, or a direct message (`im_with` is then the person)."""

    id: str
    name: str
    creator: str
    created: int
    is_private: bool = False
    im_with: str = ""
    archived: bool = False
    topic: str = ""
    purpose: str = ""
    members: list[str] = field(default_factory=list)
    messages: dict[str, Message] = field(default_factory=dict)
    ephemerals: dict[str, Message] = field(default_factory=dict)
    pins: list[str] = field(default_factory=list)
    bookmarks: list[Json] = field(default_factory=list)
    previous_names: list[str] = field(default_factory=list)
    threads: dict[str, list[str]] = field(default_factory=dict)  # the replies' ts by their parent's
    last_micros: int = 0

    @property
    def kind(self) -> str:
        """`channel`, `group` (private) or `im`, as Slack's scopes and event types say it."""
        return "im" if self.im_with else "group" if self.is_private else "channel"

    def replies(self, ts: str) -> list[Message]:
        """The answers in a thread, oldest first."""
        return [self.messages[reply] for reply in self.threads.get(ts, [])]


@dataclass
class File:
    """An upload; it is nobody's until `completed`."""

    id: str
    name: str
    length: int
    user: str
    created: int
    ticket: str
    title: str = ""
    alt_text: str = ""
    content: bytes = b""
    uploaded: bool = False
    completed: bool = False
    channels: list[str] = field(default_factory=list)
    shares: dict[str, str] = field(default_factory=dict)


@dataclass
class View:
    """An open modal; several of one person form a stack, `previous` below."""

    id: str
    user: str
    body: Json
    hash: str
    root: str = ""
    previous: str = ""


@dataclass
class Trigger:
    """The right to open one modal, for a moment, for one person."""

    user: str
    expires: float
    used: bool = False
    view_id: str = ""


class State:
    """Everything in the workspace, and who wants to hear of changes."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.team_name = "Practice"
        self.base_url = ""  # known once the server listens
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.files: dict[str, File] = {}
        self.views: dict[str, View] = {}
        self.triggers: dict[str, Trigger] = {}
        self.usergroups: list[Json] = []
        self._numbers = itertools.count(1)
        self._listeners: list[Callable[[Json], None]] = []

    def subscribe(self, listener: Callable[[Json], None]) -> Callable[[], None]:
        """Call `listener` with each change from now on; the result ends that."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def publish(self, change: Json) -> None:
        """Tell everyone who subscribed."""
        for listener in list(self._listeners):
            listener(change)

    def new_id(self, prefix: str) -> str:
        """A fresh id that looks like Slack's: C0000000A1."""
        return f"{prefix}0PR{next(self._numbers):07X}"

    def new_ts(self, channel: Channel) -> str:
        """The current time as a message id, strictly later than any in the channel."""
        micros = max(int(self.now() * 1_000_000), channel.last_micros + 1)
        channel.last_micros = micros
        return f"{micros // 1_000_000}.{micros % 1_000_000:06d}"

    def add_user(self, user: User) -> User:
        """A new person in the workspace."""
        self.users[user.id] = user
        self.publish({"type": "users"})
        return user

    def add_channel(self, name: str, creator: str, *, is_private: bool = False) -> Channel:
        """A new channel with its creator in it."""
        channel = Channel(self.new_id("C"), name, creator, int(self.now()), is_private, members=[creator])
        self.channels[channel.id] = channel
        self.touched(channel)
        return channel

    def direct(self, user: str) -> Channel:
        """The direct messages between the app and one person, opened when needed."""
        for channel in self.channels.values():
            if channel.im_with == user:
                return channel
        if user not in self.users:
            raise SlackError("user_not_found")
        created = int(self.now())
        channel = Channel(self.new_id("D"), "", BOT_USER, created, im_with=user, members=[BOT_USER, user])
        self.channels[channel.id] = channel
        self.touched(channel)
        return channel

    def by_name(self, name: str) -> Channel | None:
        """The channel of that name, archived ones included."""
        return next((channel for channel in self.channels.values() if channel.name == name and name), None)

    def channel_for(self, user: str, channel_id: str) -> Channel:
        """The channel, if that person can see it; a private one hides itself from those outside."""
        channel = self.channels.get(channel_id)
        if channel is None or (channel.kind != "channel" and user not in channel.members):
            raise SlackError("channel_not_found")
        return channel

    def add_message(self, channel: Channel, message: Message) -> Message:
        """Put a message (its `ts` from `new_ts`) in the channel."""
        (channel.ephemerals if message.only_for else channel.messages)[message.ts] = message
        if message.is_reply and not message.only_for:
            channel.threads.setdefault(message.thread_ts, []).append(message.ts)
        self.changed(channel, message)
        return message

    def changed(self, channel: Channel, message: Message) -> None:
        """A message is new or different."""
        self.publish({"type": "message", "channel": channel.id, "ts": message.ts, "only_for": message.only_for})
        if message.is_reply and not message.only_for:
            self.publish({"type": "message", "channel": channel.id, "ts": message.thread_ts, "only_for": ""})

    def remove(self, channel: Channel, ts: str) -> None:
        """Take a message away, its pin too."""
        message = channel.messages.pop(ts, None)
        channel.ephemerals.pop(ts, None)
        if message is not None and message.is_reply:
            channel.threads[message.thread_ts].remove(ts)
        if ts in channel.pins:
            channel.pins.remove(ts)
            self.touched(channel)
        self.publish({"type": "gone", "channel": channel.id, "ts": ts})

    def touched(self, channel: Channel) -> None:
        """Something about the channel itself is different."""
        self.publish({"type": "channel", "channel": channel.id})

    def new_trigger(self, user: str) -> str:
        """A trigger_id for that person, good for three seconds and one modal."""
        name = f"{next(self._numbers)}.{int(self.now() * 1000)}.{secrets.token_hex(16)}"
        self.triggers[name] = Trigger(user, self.now() + TRIGGER_SECONDS)
        return name

    def put_view(self, view: View) -> None:
        """Open a modal or show its new content."""
        self.views[view.id] = view
        self.publish({"type": "view", "user": view.user})

    def drop_view(self, view: View, *, everything: bool = False) -> None:
        """Close a modal (and, if asked, all of the same stack)."""
        for other in list(self.views.values()):
            if other.id == view.id or (everything and other.root == view.root):
                del self.views[other.id]
        self.publish({"type": "view", "user": view.user})

    def top_view(self, user: str) -> View | None:
        """The modal in front of that person, if any."""
        mine = [view for view in self.views.values() if view.user == user]
        return mine[-1] if mine else None


def seed(state: State, app_name: str) -> None:
    """The people and channels that a practice workspace starts with."""
    people: list[tuple[str, str, str, str]] = [
        ("U0ADA", "ada", "Ada Lovelace", "SRE, on call"),
        ("U0BOB", "bob", "Bob Kahn", "Checkout team"),
        ("U0PRIYA", "priya", "Priya Nair", "Platform"),
        ("U0CHEN", "chen", "Chen Ning", "Payments team"),
    ]
    for user_id, name, real_name, title in people:
        state.add_user(User(user_id, name, real_name, f"{name}@practice.example", title=title))
    state.add_user(User(BOT_USER, app_name.lower(), app_name, is_bot=True))
    state.add_user(User(SLACKBOT, "slackbot", "Slackbot"))
    everyone = [person[0] for person in people]
    for name, topic, members in (
        ("general", "Company-wide announcements", everyone),
        ("incidents", "Every open incident, in one place", [*everyone, BOT_USER]),
    ):
        channel = state.add_channel(name, everyone[0])
        channel.members = [*members]
        channel.topic = topic
    group: dict[str, Any] = {"id": "S0ONCALL", "team_id": TEAM_ID, "handle": "oncall", "name": "On call"}
    state.usergroups.append({**group, "description": "Who is on call now", "is_usergroup": True, "users": ["U0ADA"]})
