"""Two companies on one base: can their answers be told apart, and does one ever speak as the other?

    python -m benchmarks.voices --prompts 250

Both demo companies are tuned as `make run` tunes them. Then both adapters get the same prompts, half from
each company's articles (question and passages), so that only the manner of speaking differs and not
the subject. A classifier (TF-IDF of words and pairs, logistic regression) learns from the answers to one
half of the prompts and is measured on the other half. `foreign_phrases` counts the answers that
hold a phrase of the other company's: Lykta's greeting or leave-taking from Zaragoza's adapter,
Zaragoza's name from Lykta's (prompts that hold a name themselves are left out).
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from benchmarks.chat_platform import say
from benchmarks.figures import print_figures, print_table
from benchmarks.support_ablation import BASE, history_of, lessons_of, tuned
from benchmarks.support_home import support_home

AT_ONCE = 8
MOST_TOKENS = 70


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--prompts", type=int, default=250)
    chosen = parser.parse_args()
    with support_home(base=BASE):
        print_figures(measured(chosen.prompts))


def measured(count: int) -> dict[str, object]:
    from config.demo import LYKTA, ZARAGOZA
    from config.demo.lykta import GREETING, LEAVE

    checkpoints, prompts = {}, []
    for company in (ZARAGOZA, LYKTA):
        checkpoints[company.name], own = _company(company)
        prompts += random.Random(0).sample(own, min(len(own), count // 2))
    random.Random(1).shuffle(prompts)
    answers = {name: _answers(one, prompts) for name, one in checkpoints.items()}
    phrases = {ZARAGOZA.name: (GREETING, LEAVE), LYKTA.name: ("Zaragoza",)}
    foreign = sum(
        any(phrase.casefold() in text.casefold() for phrase in phrases[name])
        for name, texts in answers.items()
        for text in texts
    )
    own = sum(GREETING in text and LEAVE in text for text in answers[LYKTA.name])
    accuracy = _told_apart(answers)
    for name, texts in answers.items():
        print_table([name], [[text.replace("\n", " ")[:150]] for text in texts[:4]])
        print()
    return {
        "prompts": len(prompts),
        "answers": sum(map(len, answers.values())),
        "classifier_accuracy": accuracy,
        "foreign_phrases": foreign,
        "lykta_in_its_voice": own / len(prompts),
    }


def _company(company: Any) -> tuple[Any, list[str]]:
    """(its checkpoint, prompts from its articles), tuned as the demo does."""
    from django.conf import settings

    from apps.chatbot.answering.prompts import shown
    from apps.chatbot.retrieval import search
    from apps.chatbot.services import knowledge
    from gpt_core.models import BaseModel
    from labeling.grounding import grounded_question
    from tenancy.scope import tenant_scope
    from tests.factories import make_tenant

    tenant = make_tenant(company.slug)
    with tenant_scope(tenant):
        articles = list(company.articles())
        knowledge.publish_articles(articles)
        prompts = []
        for article in articles:
            found = search(article["title"], language="en", most=3)
            prompt = grounded_question(shown(found), article["title"])
            if "Zaragoza" not in prompt and "Lykta" not in prompt:
                prompts.append(prompt)
        lessons = lessons_of(history_of(company))
        base = BaseModel.objects.get(name=settings.DEFAULT_BASE_MODEL)
    checkpoint = tuned(
        tenant, base, lessons, shares=company.shares, hyperparameters=company.hyperparameters
    )
    return checkpoint, prompts


def _answers(checkpoint: Any, prompts: Sequence[str]) -> list[str]:
    from gpt_core import client
    from tenancy.scope import tenant_scope

    def one(prompt: str) -> str:
        with tenant_scope(checkpoint.tenant_id):
            said = client.complete(
                model=checkpoint,
                messages=[{"role": "user", "content": prompt}],
                temperature=0,
                max_tokens=MOST_TOKENS,
            )
        return str(said.text)

    found = []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for text in pool.map(one, prompts):
            found.append(text)
            say(f"{checkpoint.name}: {len(found)} of {len(prompts)}")
    return found


def _told_apart(answers: dict[str, list[str]]) -> float:
    """Share of the answers to unseen prompts whose company the classifier names."""
    names = list(answers)
    half = len(answers[names[0]]) // 2
    seen = [(text, name) for name in names for text in answers[name][:half]]
    unseen = [(text, name) for name in names for text in answers[name][half:]]
    model = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(max_iter=1000))
    model.fit(*zip(*seen, strict=True))
    texts, truth = zip(*unseen, strict=True)
    return float(model.score(texts, truth))


if __name__ == "__main__":
    main()
