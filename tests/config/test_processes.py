"""`make run` leaves nothing behind: not after Ctrl-C, not after a kill of the parent."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.processes import (
    AlreadyRunningError,
    Fleet,
    ProcessError,
    Program,
    end_marked,
    marked_processes,
)

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds processes through /proc")

# A child that starts a grandchild in a session of its own, as the trainer does.
PARENT_OF_A_GRANDCHILD = [
    sys.executable,
    "-c",
    "import subprocess, sys, time;"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True);"
    "print('up', flush=True); time.sleep(600)",
]


def alive_with_mark(home: Path) -> int:
    return len(marked_processes(home))


def wait_until(check: object, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not check():  # type: ignore[operator]
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    end_marked(tmp_path)


def test_stopping_ends_children_and_grandchildren(home: Path) -> None:
    fleet = Fleet(home)
    with fleet.alone():
        fleet.start(Program("family", PARENT_OF_A_GRANDCHILD))
        wait_until(lambda: alive_with_mark(home) == 2)
    assert alive_with_mark(home) == 0


def test_a_second_start_from_the_same_home_is_refused(home: Path) -> None:
    with Fleet(home).alone():
        with pytest.raises(AlreadyRunningError):
            with Fleet(home).alone():
                pass


def test_a_start_after_a_kill_of_everything_ends_what_was_left(home: Path) -> None:
    script = textwrap.dedent(
        f"""
        import time
        from pathlib import Path
        from config.processes import Fleet, Program
        fleet = Fleet(Path({str(home)!r}))
        with fleet.alone():
            fleet.start(Program("family", {PARENT_OF_A_GRANDCHILD!r}))
            time.sleep(600)
        """
    )
    parent = subprocess.Popen([sys.executable, "-c", script])
    wait_until(lambda: alive_with_mark(home) == 2)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    with Fleet(home).alone():
        assert alive_with_mark(home) == 0


def test_a_program_that_ends_at_its_start_names_its_log(home: Path) -> None:
    fleet = Fleet(home)
    with fleet.alone():
        running = fleet.start(
            Program("broken", [sys.executable, "-c", "raise SystemExit('没有模型')"], lambda: False)
        )
        with pytest.raises(ProcessError) as caught:
            fleet.wait_ready(running)
    assert "没有模型" in caught.value.log.read_text()


def test_what_ended_is_started_again(home: Path) -> None:
    fleet = Fleet(home)
    with fleet.alone():
        first = fleet.start(Program("sleeper", ["sleep", "600"]))
        first.process.kill()
        first.process.wait()
        assert fleet.mend() == ["sleeper"]
        assert fleet.running[0].process.poll() is None
