"""Does the support chatbot find what answers a question, and stay silent where nothing does?

    python -m benchmarks.support_quality            # retrieval, refusing, and what is written
    python -m benchmarks.support_quality --quick    # retrieval and refusing alone

Three corpora (a construction company's FAQ, Debian's FAQ in English and in Chinese), 100 questions
each in other words than the articles', and 100 that none of them answers. Every question goes the
product's own way: rows in a database, an engine, `retrieval.search`, `confidence_of`. `hit@k`: the
article that the question was written for is among the first k. Refused: the confidence is below the
inbox's default threshold. The same is measured without the small model that compares meanings
(`..._by_words`). Everything runs in a home of its own that is removed afterwards.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.corpora import CorpusMissingError, questions
from benchmarks.figures import print_figures, print_table
from benchmarks.support_ablation import BASE, ablation
from benchmarks.support_home import LANGUAGES, entries_of, support_home, tenant_of

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="no model writes anything")
    parser.add_argument("--written", type=int, default=20, help="answers to have written of a kind")
    chosen = parser.parse_args()
    with support_home(base="" if chosen.quick else BASE):
        figures = measured()
        if not chosen.quick:
            figures |= ablation(chosen.written)
    print_figures(figures)


def measured() -> dict[str, object]:
    """Retrieval and refusing on every corpus, with the small model and without."""
    from django.conf import settings
    from django.test import override_settings

    from tenancy.scope import tenant_scope

    with_meaning, by_words = [], []
    for name in LANGUAGES:
        try:
            entries = entries_of(name)
        except CorpusMissingError as error:
            print(f"{name}: {error}")
            continue
        with tenant_scope(tenant_of(name, entries)):
            if settings.GPT_EMBEDDER:
                with_meaning.append(_row(name, len(entries)))
            with override_settings(GPT_EMBEDDER={}):
                by_words.append(_row(name, len(entries)))
    _show("by words", by_words)
    figures = {f"{key}_by_words": value for key, value in _figures(by_words).items()}
    if with_meaning:
        _show("by words and meaning", with_meaning)
        return figures | _figures(with_meaning)
    return figures | _figures(by_words)


def _row(name: str, articles: int) -> Row:
    from apps.chatbot.answering.confidence import confidence_of
    from apps.chatbot.models import Inbox
    from apps.chatbot.retrieval import search

    threshold = Inbox._meta.get_field("answer_threshold").default
    language = LANGUAGES[name]
    search("warm up")
    ranks, known = [], []
    began = time.perf_counter()
    for wanted, question in questions(name):
        found = search(question, language=language, most=5)
        ids = [one.passage.version.article.external_id for one in found]
        ranks.append(ids.index(wanted) if wanted in ids else None)
        known.append(confidence_of(found) < threshold)
    seconds = time.perf_counter() - began
    outside = [
        confidence_of(search(question, language=language, most=5)) < threshold
        for spoken, question in questions("outside")
        if spoken == language.partition("-")[0]
    ]
    return {
        "name": name,
        "articles": articles,
        "hit_1": sum(rank == 0 for rank in ranks) / len(ranks),
        "hit_5": sum(rank is not None for rank in ranks) / len(ranks),
        "known": known,
        "outside": outside,
        "ms": 1000 * seconds / len(known),
    }


def _show(title: str, rows: Sequence[Row]) -> None:
    print(title)
    print_table(
        ["corpus", "articles", "hit@1", "hit@5", "answered", "outside refused", "ms a question"],
        [
            [
                row["name"],
                row["articles"],
                row["hit_1"],
                row["hit_5"],
                1 - sum(row["known"]) / len(row["known"]),
                sum(row["outside"]) / len(row["outside"]),
                row["ms"],
            ]
            for row in rows
        ],
    )
    print()


def _figures(rows: Sequence[Row]) -> dict[str, object]:
    """Refusing as a detector: recall over what is outside, precision over all that was refused.
    `hit_at_5_en` is over the questions to both English companies; each stands beside it."""
    refused_outside = sum(sum(row["outside"]) for row in rows)
    outside = sum(len(row["outside"]) for row in rows)
    refused = refused_outside + sum(sum(row["known"]) for row in rows)
    figures: dict[str, object] = {}
    for row in rows:
        figures[f"hit_at_1_{row['name']}"] = row["hit_1"]
        figures[f"hit_at_5_{row['name']}"] = row["hit_5"]
    english = [row["hit_5"] for row in rows if row["name"].endswith("_en")]
    chinese = [row["hit_5"] for row in rows if row["name"].endswith("_zh")]
    return figures | {
        "hit_at_5_en": sum(english) / len(english) if english else None,
        "hit_at_5_zh": sum(chinese) / len(chinese) if chinese else None,
        "refusal_recall": refused_outside / outside if outside else None,
        "refusal_precision": refused_outside / refused if refused else None,
    }


if __name__ == "__main__":
    main()
