"""`make bench` runs, and what it measures is right: nothing that was accepted is missing. Nothing here depends on how fast the machine is."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_benchmark_runs_and_nothing_that_was_accepted_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    command = [
        sys.executable,
        str(ROOT / "bench" / "run.py"),
        "--quick",
        "--json",
        str(file),
        "--folder",
        str(tmp_path),
    ]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    figures = json.loads(file.read_text())
    assert figures["wrong"] == []
    assert {(one["database"], one["per_post"]) for one in figures["storms"]} >= {
        ("sqlite", 1),
        ("sqlite", 100),
        ("postgres", 100),
    }
    for one in [*figures["storms"], *figures["latency"]]:
        assert one["accepted"] == one["rows"] > 1000
        assert set(one["statuses"]) == {"200"}
        assert one["incidents_kept"] == one["incidents_expected"]
        assert one["accepted_s"] > 0
        assert one["server_cpu_s"] > 0
    assert all(one["unheard"] == 0 and one["first_call"]["p99"] is not None for one in figures["latency"])
    (memory,) = [one["memory"] for one in figures["storms"] if "settled" in one["memory"]]
    assert set(memory) == {"start", "after", "settled"}
    assert set(figures["ratios"]["to_bare_server"]) == {"1", "100"}
    assert figures["runs"]["runs_per_second"] > 0
    assert figures["runs"]["click_to_act"]["p99"] is not None
    assert figures["runs"]["resume"]["runs"] == 200
    alone, served = figures["signal"]["triage"], figures["signal"]["served"]
    assert alone["none"] >= alone["many"] > 0
    assert all(served[name]["accepted"] == served[name]["rows"] > 100 for name in ("none", "many"))
    assert served["many"]["accepted"] > 1_000, "its active alerts are among them"
    assert served["ratio_by_cpu"] > 0
