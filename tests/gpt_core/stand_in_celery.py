"""`celery`, with stand-ins in the engine's place: python -m tests.gpt_core.stand_in_celery -A config worker ..."""

from __future__ import annotations

import os
import sys
from pathlib import Path

STAND_IN = Path(__file__).with_name("stand_in.py")


def main() -> None:
    import django

    django.setup()
    from gpt_core.supervision import evaluation, training

    def command(module: str, *arguments: str) -> list[str]:
        return [sys.executable, str(STAND_IN), os.environ["STAND_IN"], module, *arguments]

    training.engine = command  # type: ignore[attr-defined]
    evaluation.engine = command  # type: ignore[attr-defined]
    from celery.__main__ import main as celery

    celery()


if __name__ == "__main__":
    main()
