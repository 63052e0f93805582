"""The private folder of a script: made, measured and removed, however the script has left it. Standard library only; nothing here follows a link.

Made and removed by Sandbox, measured by its launcher, which removes it as well when the bot has died.
"""

from __future__ import annotations

import os
import stat
import tempfile
from itertools import count

WORK, SCRIPT, STDIN = "work", "script", "stdin"
BLOCK = 512
DEEPEST = 100


class TooMuch(Exception):
    """More in it than it may hold, deeper than anybody needs, or hidden from the one who counts."""


def make(base: str, script: str, stdin: str, owner: int | None) -> str:
    """A new folder in `base` with the script, its input, and an empty folder for it to work in, which `owner` has. Raises OSError."""
    if not os.path.isdir(base):
        os.makedirs(base, exist_ok=True)
        os.chmod(base, 0o711)  # noqa: S103
    run = tempfile.mkdtemp(prefix="run-", dir=base)
    work = os.path.join(run, WORK)
    os.mkdir(work, 0o700)
    if owner is not None:
        os.chmod(run, 0o711)  # noqa: S103
        os.chown(work, owner, owner)
    for name, text, mode in ((SCRIPT, script, 0o444), (STDIN, stdin, 0o400)):
        file = os.open(os.path.join(run, name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(file, "wb") as writing:
            os.fchmod(file, mode)
            writing.write(text.encode("utf-8", "replace"))
    return run


def measured(folder: str, most: int) -> int:
    """Bytes on the disk of everything in it. Raises TooMuch."""
    size, entries = 0, 0
    ahead = [(folder, 0)]
    while ahead:
        place, depth = ahead.pop()
        try:
            with os.scandir(place) as found:
                for entry in found:
                    entries += 1
                    if entries > most or depth > DEEPEST:
                        raise TooMuch
                    try:
                        size += entry.stat(follow_symlinks=False).st_blocks * BLOCK
                    except FileNotFoundError:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        ahead.append((entry.path, depth + 1))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            raise TooMuch from error
    return size


def remove(run: str) -> None:
    """The folder with all in it. Nobody else may be at work there. Raises OSError.

    Folders within folders are first moved up to the top: a script may have nested them deeper than a path can be long.
    """
    number = count()
    ahead = [run]
    while ahead:
        place = ahead.pop()
        if not stat.S_ISDIR(os.lstat(place).st_mode):
            os.unlink(place)
            continue
        os.chmod(place, 0o700)
        with os.scandir(place) as found:
            inside = [(entry.path, entry.is_dir(follow_symlinks=False)) for entry in found]
        for path, folder in inside:
            if not folder:
                os.unlink(path)
                continue
            if place != run:
                os.chmod(path, 0o700)  # to move a folder, one must be able to write in it
                top = os.path.join(run, f".{next(number)}")
                while os.path.lexists(top):
                    top = os.path.join(run, f".{next(number)}")
                os.rename(path, top)
                path = top
            ahead.append(path)
        if place != run:
            os.rmdir(place)
    os.rmdir(run)
