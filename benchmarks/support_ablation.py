"""What retrieval and an adapter add: the real engine answers, the product's pipeline decides.

Questions to the construction company, spread over its measured set, in five arms: the bare base; the
base with retrieval (the pipeline: retrieve, write, check); an adapter tuned on the company's 503
answers, alone and with retrieval; and an adapter tuned on lessons (the same answers with the passages
that service shows beside the question) with retrieval. The adapters are tuned here, through the
product's own jobs, with its own choice of hyperparameters.

ROUGE-L is against the article that the question was written for; grounded is an answer whose every
number, date, link and address stands there. `ungrounded_shown` counts the answers that the pipeline
would show with one that stands in no passage it was given, in all of its arms. Refusing is measured on
questions that the company's articles do not answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rouge_score.rouge_scorer import RougeScorer

from benchmarks.corpora import questions
from benchmarks.figures import print_table
from benchmarks.support_home import entries_of, tenant_of

BASE = "smollm2-135m-instruct"
COMPANY = "zaragoza_en"


def ablation(count: int) -> dict[str, object]:
    """`count` questions of each kind, inside a home whose engine serves BASE."""
    from django.conf import settings

    from gpt_core.models import BaseModel
    from tenancy.scope import tenant_scope

    entries = entries_of(COMPANY)
    truths = {entry.id: f"{entry.title}\n{entry.body}" for entry in entries}
    known = questions(COMPANY)[:: max(1, 100 // count)][:count]
    outside = [text for lang, text in questions("outside") if lang == "en"][:count]
    tenant = tenant_of(f"{COMPANY}_ablation", entries, language="en")
    with tenant_scope(tenant):
        base = BaseModel.objects.get(name=settings.DEFAULT_BASE_MODEL)
        asked = Asked(known, outside, truths)
        rows = [asked.alone("base", base.name), asked.through("retrieval", _inbox(base))]
    plain, taught = _adapters(tenant, base)
    with tenant_scope(tenant):
        rows += [
            asked.alone("adapter", plain),
            asked.through("adapter_and_retrieval", _inbox(base, plain)),
            asked.through("lessons_and_retrieval", _inbox(base, taught)),
        ]
    return _told(rows, len(known))


class Asked:
    """The same questions for every arm."""

    def __init__(
        self,
        known: Sequence[tuple[str, str]],
        outside: Sequence[str],
        truths: dict[str, str],
    ) -> None:
        self.known = known
        self.outside = outside
        self.truths = truths

    def alone(self, name: str, model: Any) -> dict[str, Any]:
        """A model that is given the question and nothing else; it cannot refuse."""
        from gpt_core import client

        pairs = []
        for wanted, question in self.known:
            said = client.complete(
                model=model,
                messages=[{"role": "user", "content": question}],
                temperature=0,
                max_tokens=120,
            )
            pairs.append((said.text, self.truths[wanted]))
        return _row(name, pairs)

    def through(self, name: str, inbox: Any) -> dict[str, Any]:
        """The product's pipeline, with whatever answers in this inbox."""
        pairs, written, handed, ungrounded = [], 0, 0, 0
        for wanted, question in self.known:
            draft, sources = _drafted(inbox, question)
            if draft.handoff:
                handed += 1
                continue
            written += draft.outcome == "generated"
            ungrounded += _has_ungrounded(draft.text, sources)
            pairs.append((draft.text, self.truths[wanted]))
        refused = 0
        for question in self.outside:
            draft, sources = _drafted(inbox, question)
            refused += bool(draft.handoff)
            ungrounded += _has_ungrounded(draft.text, sources)
        return _row(name, pairs) | {
            "answered": 1 - handed / len(self.known),
            "written": written / len(self.known),
            "refused": refused / len(self.outside),
            "ungrounded": ungrounded,
        }


def _inbox(base: Any, checkpoint: Any = None) -> Any:
    from apps.chatbot.models import Inbox
    from gpt_core.models import Deployment

    name = checkpoint.name.partition("@")[0].rpartition(".")[2] if checkpoint else "bare"
    deployment = Deployment.objects.create(name=name, base_model=base, checkpoint=checkpoint)
    return Inbox.objects.create(name=name, deployment=deployment)


