"""The demo's configuration as a folder, for trying every other command on it: `tocsin runbook plan … --config .tocsin-demo/config`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from bot.config.loading import FILES, MAIN
from bot.config.marks import override
from bot.config.yaml import read

NAME = "config"
REFERENCE = "env:"
MARK = "TOCSIN_SLACK_BOT_TOKEN"


def is_one(state: Path) -> bool:
    """Whether a folder is the state of an earlier demo, or holds nothing."""
    return state.is_dir() and ((state / NAME / MARK).exists() or not any(state.iterdir()))


def write(into: Path, folder: Path, overrides: Mapping[str, Any], secrets: Mapping[str, str]) -> None:
    """What `folder` says with `overrides`. Its references to `secrets` become files beside it: the other commands have not the demo's variables."""
    into.mkdir(parents=True, exist_ok=True)
    documents = {name: read(folder / name, name)[0] for name in FILES if (folder / name).exists()}
    override(documents, MAIN, overrides)
    files = {f"{REFERENCE}{name}": f"file:{(into / name).resolve()}" for name in secrets}
    for name, value in secrets.items():
        (into / name).write_text(value, encoding="utf-8")
    for name, document in documents.items():
        values = _with_files(document.data, files)
        if name == MAIN:
            values["runbooks"] = [str((folder / place).resolve()) for place in values.get("runbooks") or ["runbooks"]]
        (into / name).write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True), encoding="utf-8")


def _with_files(value: Any, files: Mapping[str, str]) -> Any:
    """The same with references to files in place of those to variables."""
    if isinstance(value, dict):
        return {key: _with_files(item, files) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_files(item, files) for item in value]
    return files.get(value, value) if isinstance(value, str) else value
