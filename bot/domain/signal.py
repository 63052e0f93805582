"""What the configuration says about signal and noise, as one value that is ready to be asked. Made by config, used by triage."""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.domain.alert import Alert
from bot.domain.flapping import Flapping
from bot.domain.inhibition import Inhibition
from bot.domain.quiet import QuietHours
from bot.domain.relabel import Relabelling
from bot.domain.routing import Route, Routing
from bot.domain.severity import Taxonomy
from bot.domain.silence import Silence
from bot.domain.storm import Storm


@dataclass(frozen=True, slots=True)
class Signal:
    """`maintenance`: the windows that stand in the configuration; those that people make are in the store."""

    routing: Routing = field(default_factory=lambda: Routing(Route()))
    taxonomy: Taxonomy = field(default_factory=Taxonomy)
    relabelling: Relabelling = field(default_factory=Relabelling)
    inhibition: Inhibition = field(default_factory=Inhibition)
    flapping: Flapping = field(default_factory=Flapping)
    quiet: tuple[QuietHours, ...] = ()
    storm: Storm = field(default_factory=Storm)
    maintenance: tuple[Silence, ...] = ()

    def name_of(self, alert: Alert) -> str:
        """What others may be told of an alert as the reason why theirs is held: nothing of one that is private."""
        routes = self.routing.find(alert.labels) if self.routing.any_private else ()
        return "an alert that is private" if any(route.private for route in routes) else alert.summary
