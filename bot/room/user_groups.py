"""Slack user groups kept equal to who is on call, and what Slack's profiles say of people: the `UserGroups` port, and profiles for `contact import`.

https://docs.slack.dev/reference/methods/usergroups.users.update (the whole new list; a group cannot be empty),
https://docs.slack.dev/reference/methods/users.info (`profile.email` only with the scope users:read.email).
"""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import available_timezones

from bot.clients.slack import SlackError, SlackGateway
from bot.domain.contact_told import Profile
from bot.domain.effects import Priority
from bot.errors import GaveUp

MOST_MEMBERS = 200
LONGEST = 200
WORDS = {
    "missing_scope": "the app lacks the scope {needed}: add it under OAuth & Permissions, or install the app again from deploy/slack/manifest.yaml",
    "no_such_subteam": "Slack knows no user group {group}: look at `slack_group` in oncall.yaml (its id begins with S)",
    "permission_denied": "this workspace lets only some people change user groups: allow the app, or leave out `slack_group` in oncall.yaml",
    "restricted_action": "this workspace lets only some people change user groups: allow the app, or leave out `slack_group` in oncall.yaml",
    "paid_teams_only": "user groups are part of Slack's paid plans: leave out `slack_group` in oncall.yaml",
    "plan_upgrade_required": "user groups are part of Slack's paid plans: leave out `slack_group` in oncall.yaml",
    "invalid_users": "Slack does not know one of those on call: check their `slack:` in oncall.yaml",
    "user_not_found": "Slack does not know this user: check `slack:` in oncall.yaml",
}


class SlackUserGroups:
    """Implements bot.domain.oncall_ports.UserGroups. Looks first: every change is told to all members."""

    def __init__(self, gateway: SlackGateway) -> None:
        self._gateway = gateway

    async def set_members(self, group: str, users: Sequence[str]) -> bool:
        wanted = list(dict.fromkeys(users))[:MOST_MEMBERS]
        if not wanted:
            return False
        try:
            answer = await self._gateway.call("usergroups.users.list", priority=Priority.CONTEXT, usergroup=group)
            if set(answer.get("users") or ()) == set(wanted):
                return False
            await self._gateway.call(
                "usergroups.users.update", priority=Priority.CONTEXT, usergroup=group, users=",".join(wanted)
            )
        except SlackError as error:
            raise GaveUp(f"the Slack user group {group} cannot be set: {_why(error, group)}") from None
        return True


class SlackProfiles:
    """Implements bot.flow.contacts.Profiles."""

    def __init__(self, gateway: SlackGateway) -> None:
        self._gateway = gateway

    async def of(self, slack_id: str) -> Profile:
        try:
            answer = await self._gateway.call("users.info", priority=Priority.APPROVAL, user=slack_id)
        except SlackError as error:
            raise GaveUp(f"your Slack profile cannot be read: {_why(error)}") from None
        user = answer.get("user") or {}
        profile = user.get("profile") or {}
        zone = str(user.get("tz") or "")
        return Profile(
            email=str(profile.get("email") or "")[:LONGEST],
            phone=str(profile.get("phone") or "")[:LONGEST],
            zone=zone if zone in available_timezones() else "",
        )


def _why(error: SlackError, group: str = "") -> str:
    words = WORDS.get(error.error)
    return words.format(needed=error.answer.get("needed") or "for it", group=group) if words else str(error)
