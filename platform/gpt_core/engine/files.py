"""Files that are whole or absent: strict JSON in, atomic writes out, hashes, no links followed."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import EngineError

JSON_LIMIT = 4 * 1024 * 1024
CHUNK = 1024 * 1024
PICKLE_SUFFIXES = frozenset(
    {
        ".bin",
        ".pt",
        ".pth",
        ".pkl",
        ".pickle",
        ".ckpt",
        ".joblib",
        ".npy",
        ".npz",
        ".h5",
        ".msgpack",
    }
)


def open_regular(path: Path) -> int:
    """A read descriptor of a regular file; links and devices raise EngineError("file_not_regular").

    O_NOFOLLOW makes the check and the opening one step, so that nobody swaps the file in between.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise EngineError("file_not_regular", f"{path.name} is a link") from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise EngineError("file_not_regular", f"{path.name} is not a regular file")
    return descriptor


def sha256_of(path: Path) -> tuple[str, int]:
    """The (hex digest, size in bytes) of a regular file, read in constant memory."""
    digest, size = hashlib.sha256(), 0
    with os.fdopen(open_regular(path), "rb") as handle:
        while block := handle.read(CHUNK):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size


def describe_files(folder: Path, names: list[str]) -> dict[str, dict[str, Any]]:
    """{name: {"sha256", "size"}} for the named files of a folder, in sorted order."""
    described = {}
    for name in sorted(names):
        digest, size = sha256_of(folder / name)
        described[name] = {"sha256": digest, "size": size}
    return described


def parse_json(text: str | bytes, *, what: str = "json") -> Any:
    """JSON without NaN, without duplicate keys and without endless nesting; else EngineError."""
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8")
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise EngineError("invalid_json", f"{what}: {str(error)[:200]}") from error


def read_json(path: Path, *, limit: int = JSON_LIMIT) -> Any:
    """A JSON file of at most `limit` bytes, read strictly."""
    with os.fdopen(open_regular(path), "rb") as handle:
        content = handle.read(limit + 1)
    if len(content) > limit:
        raise EngineError("invalid_json", f"{path.name} is larger than {limit} bytes")
    return parse_json(content, what=path.name)


def dump_json(document: Any) -> bytes:
    """Canonical JSON bytes: sorted keys, no NaN, UTF-8 as it is, a newline at the end."""
    text = json.dumps(document, sort_keys=True, ensure_ascii=False, indent=1, allow_nan=False)
    return (text + "\n").encode("utf-8")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file and fsync it. Not atomic by itself: for files inside a folder renamed later."""
    with path.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


def sync_file(path: Path) -> None:
    """fsync a file that somebody else wrote."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(path: Path) -> None:
    """fsync a folder, so that the names inside it survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes) -> None:
    """Old content or new content, never a mixture: write aside, fsync, rename, fsync the folder."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        write_whole(aside, content)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


@contextmanager
def folder_aside(store: Path) -> Iterator[Path]:
    """A fresh folder `store/tmp/<uuid>` on the same filesystem, gone again unless renamed away."""
    aside = store / "tmp" / uuid.uuid4().hex
    with disk_faults():
        aside.mkdir(parents=True)
        try:
            yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def rename_folder(aside: Path, final: Path) -> bool:
    """Rename once and fsync the parent. False if `final` was already there (it is left alone)."""
    sync_folder(aside)
    try:
        aside.rename(final)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST) and final.is_dir():
            return False
        raise
    sync_folder(final.parent)
    return True


def copy_file(source: Path, target: Path) -> None:
    """Copy a regular file's content (no links, no modes) and fsync the copy."""
    with os.fdopen(open_regular(source), "rb") as reader, target.open("wb") as writer:
        shutil.copyfileobj(reader, writer, CHUNK)
        writer.flush()
        os.fsync(writer.fileno())


@contextmanager
def disk_faults() -> Iterator[None]:
    """Turn a full disk or quota into EngineError("disk_full"), so that callers need not know errno."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise EngineError("disk_full", str(error)) from error
        raise


def list_files(folder: Path) -> list[str]:
    """The names of a folder's files; a link or a folder inside raises EngineError."""
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink() or not entry.is_file(follow_symlinks=False):
                raise EngineError("file_not_regular", f"{entry.name!r} is not a regular file")
            names.append(entry.name)
    return sorted(names)


def hostile_key(document: Any, keys: frozenset[str]) -> str | None:
    """The first of `keys` found with a true value anywhere inside a JSON document, or None."""
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, Mapping):
            for key, inner in value.items():
                if key in keys and inner:
                    return str(key)
                pending.append(inner)
        elif isinstance(value, list):
            pending.extend(value)
    return None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return document
