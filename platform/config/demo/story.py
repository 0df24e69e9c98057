"""A company of the demo becomes a GPT that serves, chapter by chapter.

Each chapter looks into the database first, so that a story broken off is taken up where it stopped
and a finished one is not told again.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _

from accounts.models import User
from apps.chatbot.models import LessonRun
from apps.chatbot.services import make_lessons
from gpt_core.gate import Verdict
from gpt_core.models import BaseModel, Deployment, Evaluation, FineTuningJob, State
from gpt_core.services import promote, start_fine_tuning
from gpt_core.verdict_text import sentence
from labeling.models import Dataset, DatasetVersion, ImportRun
from labeling.services import freeze_version, import_examples
from tenancy.models import Membership, Role, Tenant
from tenancy.scope import system_scope

from .company import DEPLOYMENT, LANGUAGE, Company

OWNER = "owner@zaragoza.example"

# Reports how far a step is: a share between 0 and 1 (None: unknown yet), and a few words.
Progress = Callable[[float | None, str], None]


class StoryError(Exception):
    """The story cannot go on; the text says why and what to do."""


@dataclass
class Story:
    """What the chapters hand on to each other."""

    company: Company
    tenant: Tenant
    owner: User


def owner_password() -> str:
    """The demo owner's password: made once for this machine, readable by its user alone."""
    kept = settings.PARLEY_HOME / "secrets" / "demo_password"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        kept.touch(mode=0o600)
        kept.write_text(secrets.token_urlsafe(9))
    return str(kept.read_text())


def begin(company: Company) -> tuple[Story, str]:
    """The company, and a person who may do everything there; the same one in each."""
    with system_scope("make run: the demo tenant"):
        tenant, new = Tenant.objects.get_or_create(
            slug=company.slug, defaults={"name": company.name}
        )
        owner = User.objects.filter(email=OWNER).first()
        if owner is None:
            owner = User.objects.create_user(
                OWNER, owner_password(), is_staff=True, is_superuser=True
            )
        Membership.objects.get_or_create(tenant=tenant, user=owner, defaults={"role": Role.OWNER})
    told = _("Created the tenant %(name)s") if new else _("The tenant %(name)s is here")
    return Story(company, tenant, owner), told % {"name": company.name}


def import_history(story: Story, progress: Progress) -> str:
    """The company's questions and answers, once."""
    company = story.company
    dataset, _new = Dataset.objects.get_or_create(
        slug=DEPLOYMENT,
        defaults={"name": "Support", "language": LANGUAGE, "description": _(company.about)},
    )
    if ImportRun.objects.filter(dataset=dataset, state=ImportRun.State.DONE).exists():
        return _("%(count)d questions and answers are here") % {"count": dataset.examples.count()}
    with company.history() as stream:
        report = import_examples(
            dataset=dataset,
            stream=stream,
            filename=company.filename,
            mapping=company.mapping,
            progress=lambda share: progress(share, ""),
        )
    return _("Imported %(count)d questions and answers, %(faults)d faults") % {
        "count": report.created,
        "faults": len(report.faults),
    }


def make_its_lessons(story: Story, progress: Progress) -> str:
    """The passages of the company's articles beside each question."""
    source = Dataset.objects.get(slug=DEPLOYMENT)
    run = LessonRun.objects.filter(source=source).order_by("-created_at").first()
    if run is None or run.state in (LessonRun.State.FAILED, LessonRun.State.CANCELLED):
        run = make_lessons(source=source, actor=story.owner)
    while run.is_open:
        time.sleep(0.5)
        run.refresh_from_db()
        progress(run.share, "")
    if run.state != LessonRun.State.DONE:
        raise StoryError(_("No lessons were made (%(code)s).") % {"code": run.failure})
    return _("Made %(count)d lessons in answering from the articles") % {
        "count": run.dataset.examples.count()
    }


def freeze(story: Story) -> tuple[DatasetVersion, str]:
    """A version that no later edit can change."""
    run = LessonRun.objects.filter(source__slug=DEPLOYMENT).latest("created_at")
    dataset = run.dataset
    version = DatasetVersion.objects.filter(dataset=dataset).order_by("number").first()
    if version is None:
        version = freeze_version(dataset=dataset, shares=story.company.shares)
    counts = version.counts
    return version, _(
        "Froze version %(number)d: %(train)d to train, %(validation)d to validate, %(test)d to test"
    ) % {"number": version.number, **{key: counts[key] for key in ("train", "validation", "test")}}


