"""The post-mortem: when an incident resolves it is written from the timeline, kept in the store and in a folder, and shared in the channel."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from bot.domain import lifecycle
from bot.domain import run as runs
from bot.domain import step as moves
from bot.domain.incident import Incident
from bot.domain.ports import Clock, Delivery, Documents, Room, Store, Templates, Tx
from bot.domain.review import facts
from bot.domain.run import Run, RunState
from bot.errors import GaveUp, TryLater
from bot.flow.delivery import Handler, Record, incident_of, payload
from bot.flow.ending import conclude
from bot.flow.incidents import known

WAIT_FOR_RUNS = timedelta(minutes=10)


class Review:
    """Handlers for `review` and `share_review`, and the draft that commands ask for."""

    def __init__(self, store: Store, room: Room, clock: Clock, templates: Templates, documents: Documents) -> None:
        self._store = store
        self._room = room
        self._clock = clock
        self._templates = templates
        self._documents = documents

    def handlers(self) -> Mapping[str, Handler]:
        return {"review": self.review, "share_review": self.share_review}

    async def draft(self, incident_id: int) -> tuple[str, str]:
        """Write the post-mortem as the timeline stands now: (path, Markdown). Raises BadInput for an unknown incident."""
        incident, text = await self._rendered(incident_id)
        path = await self._documents.write(f"{incident.ref}.md", text)
        await self._store.write(lambda tx: tx.save_postmortem(incident_id, text, self._clock()))
        return path, text

    async def review(self, delivery: Delivery) -> Record | None:
        """Not before its runs have ended: what they verified belongs into it. A run that still waits for a click is over with the incident."""
        incident = await incident_of(self._store, delivery)
        now = self._clock()
        if incident.is_open or incident.resolved_at is None:
            return None
        going = [run for run in await self._store.read(lambda tx: tx.runs_of(incident.id)) if not run.ended]
        asking = [run for run in going if _only_asks(run)]
        if len(going) > len(asking) and now - incident.resolved_at < WAIT_FOR_RUNS:
            raise TryLater(f"waiting for {next(run.ref for run in going if run not in asking)} to end", delay=1)
        if any(run.undoes is None for run in asking):
            await self._store.write(lambda tx: self._end_asking_runs(tx, incident.id))
        path, _ = await self.draft(incident.id)
        written_at = self._clock()

        async def record(tx: Tx) -> None:
            current = await tx.incident(incident.id)
            if current is not None:
                await tx.save(lifecycle.postmortem_written(current, path, written_at))

        return record

    async def _end_asking_runs(self, tx: Tx, incident_id: int) -> None:
        """An undo may be wanted after the incident, too; everything else that still asks is over with it."""
        now = self._clock()
        # Locked, all of them before the incident, as everywhere: a click or a move may have come in between.
        locked = [await tx.run(run.id) for run in await tx.runs_of(incident_id) if not run.ended]
        for run in locked:
            if run is None or run.ended or run.undoes is not None or not _only_asks(run):
                continue
            incident = await known(tx, incident_id)
            if incident.is_open:
                return
            message = "the incident resolved before anybody approved it"
            after = runs.moved(runs.stopped(run, RunState.EXPIRED, message), now)
            await conclude(tx, incident, after, now)

    async def share_review(self, delivery: Delivery) -> Record | None:
        incident = await incident_of(self._store, delivery)
        text = await self._store.read(lambda tx: tx.postmortem(payload(delivery)["incident_id"]))
        if text is None:
            raise GaveUp(f"the post-mortem of {incident.ref} is not in the store")
        await self._room.share_postmortem(incident, text, delivery.effect.key, delivery.again)
        return None

    async def _rendered(self, incident_id: int) -> tuple[Incident, str]:
        async def work(tx: Tx) -> tuple[Incident, str]:
            incident = await known(tx, incident_id)
            return incident, self._templates.postmortem(facts(incident, await tx.timeline(incident_id)))

        return await self._store.read(work)


def _only_asks(run: Run) -> bool:
    """Whether nothing happens to a run before somebody does something."""
    return not any(step.state in moves.ACTING for step in run.steps) and (
        run.state is RunState.WAITING or bool(run.paused_by)
    )
