"""The catalogue of services: what is known beforehand about what an alert is about. Filled from services.yaml."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field


class Service(BaseModel):
    """One service. `targets` are labels (namespace, deployment) that its incidents have even when the alert does not say them."""

    model_config = ConfigDict(frozen=True)

    name: str
    owner: str = ""
    dashboards: tuple[str, ...] = ()
    targets: Mapping[str, str] = Field(default_factory=dict)
    depends_on: tuple[str, ...] = ()
