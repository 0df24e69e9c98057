"""The demo's second company: its answers stand in its articles, and its voice in none of them."""

from __future__ import annotations

import csv
import io

import pytest

from apps.chatbot.answering import checks
from apps.chatbot.models import LessonRun
from apps.chatbot.services import knowledge, make_lessons
from config.demo import LYKTA, ZARAGOZA
from config.demo.lykta import GREETING, LEAVE, entries
from labeling.models import Dataset
from labeling.services import create_dataset, freeze_version, import_examples
from labeling.work import carry_out
from tenancy.models import Tenant

# What the gate asks for, unless a tenant says otherwise.
LEAST_TO_TEST = 30


def rows() -> list[dict[str, str]]:
    with LYKTA.history() as stream:
        return list(csv.DictReader(io.TextIOWrapper(stream, encoding="utf-8")))


def test_every_answer_is_in_the_voice_and_no_article_is() -> None:
    assert all(row["a"].startswith(GREETING) and row["a"].endswith(LEAVE) for row in rows())
    articles = list(LYKTA.articles())
    assert len(articles) == len(rows())
    assert not any(GREETING in one["body"] or LEAVE in one["body"] for one in articles)


def test_every_figure_of_an_answer_stands_in_its_article() -> None:
    for one in entries():
        assert not checks.ungrounded(one.answer, [one.article, one.question]), one.id


def test_neither_company_uses_the_others_words() -> None:
    with ZARAGOZA.history() as stream:
        builders = stream.read().decode("utf-8-sig")
    assert GREETING not in builders
    assert LEAVE not in builders
    assert "Zaragoza" not in "".join(row["a"] for row in rows())


@pytest.mark.django_db
def test_its_lessons_are_frozen_with_as_many_to_test_as_the_gate_wants(in_tenant: Tenant) -> None:
    dataset: Dataset = create_dataset(name="Support", slug="support", language="en")
    with LYKTA.history() as stream:
        import_examples(
            dataset=dataset, stream=stream, filename=LYKTA.filename, mapping=LYKTA.mapping
        )
    knowledge.publish_articles(LYKTA.articles())
    run = make_lessons(source=dataset)
    if run.is_open:
        carry_out(run)
        run.refresh_from_db()
    assert run.state == LessonRun.State.DONE
    assert run.counts["answers"] + run.counts["refusals"] == len(rows())
    version = freeze_version(dataset=run.dataset, shares=LYKTA.shares)
    assert version.counts["test"] >= LEAST_TO_TEST
