"""Documents: whole or not at all, and nowhere but in their folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bot.clients.files import FolderDocuments
from bot.errors import BadInput, TryLater


def content(path: str) -> bytes:
    return Path(path).read_bytes()


async def test_a_document_is_written_and_replaced_whole(tmp_path: Path) -> None:
    documents = FolderDocuments(tmp_path / "new" / "folder")
    path = await documents.write("INC-7.md", "first\n")
    assert await documents.write("INC-7.md", "# second: ä\n") == path
    assert content(path) == "# second: ä\n".encode()
    assert os.listdir(tmp_path / "new" / "folder") == ["INC-7.md"]


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../x.md", "a/b.md", "a\\b", "/etc/passwd", ".hidden", "a\0b", "x" * 300, "a\n"]
)
async def test_a_name_that_could_leave_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match="cannot be the name of a document"):
        await FolderDocuments(tmp_path).write(name, "text")
    assert os.listdir(tmp_path) == []


async def test_a_folder_that_cannot_be_written_is_for_later_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(TryLater, match="cannot write"):
        await FolderDocuments(tmp_path / "file").write("INC-7.md", "text")
    (tmp_path / "INC-7.md").mkdir()
    with pytest.raises(TryLater, match="cannot write"):
        await FolderDocuments(tmp_path).write("INC-7.md", "text")
    assert sorted(os.listdir(tmp_path)) == ["INC-7.md", "file"]


async def test_text_that_is_not_quite_unicode_is_written_all_the_same(tmp_path: Path) -> None:
    path = await FolderDocuments(tmp_path).write("INC-7.md", "half \ud800 pair")
    assert content(path) == b"half ? pair"
