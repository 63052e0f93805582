"""One's own preferences: by what and when one is paged, quiet hours, time zone, recoveries. From Slack, the API or the command line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from bot.domain import asking, contact_told
from bot.domain.contact import Notify
from bot.domain.people import Actor, Person
from bot.domain.ports import Clock, Store, Tx
from bot.domain.quiet import OwnHours
from bot.domain.roster import Preferences
from bot.domain.rules import CurrentRules
from bot.domain.windows import Window
from bot.errors import BadInput
from bot.flow.roster import Rosters

MOST_RULES = 20
LATEST_RULE = timedelta(hours=1)

Decide = Callable[[Person, Preferences], tuple[Preferences, str]]


class OwnPreferences:
    """Every function raises BadInput in words for the person, and changes only what is their own."""

    def __init__(self, store: Store, clock: Clock, rules: CurrentRules, rosters: Rosters) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._rosters = rosters

    async def notify(self, severity: str, given: Sequence[Notify], actor: Actor) -> str:
        """By what and when one is paged for a severity (empty: all that have no rules of their own)."""

        def decide(me: Person, chosen: Preferences) -> tuple[Preferences, str]:
            names = self._rules().severities
            if severity and severity not in names:
                raise BadInput(
                    f"{severity!r} is no severity{asking.closest(severity, [*names, 'default'])} There are: {', '.join(names)}, default."
                )
            keys = [way.key for way in me.ways]
            for one in given:
                if one.method not in keys:
                    raise BadInput(
                        f"You have no method {one.method[:40]!r}{asking.closest(one.method, keys)} You have: {asking.listed(keys)}."
                    )
                if one.after > LATEST_RULE:
                    raise BadInput(
                        f"{one.method}: at most an hour after the page began; the policy goes on to others long before."
                    )
            if not given or len(given) > MOST_RULES:
                raise BadInput("Say by what, for example `/oncall notify critical slack, sms 3m, call 5m`.")
            ordered = tuple(sorted(given, key=lambda one: one.after))
            late = " The first goes out at once all the same." if ordered[0].after else ""
            kept = chosen.model_copy(update={"notify": {**me.notify, severity: ordered}})
            return kept, f"For {severity or 'all other severities'}: {contact_told.said_rules(ordered)}.{late}"

        return await self._choose(actor, decide)

    async def reset(self, actor: Actor) -> str:
        """Back to the rules of oncall.yaml."""

        def decide(me: Person, chosen: Preferences) -> tuple[Preferences, str]:
            words = (
                "Your rules are those of oncall.yaml again. Without any there, all your methods are used: "
                "SMS after 3 min, calls after 5, everything else at once."
            )
            return chosen.model_copy(update={"notify": None}), words

        return await self._choose(actor, decide)

    async def quiet(self, windows: Sequence[Window], severities: Sequence[str], actor: Actor) -> str:
        """When one does not want to be paged, and for what; no windows: never quiet."""

        def decide(me: Person, chosen: Preferences) -> tuple[Preferences, str]:
            if not windows:
                return chosen.model_copy(
                    update={"quiet": OwnHours()}
                ), "You have no quiet hours: you are paged at any time."
            names = self._rules().severities
            for one in severities:
                if one not in names:
                    raise BadInput(
                        f"{one[:40]!r} is no severity{asking.closest(one, names)} There are: {', '.join(names)}."
                    )
            if not severities:
                raise BadInput(
                    f"Quiet for what? For example `/oncall quiet 22:00-07:00 {','.join(names[2:]) or names[-1]}`."
                )
            own = OwnHours(windows=tuple(windows), severities=frozenset(severities))
            loud = (
                f" This holds for {names[0]} too: then the policy goes on to the next level at once."
                if names[0] in severities
                else ""
            )
            return chosen.model_copy(
                update={"quiet": own}
            ), f"Quiet {contact_told.said_quiet(windows, severities)}.{loud}"

        return await self._choose(actor, decide)

    async def zone(self, zone: str, actor: Actor) -> str:
        """In whose time one is told; `zone` is one that exists."""

        def decide(me: Person, chosen: Preferences) -> tuple[Preferences, str]:
            return chosen.model_copy(update={"zone": zone}), f"Times are told to you in {zone}."

        return await self._choose(actor, decide)

    async def recovery(self, wanted: bool, actor: Actor) -> str:
        def decide(me: Person, chosen: Preferences) -> tuple[Preferences, str]:
            said = (
                "You are told when what you were paged for is over." if wanted else "You are not told when it is over."
            )
            return chosen.model_copy(update={"recovery": wanted}), said

        return await self._choose(actor, decide)

    async def _choose(self, actor: Actor, decide: Decide) -> str:
        async def work(tx: Tx) -> str:
            now = self._clock()
            directory = await self._rosters.directory(tx, self._rules(), now)
            me = asking.member(directory, actor)
            await tx.lock(f"preferences:{me.key}")
            chosen = (await tx.roster(now)).preferences.get(me.key) or Preferences(person=me.key)
            kept, said = decide(me, chosen)
            await tx.save_preferences(kept)
            return said

        return await self._store.write(work)