def _adapters(tenant: Any, base: Any) -> tuple[Any, Any]:
    """(tuned on the answers, tuned on lessons made of them)."""
    from config.demo import ZARAGOZA
    from tenancy.scope import tenant_scope

    with tenant_scope(tenant):
        answers = history_of(ZARAGOZA)
        lessons = lessons_of(answers)
    return tuned(tenant, base, answers), tuned(tenant, base, lessons)


def history_of(company: Any) -> Any:
    """A company of the demo: a dataset of what it answered so far."""
    from labeling.services import create_dataset, import_examples

    dataset = create_dataset(name="answers", language="en")
    with company.history() as stream:
        import_examples(
            dataset=dataset, stream=stream, filename=company.filename, mapping=company.mapping
        )
    return dataset


def lessons_of(answers: Any) -> Any:
    """A dataset of lessons; what they answer from is published already."""
    from apps.chatbot.services import make_lessons
    from labeling.work import carry_out

    run = make_lessons(source=answers)
    if run.is_open:
        carry_out(run)
        run.refresh_from_db()
    print(f"lessons: {run.state} {run.counts}")
    return run.dataset


def tuned(
    tenant: Any, base: Any, dataset: Any, *, hyperparameters: Any = None, **freezing: Any
) -> Any:
    """A checkpoint through the product's own job; this process is the trainer."""
    from gpt_core import tasks
    from gpt_core.models import Checkpoint, Evaluation
    from gpt_core.services import start_fine_tuning
    from labeling.services import freeze_version
    from tenancy.scope import system_scope, tenant_scope

    with tenant_scope(tenant):
        job = start_fine_tuning(
            dataset_version=freeze_version(dataset=dataset, **freezing),
            base_model=base,
            deployment=dataset.slug,
            hyperparameters=hyperparameters,
        )
    while not job.is_terminal:
        with system_scope("benchmark: be the trainer"):
            tasks.supervise_one(lambda: False)
        with tenant_scope(tenant):
            job.refresh_from_db()
    with tenant_scope(tenant):
        # What the job has measured itself is measured here.
        Evaluation.objects.filter(checkpoint__job=job).delete()
        print(
            f"{dataset.name}: {job.state}, {job.trained_tokens} tokens, {job.step} steps, "
            f"best validation loss {job.best_loss}"
        )
        return Checkpoint.objects.get(job=job)


def _drafted(inbox: Any, question: str) -> tuple[Any, list[str]]:
    """What the pipeline makes of a question in a new conversation, and the texts it was given."""
    from apps.chatbot import answering, services
    from apps.chatbot.answering.pipeline import PASSAGES
    from apps.chatbot.models import Contact
    from apps.chatbot.retrieval import search

    conversation = services.begin_conversation(inbox=inbox, contact=Contact.objects.create())
    posted = services.post_message(conversation=conversation, role="user", text=question)
    draft = answering.answer(posted.message)
    found = [one.passage for one in search(question, language="en", most=PASSAGES)]
    return draft, [question, *(one.whole for one in found)]


def _has_ungrounded(text: str, sources: Sequence[str]) -> bool:
    from apps.chatbot.answering.checks import ungrounded

    return bool(ungrounded(text, sources))


def _row(name: str, pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    scorer = RougeScorer(["rougeL"], use_stemmer=True)
    scores = [scorer.score(truth, text)["rougeL"].fmeasure for text, truth in pairs]
    sound = [not _has_ungrounded(text, [truth]) for text, truth in pairs]
    return {
        "name": name,
        "rouge_l": sum(scores) / len(scores) if scores else None,
        "grounded": sum(sound) / len(sound) if sound else None,
    }


def _told(rows: Sequence[dict[str, Any]], count: int) -> dict[str, object]:
    columns = ["rouge_l", "grounded", "answered", "written", "refused", "ungrounded"]
    print_table(
        [
            "arm",
            "ROUGE-L",
            "grounded",
            "answered",
            "written",
            "outside refused",
            "ungrounded shown",
        ],
        [[row["name"], *(row.get(column, "") for column in columns)] for row in rows],
    )
    print()
    figures: dict[str, object] = {
        "ablation_questions": count,
        "ungrounded_shown": sum(row.get("ungrounded", 0) for row in rows),
    }
    for row in rows:
        figures |= {f"{column}_{row['name']}": row[column] for column in columns if column in row}
    return figures
