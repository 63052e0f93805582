"""`tocsin incident`: what one does at a terminal when Slack is what is down."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command_line import Ended, folder, tocsin


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("incidents"))


def incident(place: Path, *words: str) -> Ended:
    return tocsin("incident", *words, "--config", place)


@pytest.mark.slow  # several commands, each of which builds the program
def test_an_incident_is_opened_taken_noted_and_resolved(place: Path) -> None:
    opened = incident(place, "open", "checkout", "is", "down", "--severity", "critical", "--as", "ada")
    assert (opened.code, opened.out) == (0, "INC-1 is open: checkout is down\n"), opened.text
    taken = incident(place, "ack", "INC-1", "--as", "bob")
    assert (taken.code, taken.out) == (0, "INC-1 is yours. Nobody else is paged for it.\n"), taken.text
    assert incident(place, "note", "1", "the", "database", "was", "restarted", "--as", "bob").code == 0
    (listed,) = incident(place, "list").out.splitlines()
    assert listed.startswith("INC-1  acknowledged by Bob Kahn (command line)  critical  since ")
    assert incident(place, "resolve", "1", "rolled", "back", "--as", "bob").code == 0
    assert incident(place, "list").out == "nothing is open\n"
    shown = incident(place, "show", "1").out
    assert "the database was restarted" in shown
    assert "rolled back" in shown
    assert json.loads(incident(place, "show", "1", "--json").out)["state"] == "resolved"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("ack", "first"), "'first' does not name an incident; write it like INC-1"),
        (("note", "INC-1"), "A note needs words"),
        (("open", "it", "is", "broken", "--as", "nobody"), "nobody"),
    ],
)
def test_what_is_wrong_is_said(place: Path, words: tuple[str, ...], said: str) -> None:
    ended = incident(place, *words)
    assert ended.code == 2
    assert said in ended.err
