"""A folder that one writer fills: its lock, files that are whole or absent, and what to say when the disk refuses."""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hpc_nuvlm.errors import StoreError

LOCK_NAME = ".lock"
# There while a dataset is made in parts, by any number of processes
PLAN_NAME = ".plan.json"


class FolderLocked(StoreError):
    """Another process writes here; `abandoned`: it has ended without finishing."""

    def __init__(self, text: str, abandoned: bool):
        super().__init__(text)
        self.abandoned = abandoned


@contextmanager
def locked_folder(out: Path) -> Iterator[None]:
    """Make the folder if need be and hold it as its only writer, on any machine that shares the file system.

    A folder that is new and still empty after an error is removed.
    """
    try:
        out.mkdir(parents=True)
        created = True
    except FileExistsError:
        created = False
        if not out.is_dir():
            raise StoreError(f"{out}: is a file; a dataset is a folder, give another name") from None
    except OSError as error:
        raise write_error(out, 0, error) from error
    try:
        with _lock(out / LOCK_NAME):
            yield
    except BaseException:
        if created:
            with suppress(OSError):
                out.rmdir()
        raise


def write_atomically(path: Path, data: bytes) -> None:
    """Write under a temporary name, sync, rename, sync the folder: the file is whole or absent.

    Nothing is left of a failure, which is a StoreError.
    """
    # Two ranks may write the same file at once, with the same content: each has a temporary name of its own
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise write_error(path, len(data), error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_error(path: Path, num_bytes: int, error: OSError) -> StoreError:
    """What to tell a user whose disk did not take a file."""
    reason = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the quota is used up",
        errno.EFBIG: "the file-size limit is reached",
    }
    if error.errno not in reason:
        return StoreError(f"{path}: cannot be written: {error.strerror}; choose a folder that you may write to")
    free = shutil.disk_usage(path.parent).free
    return StoreError(
        f"{path}: cannot be written: {reason[error.errno]}; {num_bytes} bytes are needed, {free} are free; "
        "free some space or raise the limit (ulimit -f, quota), then start again"
    )


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    try:
        with path.open("x") as stream:
            json.dump({"pid": os.getpid(), "host": socket.gethostname()}, stream)
    except FileExistsError:
        raise _judge_lock(path) from None
    except OSError as error:
        path.unlink(missing_ok=True)
        raise write_error(path, 0, error) from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _judge_lock(path: Path) -> FolderLocked:
    try:
        owner = json.loads(path.read_text())
        pid, host = int(owner["pid"]), str(owner["host"])
    except (OSError, ValueError, KeyError, TypeError):
        text = f"{path}: another writer has just begun or was killed; if none is running, delete this file"
        return FolderLocked(text, abandoned=False)
    if host == socket.gethostname() and not Path(f"/proc/{pid}").exists():
        text = f"{path}: was left by process {pid}, which ended without finishing; delete this file and start again"
        return FolderLocked(text, abandoned=True)
    text = f"{path}: process {pid} on {host} is writing here; wait for it, or if that job has ended delete this file"
    return FolderLocked(text, abandoned=False)
