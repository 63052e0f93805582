"""Feature flags over HTTP: one flag in one environment, read and set. Used by the action flag.set.

Formats. Unleash: the Admin API, `/api/admin/projects/{project}/features/{feature}` and below it `environments/{environment}/on` and `/off`
(https://docs.getunleash.io/reference/api/unleash, 4.3 to 7). Flagsmith: `/api/v1/environments/{key}/featurestates/` (api/features/views.py of
github.com/Flagsmith/flagsmith, 2.x), where the environment's key is the one that client SDKs use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Protocol

from bot.clients.api import Answer, Api, segment
from bot.clients.http import Http
from bot.domain.naming import english_list
from bot.errors import BadInput

Value = str | int | bool | None


@dataclass(frozen=True, slots=True)
class Flag:
    """`id` is the product's own, for writing. `value`: None where the product has none."""

    on: bool
    value: Value = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a flag is. Unleash: project, environment and flag by name. Flagsmith: the environment's key, and the flag's name."""

    flag: str
    environment: str
    project: str


class Flags(Protocol):
    async def read(self, place: Place) -> Flag: ...
    async def write(self, place: Place, flag: Flag, key: str) -> None:
        """Set `on`, and `value` unless it is None."""


class _Environment(Answer):
    name: str
    enabled: bool


class _Feature(Answer):
    name: str
    archived: bool = False
    environments: tuple[_Environment, ...] = ()


class Unleash:
    def __init__(self, http: Http, server: str) -> None:
        self._api = Api(http, "Unleash", server)

    async def read(self, place: Place) -> Flag:
        feature = await self._api.read(_Feature, _feature(place))
        if feature.archived:
            raise BadInput(f"Unleash: the flag {place.flag} is archived: nobody reads it any more")
        for one in feature.environments:
            if one.name == place.environment:
                return Flag(one.enabled)
        have = english_list(one.name for one in feature.environments)
        raise BadInput(f"Unleash: the flag {place.flag} has no environment {place.environment} (it has: {have})")

    async def write(self, place: Place, flag: Flag, key: str) -> None:
        path = f"{_feature(place)}/environments/{segment(place.environment)}/{'on' if flag.on else 'off'}"
        await self._api.ask("POST", path, key=key)


def _feature(place: Place) -> str:
    return f"/api/admin/projects/{segment(place.project)}/features/{segment(place.flag)}"


class _FeatureState(Answer):
    id: int
    enabled: bool
    feature_state_value: Value = None


class _Page(Answer):
    results: tuple[_FeatureState, ...]


class Flagsmith:
    def __init__(self, http: Http, server: str) -> None:
        self._api = Api(http, "Flagsmith", server)

    async def read(self, place: Place) -> Flag:
        page = await self._api.read(_Page, f"{_states(place)}/", [("feature_name", place.flag)])
        if len(page.results) != 1:
            what = "no flag" if not page.results else "more than one flag"
            raise BadInput(f"Flagsmith: the environment has {what} called {place.flag}")
        found = page.results[0]
        return Flag(found.enabled, found.feature_state_value, str(found.id))

    async def write(self, place: Place, flag: Flag, key: str) -> None:
        body: dict[str, Any] = {"enabled": flag.on}
        if flag.value is not None:
            body["feature_state_value"] = flag.value
        await self._api.ask("PATCH", f"{_states(place)}/{segment(flag.id)}/", body=body, key=key)


def _states(place: Place) -> str:
    return f"/api/v1/environments/{segment(place.environment)}/featurestates"


def server_of(kind: Literal["unleash", "flagsmith"], http: Http, server: str) -> Flags:
    return Unleash(http, server) if kind == "unleash" else Flagsmith(http, server)
