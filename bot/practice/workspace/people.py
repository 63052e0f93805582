"""The users.*, usergroups.*, team.* and auth.* methods."""

from __future__ import annotations

from bot.practice.workspace.calls import Args, Json, SlackError
from bot.practice.workspace.conversations import cursor_page
from bot.practice.workspace.desk import Desk
from bot.practice.workspace.state import BOT_ID, BOT_USER, TEAM_ID


def api_test(desk: Desk, args: Args) -> Json:
    """api.test: gives back what it got."""
    if args.has("error"):
        raise SlackError(args.text("error"))
    return {"args": {name: value for name, value in args.given.items() if name != "token"}}


def auth_test(desk: Desk, args: Args) -> Json:
    """auth.test: who the token is."""
    return {
        "url": f"{desk.state.base_url}/",
        "team": desk.state.team_name,
        "user": desk.state.users[BOT_USER].name,
        "team_id": TEAM_ID,
        "user_id": BOT_USER,
        "bot_id": BOT_ID,
        "is_enterprise_install": False,
    }


def user_info(desk: Desk, args: Args) -> Json:
    """users.info"""
    user = desk.state.users.get(args.need("user"))
    if user is None:
        raise SlackError("user_not_found")
    return {"user": user.to_json()}


def list_users(desk: Desk, args: Args) -> Json:
    """users.list"""
    page, cursor = cursor_page(list(desk.state.users), args)
    users = [desk.state.users[name].to_json() for name in page]
    return {"members": users, "cache_ts": int(desk.state.now()), "response_metadata": {"next_cursor": cursor}}


def lookup_by_email(desk: Desk, args: Args) -> Json:
    """users.lookupByEmail"""
    email = args.need("email").lower()
    for user in desk.state.users.values():
        if user.email.lower() == email and not user.deleted:
            return {"user": user.to_json()}
    raise SlackError("users_not_found")


def list_usergroups(desk: Desk, args: Args) -> Json:
    """usergroups.list"""
    shown = ({**group, "user_count": len(group["users"])} for group in desk.state.usergroups)
    if args.flag("include_users"):
        return {"usergroups": list(shown)}
    return {"usergroups": [{name: value for name, value in group.items() if name != "users"} for group in shown]}


def _group(desk: Desk, args: Args) -> Json:
    wanted = args.need("usergroup")
    for group in desk.state.usergroups:
        if group["id"] == wanted:
            return group
    raise SlackError("no_such_subteam")


def usergroup_users(desk: Desk, args: Args) -> Json:
    """usergroups.users.list"""
    return {"users": _group(desk, args)["users"]}


def update_usergroup_users(desk: Desk, args: Args) -> Json:
    """usergroups.users.update: the whole new list."""
    group = _group(desk, args)
    users = args.names("users")
    if not users:
        raise SlackError("no_users_provided")
    if any(user not in desk.state.users for user in users):
        raise SlackError("invalid_users")
    group["users"] = users
    return {"usergroup": group}


def team_info(desk: Desk, args: Args) -> Json:
    """team.info"""
    name = desk.state.team_name
    return {"team": {"id": TEAM_ID, "name": name, "domain": "practice", "email_domain": "practice.example", "icon": {}}}
