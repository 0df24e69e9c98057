"""python -m gpt_core.engine.bases SOURCE --store DIR

Prepare a base model. Prints JSON lines: {"progress", "message"} as it goes, last {"base"} or {"error"}.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from ..errors import EngineError
from ..files import disk_faults
from . import prepare_base


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="gpt_core.engine.bases", description=__doc__)
    os.environ.setdefault("TQDM_DISABLE", "1")  # the one progress is ours
    parser.add_argument("source", help="packaged name, local folder, or Hugging Face name")
    home = Path(os.environ.get("PARLEY_HOME", "var"))
    parser.add_argument("--store", type=Path, default=home / "bases")
    chosen = parser.parse_args(arguments)

    def say(document: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    try:
        with disk_faults():
            base = prepare_base(
                chosen.source,
                chosen.store,
                progress=lambda share, message: say({"progress": share, "message": message}),
            )
    except EngineError as error:
        say({"error": error.as_dict()})
        return 1
    say({"base": base.as_dict()})
    return 0


if __name__ == "__main__":
    sys.exit(main())
