"""The runbooks that come with Tocsin and those in docs/runbooks.md: right as files, without a doubt, and their own tests pass."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from bot.cli.runbook_test import rehearse
from bot.clients.render import JinjaTemplates
from bot.config.files import Registry
from bot.config.linting import gathered, lint
from bot.config.runbooks import Known, Runbooks
from bot.config.yaml import read
from bot.domain.policy import Policy
from bot.domain.runbook import Runbook, Step
from bot.plugins import discover
from bot.rehearsal.running import Rehearsal
from tests.support.command_line import ROOT, changed, folder, tocsin, world

FOLDER = ROOT / "runbooks"
GUIDE = ROOT / "docs" / "runbooks.md"
ACTIONS: dict[str, type[BaseModel]] = {name: module.Params for name, module in discover("actions").items()}
FACTS: dict[str, Any] = {
    "params": {"namespace": "shop", "deployment": "checkout", "limit": 0.05, "replicas": 6},
    "incident": {"ref": "INC-7", "opened_at": "2026-11-21T03:12:05.5+00:00"},
    "run": {"ref": "RUN-1"},
}
SHOP = {"namespace": "shop", "deployment": "checkout"}
CRASH = {"alertname": "HighErrorRate", **SHOP}
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
CONSTRUCTS = ("if_", "foreach", "parallel", "call", "retry", "verify", "outputs", "on_failure", "approve", "no_undo")


def registry() -> Registry:
    return discovered()
