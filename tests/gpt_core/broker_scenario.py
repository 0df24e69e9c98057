"""What a broker may do to the doorbell, with real workers: python -m tests.gpt_core.broker_scenario URL

Prints one JSON object. The engine's processes are stand-ins; the workers, the broker, the database file and
beat are real.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.gpt_core.home import Home, is_alive, wait_until

MESSAGES = 300


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="parley-broker-"))
    home = Home.make(folder, broker=sys.argv[1], STAND_IN="steady")
    scenario = Scenario(home)
    with home.running():
        scenario.purge()
        result = {
            "flood": scenario.flood(),
            "shutdown": scenario.shutdown(),
            "frozen": scenario.frozen(),
            "lost": scenario.lost(),
        }
        scenario.purge()
    shutil.rmtree(folder, ignore_errors=True)
    sys.stdout.write(json.dumps(result) + "\n")


class Scenario:
    def __init__(self, home: Home) -> None:
        from tenancy.scope import tenant_scope
        from tests.gpt_core.rows import make_base, make_version

        self.home = home
        self.tenant = home.make_tenant()
        with tenant_scope(self.tenant):
            self.base = make_base()
            self.version = make_version()

    def flood(self) -> dict[str, Any]:
        """Hundreds of messages for a few jobs, and two workers that hear them all."""
        from gpt_core import dispatch

        jobs = [self.start_job() for _ in range(3)]
        for _ in range(MESSAGES):
            dispatch._ring()
        for name in ("one", "two"):
            self.trainer(name)
        wait_until(lambda: all(self.is_done(job) for job in jobs), 60)
        # While messages are left, whatever runs a job twice has its chance.
        time.sleep(2)
        return self.told(jobs)

    def shutdown(self) -> dict[str, Any]:
        """A worker told to stop hands its job over; the job runs on elsewhere and is not counted."""
        import os
        import signal

        from gpt_core import job_folder
        from gpt_core.supervision.child import _recorded

        for name in ("one", "two"):
            self.stop(name)
        job = self.start_job()
        worker = self.trainer("three")
        wait_until(lambda: self.fresh(job).state == "running", 30)
        pid = wait_until(lambda: _recorded(job_folder.folder_of(job))[0], 10)
        self.home.processes.pop("three")
        # To the parent alone, as a container's stop does.
        os.kill(worker.pid, signal.SIGTERM)
        began = time.monotonic()
        wait_until(lambda: self.fresh(job).state != "running", 20)
        gone = time.monotonic() - began
        wait_until(lambda: not is_alive(pid), 5)
        code = worker.wait(20)
        self.trainer("four")
        wait_until(lambda: self.is_done(job), 60)
        return {"seconds": round(gone, 1), "exit": code, "job": self.told([job])}

    def frozen(self) -> dict[str, Any]:
        """A supervisor stopped past its lease wakes up when another has done its job."""
        from gpt_core import tasks

        job = self.start_job()
        wait_until(lambda: self.fresh(job).state == "running", 30)
        supervisor = int(job.worker.rpartition(":")[2])
        os.kill(supervisor, signal.SIGSTOP)
        self.trainer("other")

        def done() -> bool:
            tasks.reap()
            return self.is_done(job)

        wait_until(done, 60, every=0.5)
        told = self.told([job])
        before = self.columns(job)
        os.kill(supervisor, signal.SIGCONT)
        time.sleep(3)
        same = self.columns(job) == before and self.told([job]) == told
        self.stop("other")
        stored = [one.name for one in (self.home.folder / "checkpoints").iterdir()]
        return {
            "job": told,
            "unchanged": same,
            "alive": is_alive(supervisor),
            "stored": sum(self.manifest_names(name, job) for name in stored),
        }

    def columns(self, job: Any) -> dict[str, Any]:
        self.fresh(job)
        return {field.attname: getattr(job, field.attname) for field in job._meta.concrete_fields}

    def manifest_names(self, folder: str, job: Any) -> bool:
        manifest = self.home.folder / "checkpoints" / folder / "manifest.json"
        return manifest.exists() and str(job.pk) in manifest.read_text()

    def lost(self) -> dict[str, Any]:
        """Every message is lost while no worker runs; beat finds the job."""
        self.stop("four")
        job = self.start_job()
        self.purge()
        self.trainer("five", queues="training,default")
        time.sleep(1)
        self.home.start("beat", ["-m", "celery", "-A", "config", "beat"])
        wait_until(lambda: self.is_done(job), 90)
        return self.told([job])

    def trainer(self, name: str, queues: str = "training") -> Any:
        arguments = ["-A", "config", "worker", "-Q", queues, "-c", "1", "-n", f"{name}@%h"]
        return self.home.start(name, ["-m", "tests.gpt_core.stand_in_celery", *arguments])

    def stop(self, name: str) -> None:
        process = self.home.processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def start_job(self) -> Any:
        from gpt_core.services import start_fine_tuning
        from tenancy.scope import tenant_scope

        with tenant_scope(self.tenant):
            return start_fine_tuning(
                dataset_version=self.version, base_model=self.base, deployment="support"
            )

    def fresh(self, job: Any) -> Any:
        from tenancy.scope import tenant_scope

        with tenant_scope(self.tenant):
            job.refresh_from_db()
        return job

    def is_done(self, job: Any) -> bool:
        from gpt_core.models import Evaluation
        from tenancy.scope import tenant_scope

        with tenant_scope(self.tenant):
            evaluations = list(Evaluation.objects.filter(checkpoint__job=job))
        return bool(evaluations) and all(one.is_terminal for one in evaluations)

    def told(self, jobs: list[Any]) -> dict[str, Any]:
        """How often each job's process ran, and what came of it."""
        from gpt_core import job_folder
        from gpt_core.models import Checkpoint
        from tenancy.scope import tenant_scope

        runs = [
            len((job_folder.folder_of(job) / "runs.txt").read_text().splitlines()) for job in jobs
        ]
        with tenant_scope(self.tenant):
            checkpoints = [Checkpoint.objects.filter(job=job).count() for job in jobs]
        return {
            "states": [self.fresh(job).state for job in jobs],
            "runs": runs,
            "attempts": [job.attempt for job in jobs],
            "checkpoints": checkpoints,
        }

    def purge(self) -> None:
        from config.celery import app

        with app.connection_for_write() as connection:
            for queue in ("training", "default"):
                bound = app.amqp.queues[queue](connection.default_channel)
                bound.declare()
                bound.purge()


if __name__ == "__main__":
    main()
