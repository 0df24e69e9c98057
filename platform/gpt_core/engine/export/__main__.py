"""The process: python -m gpt_core.engine.export JOB_DIR. Its exit codes are engine.process's."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from ..errors import EngineError
from ..evaluation.events import EventLog
from ..process import SYSTEM, run_alone, told
from .job import EVENTS, read_spec

# What no second attempt can mend: the base or the checkpoint is not of a kind that this export knows.
_USERS_CODES = frozenset(
    {
        "export_gguf_architecture",
        "export_gguf_positions",
        "export_gguf_tokenizer",
        "export_no_adapter",
        "export_out_of_range",
        "export_answers_differ",
        "export_end_differs",
        "export_logits_differ",
        "export_tokenizer_differs",
        "template_refused",
    }
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m gpt_core.engine.export",
        description="Export a checkpoint as an adapter, merged weights or GGUF, and prove it.",
    )
    parser.add_argument("job", type=Path, metavar="JOB_DIR", help="holds export.json")
    return run_alone(parser.parse_args(arguments).job, _run)


def _run(folder: Path) -> int:
    try:
        spec = read_spec(folder)
    except EngineError as error:
        # Without a token nothing may be written for the supervisor to believe.
        logging.error("%s", error)
        return SYSTEM
    events = EventLog(folder / EVENTS, spec.fencing_token)

    def work() -> dict[str, Any]:
        from .procedure import export

        return export(spec, events)

    return told(events, work, users_codes=_USERS_CODES, crash="export_crashed")


if __name__ == "__main__":
    sys.exit(main())
