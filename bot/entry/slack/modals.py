"""Submitted modals: what was filled in becomes one flow call; what is wrong is said in the modal while it is still open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp

from bot.domain.people import Actor
from bot.entry.slack.actions import actor_of, person_of
from bot.entry.slack.asked import PLANNING, Reply, told
from bot.entry.slack.commands import opened
from bot.entry.slack.oncall_forms import override_submitted
from bot.entry.slack.ports import Flows
from bot.entry.slack.replies import Outcome, Replies
from bot.entry.slack.run_forms import given_in, runbook_form, wrong_fields
from bot.entry.slack.silence_forms import silence_submitted
from bot.room import blocks as kit
from bot.room import oncall, views
from bot.room.run_buttons import about as about_step

About = dict[str, Any]
Values = dict[str, str]
Submit = Callable[[About, Values, Actor], Awaitable[Reply]]


class Modals:
    """Registers a handler per callback id."""

    def __init__(self, flows: Flows, replies: Replies) -> None:
        self._flows = flows
        self._replies = replies

    def register(self, app: AsyncApp) -> None:
        app.view(kit.OPEN_VIEW)(self._handler(self._open, views.TITLE))
        app.view(kit.NOTE_VIEW)(self._handler(self._note, views.NOTE))
        app.view(kit.RUNBOOK_VIEW)(self._handler(self._runbook, views.RUNBOOK))
        app.view(kit.GLASS_VIEW)(self._handler(self._glass, views.REASON))
        app.view(kit.DONE_VIEW)(self._handler(self._done, views.WORDS))
        app.view(kit.SILENCE_VIEW)(self._handler(self._silence, views.REASON))
        app.view(oncall.OVERRIDE_VIEW)(self._handler(self._override, oncall.TIMES))

    def _handler(self, submit: Submit, field: str) -> Callable[[AsyncAck, dict[str, Any]], Awaitable[None]]:
        async def on_submit(ack: AsyncAck, body: dict[str, Any]) -> None:
            await self._submitted(ack, body, submit, field)

        return on_submit

    async def _submitted(self, ack: AsyncAck, body: dict[str, Any], submit: Submit, field: str) -> None:
        view = body.get("view") or {}
        about, values = views.about(view), views.values(view)
        actor = actor_of(body, self._flows)

        async def first(outcome: Outcome | None) -> object:
            """Close the modal, show another one in it, or say in it what is wrong."""
            if outcome is None or (outcome.ok and outcome.reply.view is None and not outcome.reply.errors):
                return await ack()
            if outcome.reply.view is not None:
                return await ack(response_action="update", view=outcome.reply.view)
            wrong = outcome.reply.errors or {field: outcome.reply.text}
            return await ack(response_action="errors", errors={name: text[:1000] for name, text in wrong.items()})

        key = f"submit:{body.get('trigger_id') or view.get('id')}"
        outcome, in_time = await self._replies.within(key, lambda: submit(about, values, actor), first)
        shown_in_modal = in_time and (not outcome.ok or outcome.reply.view is not None or outcome.reply.errors)
        if not shown_in_modal:
            await self._replies.tell(person_of(body, str(about.get("channel") or "")), outcome.reply)

    async def _open(self, about: About, values: Values, actor: Actor) -> Reply:
        title, severity = values.get(views.TITLE, ""), values.get(views.SEVERITY, "")
        service = values.get(views.SERVICE, "")
        return opened(await self._flows.incidents.declare(title, severity, actor, service))

    async def _note(self, about: About, values: Values, actor: Actor) -> Reply:
        number = int(about.get("incident", 0))
        return told(await self._flows.incidents.note(number, values.get(views.NOTE, ""), actor))

    async def _runbook(self, about: About, values: Values, actor: Actor) -> Reply:
        """Plan the picked runbook; one whose parameters were not shown yet shows them first."""
        name = values.get(views.RUNBOOK, "")
        picked = next((runbook for runbook in self._flows.runbooks.all if runbook.name == name), None)
        if picked is not None and picked.params and about.get("chosen") != name:
            return Reply(view=await runbook_form(self._flows, {**about, "chosen": name}, name))
        number, given = int(about.get("incident", 0)), given_in(values)
        wrong = await wrong_fields(self._flows, number, picked, given) if picked is not None else {}
        if wrong:
            return Reply(told(next(iter(wrong.values()))).text, errors=wrong)
        run = await self._flows.runbooks.start(number, name, given, actor)
        return told(f"{run.ref} {PLANNING}")

    async def _glass(self, about: About, values: Values, actor: Actor) -> Reply:
        asked, reason = about_step(str(about.get("about") or "")), values.get(views.REASON, "")
        decide = self._flows.decisions.break_glass
        return told(await decide(asked.run_id, asked.step_id, asked.mark, reason, actor))

    async def _done(self, about: About, values: Values, actor: Actor) -> Reply:
        asked, words = about_step(str(about.get("about") or "")), values.get(views.WORDS, "")
        return told(await self._flows.decisions.answer(asked.run_id, asked.step_id, words, actor))

    async def _silence(self, about: About, values: Values, actor: Actor) -> Reply:
        return await silence_submitted(self._flows, about, values, actor)

    async def _override(self, about: About, values: Values, actor: Actor) -> Reply:
        return await override_submitted(self._flows.oncall, about, values, actor)
