"""schemathesis over the whole description of the native API, so many examples an operation.

    python -m benchmarks.schema_fuzz --examples 100

Runs tests/api/test_schemathesis.py in a database of its own and prints the figures: operations, cases,
those that were accepted (2xx), answers of 5xx, breaches of the description, authentication ignored.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import pytest

from benchmarks.figures import print_figures

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--examples", type=int, default=100, help="cases of each operation")
    asked.add_argument(
        "--part", default="described", help="such as `jobs`; all where none is named"
    )
    options = asked.parse_args()
    os.environ["PARLEY_FUZZ_EXAMPLES"] = str(options.examples)
    os.environ.setdefault("PARLEY_LOG_LEVEL", "ERROR")
    os.chdir(ROOT)
    began = time.monotonic()
    chosen = f"described and {options.part}" if options.part != "described" else "described"
    status = pytest.main(
        ["tests/api/test_schemathesis.py", "-k", chosen, "-p", "no:randomly", "--tb=no", "-q"]
    )
    figures = sys.modules["tests.api.test_schemathesis"].FIGURES
    for told in figures.told[:50]:
        print(f"{told}\n")
    print_figures(
        {
            "operations": figures.operations,
            "cases": figures.cases,
            "accepted": figures.accepted,
            "answers_of_5xx": figures.server_errors,
            "violations": figures.violations,
            "ignored_auth": figures.ignored_auth,
            "seconds": round(time.monotonic() - began),
        }
    )
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
