"""`tocsin runbook test` runs the tests that stand in runbooks; `reference` is what docs/runbook-reference.md is made by."""

from __future__ import annotations

from pathlib import Path

from tests.rehearsal.books import SCALE, written
from tests.support.command_line import ROOT, tocsin

GOOD = f"{SCALE}tests:\n  - name: it scales\n    expect: {{plan: {{scale: ['replicas: 3 -> 6']}}}}\n"
BAD = GOOD.replace("name: scale\n", "name: other\n", 1).replace("3 -> 6", "3 -> 7")


def test_every_shipped_runbook_has_tests_that_pass() -> None:
    ended = tocsin("runbook", "test", ROOT / "runbooks")
    assert (ended.code, ended.err) == (0, ""), ended.out
    assert "FAIL" not in ended.out
    for path in (ROOT / "runbooks").glob("*.yaml"):
        assert f"ok   {path.stem}: " in ended.out


def test_a_failure_is_shown_with_its_line_and_ends_with_1(tmp_path: Path) -> None:
    ended = tocsin("runbook", "test", written(tmp_path, GOOD, BAD))
    assert ended.code == 1
    lines = ended.out.splitlines()
    assert lines[0].startswith("ok   scale: it scales  (")
    assert lines[1].startswith("FAIL other: it scales  (")
    place = f"{tmp_path}/1.yaml:12"
    assert lines[2] == f"     {place}: plan: scale does not show 'replicas: 3 -> 7'; the nearest is 'replicas: 3 -> 6'"
    assert lines[-1].startswith("2 tests of 2 runbooks, 1 failed, ")


def test_tests_are_chosen_by_a_word_and_files_one_by_one(tmp_path: Path) -> None:
    folder = written(tmp_path, GOOD, BAD)
    ended = tocsin("runbook", "test", folder, "-k", "SCALE: ")
    words = "-k 'SCALE: ': no test of these 2 runbooks has that in its name or its runbook's\n"
    assert (ended.code, ended.out, ended.err) == (2, "", words)
    ended = tocsin("runbook", "test", folder, "-k", "other it")
    assert (ended.code, "ok   scale" in ended.out, "FAIL other" in ended.out) == (1, False, True)
    assert tocsin("runbook", "test", folder / "0.yaml").code == 0


def test_what_is_not_covered_is_shown_and_can_be_demanded(tmp_path: Path) -> None:
    book = GOOD.replace("    verify:", "    if: params.replicas > 3\n    verify:")
    folder = written(tmp_path, book)
    ended = tocsin("runbook", "test", folder)
    assert ended.code == 0
    table = [line.split() for line in ended.out.splitlines()]
    assert ["scale", "1/1", "1/2", "66", "%"] in table
    assert "not reached: scale: if: false" in ended.out
    ended = tocsin("runbook", "test", folder, "--coverage", "67")
    assert ended.code == 1
    assert ended.out.splitlines()[-1] == "scale: 66 % of its steps and branches are tested, wanted 67 %"
    assert tocsin("runbook", "test", folder, "--coverage", "66").code == 0


def test_a_bad_file_ends_with_2_before_anything_is_run(tmp_path: Path) -> None:
    ended = tocsin(
        "runbook", "test", written(tmp_path, GOOD.replace("facts", "fact"), GOOD.replace("k8s.scale", "k8s.scal"))
    )
    assert (ended.code, ended.out) == (2, "")
    assert "1.yaml:8:13: steps[0].action: no action is called" in ended.err


def test_the_committed_reference_is_what_is_generated() -> None:
    ended = tocsin("runbook", "reference")
    assert ended.code == 0
    committed = (ROOT / "docs/runbook-reference.md").read_text()
    assert ended.out == committed, "docs/runbook-reference.md is out of date: run `make docs`"


def test_the_reference_names_every_action_with_its_parameters() -> None:
    text = (ROOT / "docs/runbook-reference.md").read_text()
    for path in (ROOT / "bot/plugins/actions").glob("[a-z]*.py"):
        assert f"\n### {path.stem.replace('_', '.', 1)}\n" in text
    assert "| `replicas` | whole number (0 to 1000) | *needed* | how many pods there shall be |" in text
    assert "| `if` | text (at most 2000 characters) |  | only when this holds; else the step is skipped |" in text


def test_lint_fails_on_warnings_only_when_told_to_be_strict(tmp_path: Path) -> None:
    folder = written(tmp_path, SCALE)
    ended = tocsin("runbook", "lint", folder)
    assert ended.code == 0
    assert "it changes something and has no tests" in ended.err
    assert tocsin("runbook", "lint", folder, "--strict").code == 1
    assert tocsin("runbook", "lint", written(tmp_path, GOOD), "--strict").code == 0
