"""Is a question that leans on the one before it ("And how tall is it?") looked up as it is meant?

    python -m benchmarks.follow_ups

The construction company's FAQ with pairs of questions that people wrote
(benchmarks/questions/zaragoza_follow_ups.tsv); a shop of lamps with the same six articles each, where every
pair of a lamp's is asked; and the same shop where a lamp is asked about first and then something else
("and do you wrap gifts?"), which must not stay with the lamp. What is measured is the product's own way
from the two messages to the passages. The weights were chosen on other pairs; but the results of the written
ones, and the words in GO_ON asked of other lamps, were seen while the rule took its form.
Beside it: the second question looked up alone, and both as one text.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.corpora import Entry, questions, zaragoza
from benchmarks.figures import print_figures, print_table
from benchmarks.support_home import support_home, tenant_of

# How a customer goes on who asked something else of the same lamp before.
GO_ON = {
    "price": "what's the price of that one?",
    "size": "what height is it?",
    "bulb": "and what light bulb fits it?",
    "material": "and the material of it?",
    "delivery": "when would it arrive?",
    "care": "and how is it wiped clean?",
}

Pair = tuple[str, str, str]


def main() -> None:
    with support_home():
        print_figures(measured())


def measured() -> dict[str, object]:
    rows, figures = [], {}
    builders = tenant_of("zaragoza", zaragoza(), language="en")
    shop = tenant_of("lamps", list(_lamps()), language="en")
    for name, tenant, pairs in (
        ("zaragoza", builders, list(_written())),
        ("same lamp", shop, list(_of_the_same_lamp())),
        ("something else", shop, list(_of_something_else())),
    ):
        for way, first, fifth, milliseconds in _by_each_way(tenant, pairs):
            rows.append([name, len(pairs), way, first, fifth, milliseconds])
            key = f"{name} {way}".replace(" ", "_")
            figures[f"{key}_hit_at_1"] = round(first, 3)
            figures[f"{key}_hit_at_5"] = round(fifth, 3)
    print_table(["knowledge", "pairs", "looked up", "hit@1", "hit@5", "ms a question"], rows)
    return figures


def _by_each_way(tenant: Any, pairs: list[Pair]) -> Iterator[tuple[str, float, float, float]]:
    from apps.chatbot.answering.understanding import understand
    from apps.chatbot.models import Message
    from apps.chatbot.retrieval import search
    from tenancy.scope import tenant_scope

    def as_meant(before: str, then: str) -> list[Any]:
        seen = understand(then, earlier=[Message(text=before)], language="en")
        return search(seen.question, leans_on=seen.leans_on, language="en")

    ways = {
        "as meant": as_meant,
        "alone": lambda before, then: search(then, language="en"),
        "as one text": lambda before, then: search(f"{before}\n{then}", language="en"),
    }
    with tenant_scope(tenant):
        search("warm up")
        for way, look in ways.items():
            began = time.perf_counter()
            ranks = [_rank(look(before, then), wanted) for wanted, before, then in pairs]
            seconds = time.perf_counter() - began
            first = sum(rank == 0 for rank in ranks) / len(ranks)
            fifth = sum(rank is not None for rank in ranks) / len(ranks)
            yield way, first, fifth, 1000 * seconds / len(ranks)


def _rank(found: list[Any], wanted: str) -> int | None:
    ids = [one.passage.version.article.external_id for one in found]
    return ids.index(wanted) if wanted in ids else None


def _written() -> Iterator[Pair]:
    """(id, the question before, the question)."""
    for wanted, both in questions("zaragoza_follow_ups"):
        before, then = both.split("\t")
        yield wanted, before, then


def _lamps() -> Iterator[Entry]:
    from config.demo.lykta import entries

    for entry in entries():
        yield Entry(entry.id, entry.question, entry.article)


def _of_the_same_lamp() -> Iterator[Pair]:
    from config.demo.lykta import ASPECTS

    asked = {aspect: question for aspect, question, _fact, _said in ASPECTS}
    for lamp in _measured_lamps():
        for before, then in itertools.permutations(asked, 2):
            yield f"{lamp.name.lower()}-{then}", asked[before].format(name=lamp.name), GO_ON[then]


def _of_something_else() -> Iterator[Pair]:
    from config.demo.lykta import ASPECTS, POLICIES

    for lamp, (_aspect, asked, *_texts) in zip(_measured_lamps(), ASPECTS, strict=False):
        for number, (question, *_answers) in enumerate(POLICIES, start=1):
            then = f"and {question[0].lower()}{question[1:]}"
            yield f"policy-{number:02}", asked.format(name=lamp.name), then


def _measured_lamps() -> list[Any]:
    """Those whose results nobody saw while the rule was made and its weights were chosen."""
    from config.demo.lykta import LAMPS

    return [lamp for place, lamp in enumerate(LAMPS) if place % 3 and place % 4 > 1]


if __name__ == "__main__":
    main()
