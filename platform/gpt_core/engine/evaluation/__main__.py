"""The process: python -m gpt_core.engine.evaluation JOB_DIR. Its exit codes are engine.process's."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from ..errors import EngineError
from ..process import SYSTEM, run_alone, told
from .events import EventLog
from .job import EVENTS, REPORT, read_spec

# What the tenant's rows or training brought about; the rest is ours to mend.
_USERS_CODES = frozenset(
    {
        "evaluation_loss_not_finite",
        "evaluation_without_rows",
        "checkpoint_not_finite",
        "invalid_json",
        "row_invalid",
        "row_unknown_format",
        "template_refused",
    }
)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m gpt_core.engine.evaluation",
        description="Measure a checkpoint against its base and the one that serves.",
    )
    parser.add_argument("job", type=Path, metavar="JOB_DIR", help="holds evaluation.json")
    return run_alone(parser.parse_args(arguments).job, _run)


def _run(folder: Path) -> int:
    try:
        events = EventLog(folder / EVENTS, read_spec(folder).fencing_token)
    except EngineError as error:
        # Without a token nothing may be written for the supervisor to believe.
        logging.error("%s", error)
        return SYSTEM

    def work() -> dict[str, Any]:
        from .procedure import evaluate

        report = evaluate(folder)
        return {"n": report["n"], "seconds": report["seconds"], "result": REPORT}

    return told(events, work, users_codes=_USERS_CODES, crash="evaluation_crashed")


if __name__ == "__main__":
    sys.exit(main())
