"""Files that are no YAML, no text, or meant to do harm: each gives one clear problem, at once."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from bot.config import ConfigErrors, load
from tests.config.folder import ENVIRON, GOOD, ONCALL, REGISTRY, RUNBOOK, SERVICES, TOCSIN, loaded, problems, written

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 9)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
TAB = (
    "not YAML: while scanning for the next token, found character that cannot start any token; "
    "indent with spaces, not with tabs, and put text that begins with @, `, %, > or | in quotes"
)
NOT_KNOWN = "is not known here; write a plain value"

TEXTS = [
    ("an alias bomb", "services.yaml", BOMB, "services.yaml:4:29: has more than 25 aliases (*name)"),
    ("a value inside itself", "services.yaml", "a: &a [*a]\n", "services.yaml:1:4: is nested more than 50 levels deep when its aliases are followed"),
    ("a mapping merged into itself", "services.yaml", "a: &a {<<: *a}\n", "services.yaml:1:4: a: merges itself (<<)"),
    ("deep nesting", "services.yaml", "a: " + "[" * 60 + "]" * 60, "services.yaml:1:53: is nested more than 50 levels deep"),
    ("endless nesting", "services.yaml", "[" * 500_000, "services.yaml:1:51: is nested more than 50 levels deep"),
    ("more than a mebibyte", "services.yaml", "#" * (1 << 20) + "\n", "services.yaml: is larger than 1 MiB; that is no configuration"),
    ("UTF-16", "policy.yaml", "roles: {}".encode("utf-16"), "policy.yaml:1:1: is not UTF-8: byte 0xff; save the file as UTF-8"),
    ("Latin-1", "oncall.yaml", ONCALL.replace("Ada", "Jörg").encode("latin-1"), "oncall.yaml:2:16: is not UTF-8: byte 0xf6; save the file as UTF-8"),
    ("a NUL", "services.yaml", "a:\n  owner: x\x00\n", "services.yaml:2:11: has the control character U+0000, which YAML does not allow"),
    ("two documents", "services.yaml", "a:\n---\nb:\n", "services.yaml:2:1: a second document begins here (---); one file holds one document"),
    ("tabs", "tocsin.yaml", "slack:\n\tmode: socket\n", f"tocsin.yaml:2:1: {TAB}"),
    ("an open quote", "services.yaml", "a: 'x\n", "services.yaml:2:1: not YAML: while scanning a quoted scalar, found unexpected end of stream"),
    ("an unknown alias", "services.yaml", "a: *b\n", "services.yaml:1:4: not YAML: found undefined alias"),
    ("an object of Python", "services.yaml", "a: {owner: !!python/name:os.system x}\n",
     'services.yaml:1:12: a.owner: the tag "!!python/name:os.system" ' + NOT_KNOWN),
    ("a key twice", "tocsin.yaml", TOCSIN + "route: {policy: ops}\n",
     'tocsin.yaml:12:1: the key "route" is there twice, first in line 7; keep one of them'),
    ("a key twice deep down", "services.yaml", "a:\n  owner: x\n  owner: y\n",
     'services.yaml:3:3: a: the key "owner" is there twice, first in line 2; keep one of them'),
    ("a list as a key", "services.yaml", "? [a]\n: {}\n", "services.yaml:1:3: a key must be text"),
    ("a list at the top", "tocsin.yaml", "- a\n", "tocsin.yaml:1:1: wanted a mapping (key: value), found a list"),
    ("text at the top", "policy.yaml", "hello\n", 'policy.yaml:1:1: wanted a mapping (key: value), found "hello"'),
    ("a list of services", "services.yaml", "- a\n", "services.yaml:1:1: wanted a mapping (service: …), found a list"),
    ("an empty runbook", "runbooks/x.yaml", "# nothing\n", "runbooks/x.yaml:1:1: the file is empty; a runbook has at least name, title and steps"),
    ("a runbook that is a list", "runbooks/x.yaml", "- a\n", "runbooks/x.yaml:1:1: wanted a mapping (key: value), found a list"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "text", "message"), [row[1:] for row in TEXTS], ids=[row[0] for row in TEXTS])
def test_what_cannot_be_read_is_told_once_and_quickly(
    tmp_path: Path, file: str, text: str | bytes, message: str
) -> None:
    start = time.monotonic()
    assert problems(tmp_path, {file: text}) == [message]
    assert time.monotonic() - start < 2


def test_the_alias_bomb_is_as_small_as_it_is_said_to_be() -> None:
    assert len(BOMB) < 320


def test_few_aliases_of_a_big_value_are_bounded_by_the_number_of_values(tmp_path: Path) -> None:
    levels = "".join(
        f"{name}: &{name} [{','.join(['*' + before] * 3)}]\n" for before, name in zip("abcdefg", "bcdefgh", strict=True)
    )
    text = "a: &a [" + "x," * 5000 + "]\n" + levels
    start = time.monotonic()
    assert problems(tmp_path, {"services.yaml": text})[0].endswith(
        "has more than 200000 values when its aliases are followed"
    )
    assert time.monotonic() - start < 5


def test_a_reasonable_number_of_aliases_and_merges_is_followed(tmp_path: Path) -> None:
    text = "cart: &usual {owner: shop, targets: &t {namespace: shop}}\ncheckout: {<<: *usual, owner: till}\nx: {targets: *t}\n"
    services = loaded(tmp_path, {"services.yaml": text}).services
    assert services["checkout"].owner == "till"
    assert services["checkout"].targets.namespace == services["x"].targets.namespace == "shop"


def test_a_folder_that_is_not_there_is_the_only_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path / "nowhere", REGISTRY, ENVIRON)
    assert (
        str(caught.value)
        == f"{tmp_path}/nowhere: there is no such folder; expected one with tocsin.yaml and oncall.yaml"
    )


def test_a_file_in_place_of_the_folder_is_the_only_problem(tmp_path: Path) -> None:
    (tmp_path / "conf").write_text("")
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path / "conf", REGISTRY, ENVIRON)
    assert str(caught.value) == f"{tmp_path}/conf: is not a folder; expected one with tocsin.yaml and oncall.yaml"


@pytest.mark.parametrize("file", ["tocsin.yaml", "oncall.yaml"])
def test_a_needed_file_that_is_not_there_is_named(tmp_path: Path, file: str) -> None:
    assert problems(tmp_path, {file: None}) == [f"{file}: there is no such file, and it is needed"]


def test_without_a_catalogue_there_are_no_services(tmp_path: Path) -> None:
    assert loaded(tmp_path, {"services.yaml": None}).services == {}


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n"])
def test_an_empty_catalogue_is_no_problem(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, {"services.yaml": text}) == []


def test_a_folder_in_place_of_a_file_is_told(tmp_path: Path) -> None:
    place = written(tmp_path, {"services.yaml": None})
    (place / "services.yaml").mkdir()
    assert problems(tmp_path, {"services.yaml": None}) == ["services.yaml: is a folder; expected a file"]


def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    place = written(tmp_path, {"services.yaml": None})
    os.mkfifo(place / "services.yaml")
    assert problems(tmp_path, {"services.yaml": None}) == ["services.yaml: is not a regular file"]


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    place = written(tmp_path, {"services.yaml": None})
    (place / "services.yaml").symlink_to("/proc/self/mem")
    assert problems(tmp_path, {"services.yaml": None}) == ["services.yaml: cannot be read: Input/output error"]


def test_a_link_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    place = written(tmp_path, {"services.yaml": None})
    (place / "services.yaml").symlink_to("services.yaml")
    assert problems(tmp_path, {"services.yaml": None}) == [
        "services.yaml: cannot be read: Too many levels of symbolic links"
    ]


def test_numbers_are_taken_as_the_text_that_was_written(tmp_path: Path) -> None:
    people = ONCALL.replace("name: Ada", "name: 1.10").replace("name: Bob", "name: 0123")
    directory = loaded(tmp_path, {"oncall.yaml": people}).directory
    assert (directory.people["ada"].name, directory.people["bob"].name) == ("1.10", "0123")


def test_keys_that_look_like_booleans_and_numbers_are_names(tmp_path: Path) -> None:
    text = "on: {owner: a}\n404: {owner: b, depends_on: ['on']}\n"
    assert set(loaded(tmp_path, {"services.yaml": text}).services) == {"on", "404"}


def test_a_byte_order_mark_and_windows_line_ends_are_no_problem(tmp_path: Path) -> None:
    files = {name: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() for name, text in GOOD.items()}
    assert problems(tmp_path, files) == []


def test_text_of_all_the_world_keeps_its_columns(tmp_path: Path) -> None:
    text = SERVICES.replace("owner: shop", "owner: 店🛒, ownr: x")
    assert problems(tmp_path, {"services.yaml": text})[0].startswith("services.yaml:1:23: checkout.ownr: unknown key")


def test_hidden_files_and_other_endings_are_left_alone(tmp_path: Path) -> None:
    files = {"runbooks/.draft.yaml": "[", "runbooks/README.md": "[", ".tocsin.yaml.swp": "\x00"}
    assert problems(tmp_path, files) == []


def test_yml_is_an_ending_of_runbooks_too(tmp_path: Path) -> None:
    assert set(loaded(tmp_path, {"runbooks/other.yml": RUNBOOK.replace("scale-up", "other")}).runbooks) == {
        "scale-up",
        "other",
    }
