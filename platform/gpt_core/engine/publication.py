"""python -m gpt_core.engine.publication WORK STORE MANIFEST ANSWER [--optional]

Publish a result as a checkpoint, in a process of its own: hashing and copying a large model needs memory
and time, and whoever supervises must be able to end it. ANSWER becomes {"name", "digest", "folder"}, or
{"error": {...}}. Exit codes: 0 published, 3 not.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .checkpoint import publish
from .errors import EngineError
from .files import dump_json, read_json, replace_file


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="gpt_core.engine.publication", description=__doc__)
    parser.add_argument("work", type=Path, help="the folder with the result's files")
    parser.add_argument("store", type=Path, help="where checkpoints are published")
    parser.add_argument("manifest", type=Path, help="the manifest but for the files and the hash")
    parser.add_argument("answer", type=Path, help="where to write what was published")
    parser.add_argument(
        "--optional", action="store_true", help="say in ANSWER what went wrong, and exit with 0"
    )
    chosen = parser.parse_args(arguments)
    try:
        published = publish(chosen.work, chosen.store, read_json(chosen.manifest))
    except (EngineError, OSError) as error:
        known = error if isinstance(error, EngineError) else EngineError("internal", str(error))
        replace_file(chosen.answer, dump_json({"error": known.as_dict()}))
        return 0 if chosen.optional else 3
    answer = {
        "name": published.name,
        "digest": published.digest,
        "folder": str(published.folder),
    }
    replace_file(chosen.answer, dump_json(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
