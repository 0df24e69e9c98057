"""The web process stays small: no model library in it, and less than 250 MB resident."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Everything a web process loads: the application, every URL, every app's tasks and the admin.
LOAD_EVERYTHING = """
import config.asgi
from django.urls import get_resolver
from config.celery import app
app.loader.import_default_modules()
def walk(patterns):
    for one in patterns:
        if hasattr(one, "url_patterns"):
            walk(one.url_patterns)
walk(get_resolver().url_patterns)
import re, sys
from pathlib import Path
# The peak of this program alone: ru_maxrss would carry over the peak of whoever started it.
status = Path("/proc/self/status")
peak = re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1] if status.exists() else 0
heavy = [name for name in ("torch", "transformers", "sklearn", "scipy") if name in sys.modules]
print(peak, *heavy)
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", LOAD_EVERYTHING],
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PARLEY_HOME": str(tmp_path_factory.mktemp("home")),
        },
        cwd=Path(__file__).resolve().parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def test_the_web_process_imports_no_model_library(loaded: list[str]) -> None:
    assert loaded[1:] == []


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_web_process_stays_under_250_megabytes(loaded: list[str]) -> None:
    assert int(loaded[0]) / 1024 < 250