def tune(story: Story, version: DatasetVersion, progress: Progress) -> tuple[FineTuningJob, str]:
    """One fine-tuning job through the real queue, watched to its end."""
    job = FineTuningJob.objects.filter(deployment_name=DEPLOYMENT).order_by("-queued_at").first()
    if job is None or job.state in {State.FAILED, State.CANCELLED}:
        job = start_fine_tuning(
            dataset_version=version,
            base_model=BaseModel.objects.filter(name=settings.DEFAULT_BASE_MODEL).latest(
                "created_at"
            ),
            deployment=DEPLOYMENT,
            hyperparameters=story.company.hyperparameters,
            actor=story.owner,
        )
    _follow(job, progress)
    if job.state != State.SUCCEEDED:
        raise StoryError(
            _("The fine-tuning job ended as %(state)s (%(code)s). %(detail)s\n%(log)s")
            % {
                "state": job.get_state_display(),
                "code": job.failure_code,
                "detail": job.failure_detail,
                "log": job.log_tail[-2000:],
            }
        )
    return job, _("Tuned: %(steps)d steps, %(tokens)d tokens, best validation loss %(loss).3f") % {
        "steps": job.step,
        "tokens": job.trained_tokens,
        "loss": job.best_loss or float("nan"),
    }


def evaluate(story: Story, job: FineTuningJob, progress: Progress) -> tuple[Evaluation, str]:
    """The base and the candidate on the held-out rows; the job's end has queued it already."""
    deadline = time.monotonic() + 60
    while (found := Evaluation.objects.filter(checkpoint__job=job).first()) is None:
        if time.monotonic() > deadline:
            raise StoryError(_("No evaluation was queued for the job."))
        time.sleep(0.5)
    _follow(found, progress)
    if found.state != State.SUCCEEDED:
        raise StoryError(
            _("The evaluation ended as %(state)s (%(code)s).\n%(log)s")
            % {
                "state": found.get_state_display(),
                "code": found.failure_code,
                "log": found.log_tail[-2000:],
            }
        )
    base, candidate = found.report["models"]["base"], found.report["models"]["candidate"]
    return found, _(
        "Compared on %(n)d held-out rows: loss %(before).3f to %(after).3f, "
        "ROUGE-L %(rouge_before).3f to %(rouge_after).3f"
    ) % {
        "n": found.report["n"],
        "before": base["loss"],
        "after": candidate["loss"],
        "rouge_before": base["rouge_l"],
        "rouge_after": candidate["rouge_l"],
    }


def ask_the_gate(story: Story, evaluation: Evaluation) -> str:
    if evaluation.verdict is None:
        return _("The gate refuses it")
    verdict = Verdict.from_dict(evaluation.verdict)
    said = _("The gate lets it pass") if verdict.passed else _("The gate refuses it")
    decisive = verdict.in_favour if verdict.passed else verdict.against
    sentences = [sentence(reason) for reason in decisive[:2]]
    return ": ".join([said, " ".join(sentences)]) if sentences else said


def put_in_service(story: Story, evaluation: Evaluation) -> str:
    deployment = Deployment.objects.filter(name=DEPLOYMENT).first()
    checkpoint = evaluation.checkpoint
    if deployment is not None and deployment.checkpoint_id == checkpoint.pk:
        return _("%(name)s serves") % {"name": checkpoint.name}
    if not evaluation.passed:
        return _("Nothing was promoted: the base model answers")
    promote(checkpoint=checkpoint, deployment=DEPLOYMENT, actor=story.owner)
    return _("Promoted %(name)s") % {"name": checkpoint.name}


def samples(evaluation: Evaluation, count: int = 3) -> list[dict[str, Any]]:
    """Held-out questions with the answers before and after."""
    return list((evaluation.report or {}).get("samples", [])[:count])


def _follow(row: FineTuningJob | Evaluation, progress: Progress) -> None:
    while not row.is_terminal:
        time.sleep(0.5)
        row.refresh_from_db()
        progress(row.progress, _words(row))


def _words(row: FineTuningJob | Evaluation) -> str:
    if row.is_waiting:
        return str(_("waiting in the queue"))
    if not row.steps:
        return str(_("starting"))
    words = f"{row.step}/{row.steps}"
    if row.eta_seconds is not None:
        words += " · " + _("%(seconds)d s left") % {"seconds": row.eta_seconds}
    return words
