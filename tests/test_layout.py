"""The house as architecture draws it: what would break silently if somebody moved a wall."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_platform_is_a_shelf_not_a_package() -> None:
    assert not list((ROOT / "platform").glob("*.py"))


def test_the_standard_library_platform_wins() -> None:
    subprocess.run(
        [sys.executable, "-c", "import platform; platform.system()"], cwd=ROOT, check=True
    )


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {path.parent for path in (ROOT / "tests").rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []
