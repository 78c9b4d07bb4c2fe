"""Files and folders that are written whole or not at all."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from picq.errors import LayoutError

_REMEDIES = {
    errno.ENOSPC: "free some space on this disk, or export to another one",
    errno.EDQUOT: "your quota on this disk is used up: free some space, or export to another one",
    errno.EACCES: "export to a folder that you may write to",
    errno.EROFS: "this file system is read-only: export to another one",
}


def write_file(path: Path, content: bytes | str) -> None:
    """Write a file and wait until it is on the disk. Text is UTF-8 with newlines as they are.

    Raises:
        LayoutError: it cannot be written; a part of it may exist.
    """
    try:
        with path.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> LayoutError:
    """What to tell a user whose file or folder could not be written."""
    remedy = _REMEDIES.get(error.errno or 0, "export to another folder")
    return LayoutError(f"cannot write {path.name}", got=error.strerror or str(error), remedy=remedy)


@contextmanager
def atomic_folder(target: Path) -> Iterator[Path]:
    """A new folder beside ``target`` that takes its place when the block ends without an exception.

    Until then, and after any exception, what ``target`` was before stays untouched, and nothing else remains.

    Raises:
        LayoutError: a folder cannot be made or renamed.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}-"))
    except OSError as error:
        raise unwritable(target, error) from error
    new, old = work / "new", work / "old"
    try:
        new.mkdir()
        yield new
        _sync(new)
        try:
            _swap(new, target, old)
        except OSError as error:
            raise unwritable(target, error) from error
        _sync(target.parent)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _swap(new: Path, target: Path, old: Path) -> None:
    """Put ``new`` in place of ``target``; on any exception, interrupts included, ``target`` is put back."""
    try:
        if target.exists():
            target.rename(old)
        new.rename(target)
    except BaseException:
        if old.exists() and not target.exists():
            old.rename(target)
        raise


def _sync(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
