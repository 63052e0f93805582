"""The JSON Schema of each file, for editors: what `tocsin schema` writes. Plugins' own parameters are in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

from bot.config.auth import MODELS, ONLY_SECRETS
from bot.config.channels import MediumEntry
from bot.config.files import Registry, TocsinFile
from bot.config.oncall import OncallFile
from bot.config.policy import PolicyFile, Service
from bot.config.secrets import SecretRef
from bot.config.sources import SenderFacts
from bot.config.units import DURATION_PATTERN
from bot.domain.runbook import Runbook

DIALECT = "https://json-schema.org/draft/2020-12/schema"
TEMPLATE = {"type": "string", "pattern": r"\{[{%]", "description": "a template, like {{ params.service }}"}


class Generate(GenerateJsonSchema):
    """As pydantic's, but durations are written as people write them, text may be a bare number and an empty section is none."""

    def timedelta_schema(self, schema: core_schema.TimedeltaSchema) -> JsonSchemaValue:
        return {
            "type": "string",
            "pattern": DURATION_PATTERN,
            "description": "a duration, like 90s, 5m, 1h30m, 1d or 1w",
        }

    def function_before_schema(self, schema: core_schema.BeforeValidatorFunctionSchema) -> JsonSchemaValue:
        """A validator before a list is there to let one item stand for a list of it."""
        found = super().function_before_schema(schema)
        return {"anyOf": [found, found["items"]]} if found.get("type") == "array" and "items" in found else found

    def generate_inner(self, schema: Any) -> JsonSchemaValue:
        """A plugin's secret is pydantic's in its model, and a reference in the file."""
        found = super().generate_inner(schema)
        return dict(SecretRef.json_schema) if found.get("format") == "password" else found

    def str_schema(self, schema: core_schema.StringSchema) -> JsonSchemaValue:
        return {**super().str_schema(schema), "type": ["string", "number"]}


def schema(registry: Registry) -> dict[str, dict[str, Any]]:
    """By file name, and `runbook` for the files in the runbook folders."""
    return {
        "tocsin.yaml": _tocsin(registry),
        "services.yaml": _services(),
        "oncall.yaml": _one(OncallFile, "Tocsin: who is on call"),
        "policy.yaml": _one(PolicyFile, "Tocsin: what runbooks may do"),
        "runbook": _runbook(registry),
    }


def _together(models: list[type[BaseModel]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The schema of each model, and the definitions that they share."""
    unique = list(dict.fromkeys(models))
    by_model, shared = models_json_schema([(model, "validation") for model in unique], schema_generator=Generate)
    definitions = dict(shared.get("$defs", {}))
    whole = []
    for model in models:
        found = by_model[model, "validation"]
        name = str(found.get("$ref", "")).rpartition("/")[2]
        whole.append(dict(definitions[name]) if name else dict(found))
    return whole, definitions


def _one(model: type[BaseModel], title: str) -> dict[str, Any]:
    [found], definitions = _together([model])
    return _document(found, definitions, title)


def _document(found: Mapping[str, Any], definitions: Mapping[str, Any], title: str) -> dict[str, Any]:
    return {"$schema": DIALECT, **found, "title": title, "$defs": dict(definitions)}


def _services() -> dict[str, Any]:
    [service], definitions = _together([Service])
    entry = {**service, "type": ["object", "null"]}
    return _document(
        {"type": "object", "additionalProperties": entry}, definitions, "Tocsin: the catalogue of services"
    )


def _tocsin(registry: Registry) -> dict[str, Any]:
    models = [
        *(TocsinFile, MediumEntry, *MODELS.values()),
        *(*registry.sources.values(), *registry.channels.values(), *registry.gatherers.values()),
    ]
    found, definitions = _together(models)
    rest = iter(found)
    main, use = next(rest), next(rest)["properties"]
    auth = {way: next(rest) for way in MODELS}
    auth |= {way: auth[way]["properties"][key] for way, key in ONLY_SECRETS.items()}
    ways = {kind: registry.senders.get(kind, SenderFacts()).ways for kind in registry.sources}
    sources = [_typed(kind, next(rest), {way: auth[way] for way in ways[kind]}) for kind in registry.sources]
    channels = [_typed(kind, next(rest), use) for kind in registry.channels]
    switched = {name: {"anyOf": [next(rest), {"type": ["null", "boolean"]}]} for name in registry.gatherers}
    properties = dict(main["properties"])
    properties["sources"] = {"type": "object", "additionalProperties": {"anyOf": [*sources, {"type": "null"}]}}
    properties["channels"] = {
        "type": "object",
        "additionalProperties": {"anyOf": [*channels, {"type": "null"}]},
    }
    properties["context"] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"gatherers": {"type": "object", "additionalProperties": False, "properties": switched}},
    }
    required = ["slack", "route"]
    return _document({**main, "properties": properties, "required": required}, definitions, "Tocsin")


def _typed(kind: str, found: Mapping[str, Any], beside: Mapping[str, Any]) -> dict[str, Any]:
    """An entry that names a plugin, with the plugin's own parameters and what stands beside them."""
    properties = {"type": {"const": kind}, **found.get("properties", {}), **beside}
    return {**found, "properties": properties}


def _runbook(registry: Registry) -> dict[str, Any]:
    names = sorted(registry.actions)
    [runbook, *params], definitions = _together([Runbook, *(registry.actions[name] for name in names)])
    step = dict(definitions["Step"])
    step["properties"] = {**step["properties"], "action": {"enum": names}}
    step["allOf"] = [
        {
            "if": {"properties": {"action": {"const": name}}, "required": ["action"]},
            "then": {"properties": {"with": _templatable(found)}},
        }
        for name, found in zip(names, params, strict=True)
    ]
    return _document(runbook, {**definitions, "Step": step}, "Tocsin: a runbook")


def _templatable(found: Mapping[str, Any]) -> dict[str, Any]:
    """An action's parameters, each of which may be a template instead."""
    properties = {name: {"anyOf": [wanted, TEMPLATE]} for name, wanted in found.get("properties", {}).items()}
    return {**found, "properties": properties}
