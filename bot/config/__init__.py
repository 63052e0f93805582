"""YAML files and the environment, read into one frozen Config; every error says file, line, what was found and the nearest valid name.

The only reader of the environment. Used by app and cli; `load` is the door, docs/configuration.md the reference.
"""

from bot.config.auth import Bearer, Hmac
from bot.config.channels import ChannelFacts, Heartbeat, MediumConfig
from bot.config.files import ActionFacts, Config, Registry
from bot.config.loading import load, reload
from bot.config.oncall import CalendarConfig
from bot.config.policy import Service
from bot.config.problems import ConfigErrors, Problem, format_problems
from bot.config.schemas import schema
from bot.config.secrets import SecretRef
from bot.config.server import (
    Database,
    Kubernetes,
    Log,
    Metrics,
    Postmortem,
    Prometheus,
    Server,
    Slack,
)
from bot.config.sources import SenderFacts, SourceConfig

__all__ = [
    "ActionFacts",
    "Bearer",
    "CalendarConfig",
    "ChannelFacts",
    "Config",
    "ConfigErrors",
    "Database",
    "Heartbeat",
    "Hmac",
    "Kubernetes",
    "Log",
    "MediumConfig",
    "Metrics",
    "Postmortem",
    "Problem",
    "Prometheus",
    "Registry",
    "SecretRef",
    "SenderFacts",
    "Server",
    "Service",
    "Slack",
    "SourceConfig",
    "format_problems",
    "load",
    "reload",
    "schema",
]
