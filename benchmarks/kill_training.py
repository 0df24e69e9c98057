"""kill -9 at random moments of training, worker and supervisor: is anything lost, or not what it would have been?

    python -m benchmarks.kill_training --kills 20

Compares fine-tuning jobs that are killed again and again with one run that nobody touches. Everything is
real but the size: a database file, a broker folder, a Celery worker, the engine's training, publication
and evaluation on a random base of two layers. This process stands in for beat (it calls `reap` every
second) and for whatever starts a dead worker again.

The victims, drawn at random: the engine's process, the worker's child that supervises it, the worker
itself. A job may be killed twice in a row before it made progress; the third time would rightly fail it as
poison, so that kill waits until the next step is saved.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from tests.gpt_core.home import Home, children_of

PATIENCE_SECONDS = 180.0
HYPERPARAMETERS = {
    "epochs": 12,
    "batch_size": 2,
    "gradient_accumulation": 1,
    "max_length": 128,
    "validation_every": 40,
    "patience": 0,
    "learning_rate": 0.003,
}


class Experiment:
    """One home, one worker, jobs that all ask for the same, and a hand that kills."""

    def __init__(self, home: Home, seed: int) -> None:
        self.home = home
        self.random = random.Random(seed)
        self.tenant = home.make_tenant()
        self.base = home.make_tiny_base()
        self.killed: Counter[str] = Counter()
        self.moments: Counter[str] = Counter()
        self.restarts = 0
        from tenancy.scope import tenant_scope
        from tests.gpt_core.rows import make_version

        with tenant_scope(self.tenant):
            self.version = make_version(train=60, validation=6, test=4)

    def start_job(self) -> Any:
        from gpt_core.services import start_fine_tuning
        from tenancy.scope import tenant_scope

        with tenant_scope(self.tenant):
            return start_fine_tuning(
                dataset_version=self.version,
                base_model=self.base,
                deployment="support",
                hyperparameters=HYPERPARAMETERS,
                seed=7,
                precision="float32",
            )

    def reference(self) -> tuple[str, dict[int, float]]:
        """(sha256 of the weights, loss by step) of a run that nobody disturbs."""
        from gpt_core import job_folder
        from gpt_core.models import FineTuningJob
        from gpt_core.services.hyperparameters import resolve_hyperparameters, resolve_method
        from tenancy.scope import tenant_scope

        with tenant_scope(self.tenant):
            asked = FineTuningJob(
                base_model=self.base,
                dataset_version=self.version,
                method=resolve_method(None),
                hyperparameters=resolve_hyperparameters(HYPERPARAMETERS),
                seed=7,
                precision="float32",
            )
            folder = job_folder.write_training(asked)
        subprocess.run(
            [sys.executable, "-m", "gpt_core.engine.training", str(folder)],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        lines = (folder / "events.jsonl").read_text().splitlines()
        events = [json.loads(line) for line in lines]
        curve = {one["step"]: one["loss"] for one in events if one["type"] == "train"}
        return weights_of(folder / "best"), curve

    def run(self, kills: int) -> list[Any]:
        """Kill until all kills are spent, then let everything come to its end."""
        jobs = [self.start_job()]
        self.home.start_trainer("trainer")
        deadline = time.monotonic() + PATIENCE_SECONDS
        spent = 0
        next_kill = time.monotonic() + self.random.uniform(0, 8)
        while spent < kills or not all(self.is_over(job) for job in jobs):
            if time.monotonic() > deadline:
                break
            self.tick()
            if spent < kills and all(self.is_over(job) for job in jobs):
                jobs.append(self.start_job())
            if spent < kills and time.monotonic() > next_kill and self.kill_something():
                spent += 1
                next_kill = time.monotonic() + self.random.uniform(0, 8)
                deadline = time.monotonic() + PATIENCE_SECONDS
                print(f"\r{spent}/{kills} kills, {len(jobs)} jobs", end="", flush=True)
        print()
        return jobs

    def tick(self) -> None:
        """A second of what beat and the start script do."""
        from gpt_core import tasks

        tasks.reap()
        self.restarts += len(self.home.mend())
        time.sleep(0.5 + self.random.random() / 2)

    def is_over(self, job: Any) -> bool:
        from gpt_core.models import Evaluation
        from tenancy.scope import tenant_scope

        with tenant_scope(self.tenant):
            job.refresh_from_db()
            open_ = Evaluation.objects.filter(checkpoint__job=job).open().exists()
        return job.is_terminal and not open_

    def kill_something(self) -> bool:
        """One SIGKILL to a process at work; False where nothing runs that may be killed now."""
        running = self.running_row()
        worker = self.home.processes["trainer"]
        if running is None or worker.poll() is not None:
            return False
        victims = {
            "engine": [self.engine_of(running)],
            "supervisor": children_of(worker.pid)[:1],
            "worker": [worker.pid],
        }
        who = self.random.choice(list(victims))
        pid = next(iter(victims[who]), None)
        if not pid:
            return False
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        if who == "worker":
            worker.wait()
        self.killed[who] += 1
        self.moments[self.moment_of(running)] += 1
        return True

    def running_row(self) -> Any:
        from gpt_core.models import Evaluation, FineTuningJob, State
        from tenancy.scope import tenant_scope

        with tenant_scope(self.tenant):
            for kind in (FineTuningJob, Evaluation):
                row = kind.objects.filter(state=State.RUNNING).first()
                if row is not None and row.attempts_without_progress < 3:
                    return row
        return None

    def engine_of(self, row: Any) -> int | None:
        from gpt_core import job_folder
        from gpt_core.supervision.child import RECORD

        try:
            record = json.loads((job_folder.folder_of(row) / RECORD).read_text())
        except (OSError, ValueError):
            return None
        return int(record["pid"])

    def moment_of(self, row: Any) -> str:
        if row.KIND == "evaluation":
            return "evaluating"
        if row.attempts_without_progress:
            return "starting"
        return "publishing" if row.steps and row.step >= row.steps else "training"

    def judge(self, jobs: list[Any], weights: str, curve: dict[int, float]) -> dict[str, int]:
        """What became of the jobs: the four figures that must be 0."""
        from gpt_core.models import Checkpoint, Evaluation, JobMetric, State
        from tenancy.scope import tenant_scope

        lost = corrupt = inexact = duplicated = 0
        store = self.home.folder / "checkpoints"
        with tenant_scope(self.tenant):
            for job in jobs:
                job.refresh_from_db()
                evaluations = list(Evaluation.objects.filter(checkpoint__job=job))
                good = [one for one in evaluations if one.state == State.SUCCEEDED and one.verdict]
                if job.state != State.SUCCEEDED or not good:
                    lost += 1
                    ends = [(one.state, one.failure_code) for one in evaluations]
                    print(f"lost: {job.pk} {job.state} {job.failure_code} {ends} {job.log_tail}")
                    continue
                duplicated += len(evaluations) - 1
                checkpoint = Checkpoint.objects.get(job=job)
                corrupt += not opens(Path(checkpoint.folder), checkpoint.digest)
                rows = list(JobMetric.objects.filter(job=job, kind="train"))
                duplicated += len(rows) - len({row.step for row in rows})
                same = {row.step: row.loss for row in rows} == curve
                inexact += not (same and weights_of(Path(checkpoint.folder)) == weights)
            known = set(Checkpoint.objects.values_list("digest", flat=True))
        found = {one.name for one in store.iterdir() if one.name != "tmp"}
        duplicated += len(found - known)
        return {
            "lost": lost,
            "corrupt": corrupt,
            "duplicated": duplicated,
            "inexact": inexact,
        }


def opens(folder: Path, digest: str) -> bool:
    """Does the engine open it, every byte against its manifest?"""
    script = (
        "import sys, pathlib; from gpt_core.engine.checkpoint import open_checkpoint; "
        "open_checkpoint(pathlib.Path(sys.argv[1]), digest=sys.argv[2])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(folder), digest],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    return done.returncode == 0


def weights_of(folder: Path) -> str:
    return hashlib.sha256((folder / "adapter_model.safetensors").read_bytes()).hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(prog="benchmarks.kill_training", description=__doc__)
    parser.add_argument("--kills", type=int, default=20, help="how many processes to kill")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the victims")
    parser.add_argument("--keep", action="store_true", help="keep the folder and print where it is")
    chosen = parser.parse_args()
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="parley-kill-"))
    print(__doc__ or "", flush=True)
    home = Home.make(folder)
    with home.running():
        experiment = Experiment(home, chosen.seed)
        weights, curve = experiment.reference()
        jobs = experiment.run(chosen.kills)
        figures = experiment.judge(jobs, weights, curve)
    kills = sum(experiment.killed.values())
    attempts = sum(job.attempt for job in jobs)
    print(f"{'victim':<12}{'kills':>6}    {'moment':<12}{'kills':>6}")
    for victim, moment in zip(
        sorted(experiment.killed.items()) + [("", "")] * 4,
        sorted(experiment.moments.items()),
        strict=False,
    ):
        print(f"{victim[0]:<12}{victim[1]:>6}    {moment[0]:<12}{moment[1]:>6}")
    print(f"{len(jobs)} jobs of {len(curve)} steps, {attempts} attempts at training")
    if chosen.keep:
        print(folder)
    else:
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
    result = figures | {
        "kills": kills,
        "jobs": len(jobs),
        "attempts": attempts,
        "worker_restarts": experiment.restarts,
        "seconds": round(time.monotonic() - began, 1),
    }
    print(json.dumps(result))
    return 0 if not any(figures.values()) and kills == chosen.kills else 1


if __name__ == "__main__":
    sys.exit(main())
