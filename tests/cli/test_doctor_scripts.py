"""`tocsin doctor` on the sandbox: every layer, and whether a script would run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.clients.sandbox import Sandbox
from tests.support.command_line import folder, tocsin
from tests.support.sandboxes import open_folder

LAYERS = Sandbox(Path()).layers()


def enabled(place: Path, scripts: str) -> Path:
    config = folder(place)
    with (config / "tocsin.yaml").open("a") as file:
        file.write(f"\nscripts:\n  enabled: true\n  {scripts}\n")
    return config


def lines(text: str) -> dict[str, str]:
    """What is said of scripts: the mark by name."""
    found = (line for line in text.splitlines() if line[6:].startswith("scripts"))
    return {line[6:35].strip(): line[:4].strip() for line in found}


def test_scripts_that_are_off_are_told_as_such(tmp_path: Path) -> None:
    assert "ok    scripts                      not enabled" in tocsin("doctor", "--config", folder(tmp_path)).out


@pytest.mark.skipif(
    any(there is not True for name, there in LAYERS.items() if name != "user"), reason="this kernel lacks a layer"
)
def test_every_layer_is_told_and_each_interpreter_is_tried(tmp_path: Path) -> None:
    with open_folder() as place:
        ended = tocsin("doctor", "--config", enabled(tmp_path, f"folder: {place}"))
        assert list(place.iterdir()) == []
    told = [f"scripts {layer}" for layer in LAYERS]
    assert lines(ended.out) == dict.fromkeys([*told, "scripts in sh", "scripts in bash", "scripts in python"], "ok")
    assert "run in " in ended.out


@pytest.mark.skipif(os.geteuid() == 0, reason="root's scripts have a user of their own")
def test_a_required_layer_that_is_not_there_is_a_failure_with_its_setting(tmp_path: Path) -> None:
    ended = tocsin("doctor", "--config", enabled(tmp_path, "require: [user]"))
    assert lines(ended.out)["scripts user"] == "FAIL"
    assert "`scripts.require` in tocsin.yaml asks for it; without it, nothing is run" in ended.out


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's scripts have another user, who may not get in")
def test_a_folder_that_scripts_cannot_enter_is_a_failure_with_its_setting(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    ended = tocsin("doctor", "--config", enabled(tmp_path, "seconds: 5"))
    assert lines(ended.out)["scripts in sh"] == "FAIL"
    assert "`scripts.folder` in tocsin.yaml" in ended.out
