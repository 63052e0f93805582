"""The section `scripts` of tocsin.yaml."""

from __future__ import annotations

from pathlib import Path

from bot.config.server import Interpreters
from tests.config.folder import TOCSIN, loaded


def test_scripts_are_off_until_they_are_switched_on(tmp_path: Path) -> None:
    scripts = loaded(tmp_path).scripts
    assert (scripts.enabled, scripts.require) == (False, ("landlock", "seccomp"))
    assert scripts.folder == tmp_path / "conf/state/scripts"


def test_what_a_script_may_use_is_read_with_its_units(tmp_path: Path) -> None:
    text = (
        TOCSIN
        + "scripts: {enabled: true, memory: 1GiB, output: 64KiB, folder: /run/scripts, interpreters: {python: /opt/py}}\n"
    )
    scripts = loaded(tmp_path, {"tocsin.yaml": text}).scripts
    assert (scripts.enabled, scripts.memory, scripts.output) == (True, 1 << 30, 64 << 10)
    assert scripts.folder == Path("/run/scripts")
    assert scripts.interpreters == Interpreters(python=Path("/opt/py"))
