"""Settings come from the environment, are documented, and a bad value is answered with a sentence."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = (ROOT / "platform" / "config" / "settings.py").read_text()


def read_from_environment() -> set[str]:
    helpers = r"(?:env\.\w+|whole_number|yes_or_no|local_secret)"
    return set(re.findall(helpers + r'\(\s*"([A-Z_]+)"', SOURCE))


def test_every_setting_is_documented_in_the_example() -> None:
    documented = set(
        re.findall(r"^# ([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    )
    # PARLEY_PORT is read by `manage.py run` itself.
    assert documented - {"PARLEY_PORT"} == read_from_environment()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("PARLEY_JOB_LEASE_SECONDS", "soon", "expected a whole number of at least 5"),
        ("PARLEY_HTTPS", "perhaps", "expected true or false"),
        ("DATABASE_URL", "oracle://x", "DATABASE_URL"),
        ("GPT_ENGINES", "[1]", "GPT_ENGINES: expected JSON"),
        ("GPT_ENGINES", "{一", "GPT_ENGINES: expected JSON"),
        ("PARLEY_UPLOADS_ORIGIN", "files.example.com", "expected one origin"),
        ("PARLEY_UPLOADS_ORIGIN", "https://files.example.com/", "expected one origin"),
        ("PARLEY_UPLOADS_ORIGIN", "https://files.example.com", "name the panel's origin as well"),
    ],
)
def test_a_bad_value_stops_the_start_and_says_what_was_expected(
    name: str, value: str, said: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import config.settings"],
        env={**os.environ, "PARLEY_HOME": str(tmp_path), name: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "ImproperlyConfigured" in done.stderr
    assert said in done.stderr


def test_a_secret_made_for_this_machine_is_kept_and_private(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import config.settings as s; print(s.SECRET_KEY)"]
    environment = {**os.environ, "PARLEY_HOME": str(tmp_path), "PARLEY_SECRET_KEY": ""}
    first, second = (
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    )
    assert first == second
    kept = tmp_path / "secrets" / "parley_secret_key"
    assert kept.stat().st_mode & 0o077 == 0


def test_an_origin_for_uploads_is_let_in_and_led_to(tmp_path: Path) -> None:
    said = "s.ALLOWED_HOSTS, s.CONTENT_SECURITY_POLICY['DIRECTIVES']['form-action']"
    told = subprocess.run(
        [sys.executable, "-c", f"import config.settings as s; print({said})"],
        env={
            **os.environ,
            "PARLEY_HOME": str(tmp_path),
            "PARLEY_HOSTS": "parley.example.com",
            "PARLEY_ORIGINS": "https://parley.example.com",
            "PARLEY_UPLOADS_ORIGIN": "https://files.example.com:8443",
        },
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    hosts = "['parley.example.com', 'files.example.com']"
    assert told.strip() == f"""{hosts} ["'self'", 'https://files.example.com:8443']"""
