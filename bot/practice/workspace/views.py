"""The views.* methods: modals and their triggers."""

from __future__ import annotations

from bot.practice.workspace import render
from bot.practice.workspace.blocks import check_view
from bot.practice.workspace.calls import Args, Json, SlackError
from bot.practice.workspace.desk import Desk
from bot.practice.workspace.state import Trigger, View

MOST_STACKED = 3


def _use_trigger(desk: Desk, args: Args) -> Trigger:
    name = args.text("trigger_id")
    if not name:
        raise SlackError("invalid_arguments")
    trigger = desk.state.triggers.get(name)
    if trigger is None:
        raise SlackError("invalid_trigger_id")
    if trigger.used:
        raise SlackError("exchanged_trigger_id")
    if desk.state.now() > trigger.expires:
        raise SlackError("expired_trigger_id")
    return trigger


def _new_hash(desk: Desk) -> str:
    return f"{int(desk.state.now())}.{desk.state.new_id('h')[-6:]}"


def open_view(desk: Desk, args: Args) -> Json:
    """views.open: replaces whatever modal the person had in front."""
    trigger = _use_trigger(desk, args)
    body = check_view(args.nested("view", "invalid_arguments"))
    trigger.used = True
    old = desk.state.top_view(trigger.user)
    if old is not None:
        desk.state.drop_view(old, everything=True)
    view = View(desk.state.new_id("V"), trigger.user, body, _new_hash(desk))
    view.root = view.id
    desk.state.put_view(view)
    return {"view": render.view_json(view)}


def push_view(desk: Desk, args: Args) -> Json:
    """views.push: a modal on top of the one whose button gave the trigger."""
    trigger = _use_trigger(desk, args)
    below = desk.state.views.get(trigger.view_id)
    if below is None:
        raise SlackError("not_found" if trigger.view_id else "invalid_trigger_id")
    body = check_view(args.nested("view", "invalid_arguments"))
    trigger.used = True
    view = pushed(desk, below, body)
    return {"view": render.view_json(view)}


def pushed(desk: Desk, below: View, body: Json) -> View:
    """Stack a checked modal on another."""
    if sum(1 for view in desk.state.views.values() if view.root == below.root) >= MOST_STACKED:
        raise SlackError("push_limit_reached")
    view = View(desk.state.new_id("V"), below.user, body, _new_hash(desk), root=below.root, previous=below.id)
    desk.state.put_view(view)
    return view


def update_view(desk: Desk, args: Args) -> Json:
    """views.update: by view_id or external_id; `hash` guards against a race."""
    external = args.text("external_id")
    wanted = args.text("view_id")
    named = (one for one in desk.state.views.values() if external and one.body.get("external_id") == external)
    view = desk.state.views.get(wanted) or next(named, None)
    if view is None:
        raise SlackError("not_found")
    if args.has("hash") and args.text("hash") != view.hash:
        raise SlackError("hash_conflict")
    updated(desk, view, check_view(args.nested("view", "invalid_arguments")))
    return {"view": render.view_json(view)}


def updated(desk: Desk, view: View, body: Json) -> None:
    """Give a modal new (checked) content."""
    view.body = body
    view.hash = _new_hash(desk)
    desk.state.put_view(view)
