"""The official Node client, unmodified, against a running platform: the calls of openai_client.js."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from tests.conftest import missing_service
from tests.labeling.conftest import questions
from tests.live import ROOT, Platform
from tests.live.transcript import Transcript

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

HERE = Path(__file__).parent
PINS = ("package.json", "package-lock.json")
OLDEST_NODE = 20


@pytest.fixture(scope="session")
def script() -> Path:
    """openai_client.js beside the client that the lock file pins, which is fetched once."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        pytest.skip("node and npm are not here")
    told = subprocess.run([node, "--version"], check=True, capture_output=True, text=True).stdout
    if int(told.removeprefix("v").partition(".")[0]) < OLDEST_NODE:
        pytest.skip(f"node is {told.strip()}; OpenAI's client wants {OLDEST_NODE} or later")
    digest = sha256(b"".join((HERE / name).read_bytes() for name in PINS)).hexdigest()
    folder = ROOT / "var" / "node" / digest[:16]
    if not folder.exists():
        _install(folder)
    return Path(shutil.copy(HERE / "openai_client.js", folder))


def _install(folder: Path) -> None:
    """Whole or not at all: a killed npm leaves no half of it in the place."""
    aside = folder.with_suffix(".new")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    for name in PINS:
        shutil.copy(HERE / name, aside)
    done = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=aside,
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        missing_service(f"npm could not fetch OpenAI's client: {done.stderr[-500:]}")
    aside.rename(folder)


def test_every_call_of_the_node_client(
    platform: Platform,
    script: Path,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    training, validation = tmp_path / "客服.jsonl", tmp_path / "more.jsonl"
    training.write_text(questions(60, start=400), encoding="utf-8")
    validation.write_text(questions(12, start=600), encoding="utf-8")
    asked = {
        "baseURL": platform.base_url,
        "keys": platform.keys,
        "model": platform.base,
        "training": str(training),
        "validation": str(validation),
    }
    ran = subprocess.run(
        ["node", script.name],
        cwd=script.parent,
        input=json.dumps(asked),
        check=False,
        capture_output=True,
        encoding="utf-8",
        timeout=850,
    )
    transcript = Transcript(f"OpenAI client {_version(script)}, Node")
    for line in ran.stdout.splitlines():
        told = json.loads(line)
        transcript.lines.append((told["name"], told["detail"]))
    record_property(f"calls of {transcript.client}", transcript.figures)
    with capsys.disabled():
        print(f"\n{transcript.show()}")  # noqa: T201
    assert (ran.returncode, ran.stderr, transcript.wrong) == (0, "", [])
    assert len(transcript.lines) == _calls_written()


def _version(script: Path) -> str:
    found = script.parent / "node_modules" / "openai" / "package.json"
    return str(json.loads(found.read_text())["version"])


def _calls_written() -> int:
    """How many the script holds, so that none can be lost on the way; `files.delete` is made twice."""
    written = re.findall(
        r"^\s*(?:const \w+ = )?await (?:call|refusal)\(",
        (HERE / "openai_client.js").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    return len(written) + 1
