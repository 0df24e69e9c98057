"""How much personal data is found, and how much of what is found is some.

    python -m benchmarks.redaction --sentences 2000 --seed 7

Sentences in English and Chinese are made from templates (redaction_sentences.py) and values of Faker's providers: names, numbers
and addresses that were not looked at while the detectors were written. A value counts as found when every
character of it is redacted; a redaction counts as right when it touches a value and takes at most two characters
more. A fifth of the sentences hold nothing personal, but brands, places, dates, prices and numbers of other kinds.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.figures import print_figures, print_table
from benchmarks.redaction_sentences import Sentence, sentences
from labeling.order_numbers import compiled_form
from labeling.personal_data import Found
from labeling.redaction import Redactor, Rules

STRUCTURED = ("email", "phone", "id_card", "bank_card", "order")
ORDER_FORMS = (r"SO-\d{8}", r"[A-Z]{2}\d{9}", r"D\d{4}/\d{5}")
SLACK = 2


@dataclass
class Score:
    """Counts by (language, kind)."""

    there: Counter[tuple[str, str]]
    found: Counter[tuple[str, str]]
    said: Counter[tuple[str, str]]
    right: Counter[tuple[str, str]]
    missed: list[tuple[str, str, str]]
    wrong: list[tuple[str, str, str]]

    def __add__(self, other: Score) -> Score:
        return Score(
            self.there + other.there,
            self.found + other.found,
            self.said + other.said,
            self.right + other.right,
            self.missed + other.missed,
            self.wrong + other.wrong,
        )

    def recall(self, kinds: Iterable[str], languages: Iterable[str] = ("en", "zh")) -> float:
        return _share(self.found, self.there, kinds, languages)

    def precision(self, kinds: Iterable[str], languages: Iterable[str] = ("en", "zh")) -> float:
        return _share(self.right, self.said, kinds, languages)


def _share(
    part: Counter[tuple[str, str]],
    whole: Counter[tuple[str, str]],
    kinds: Iterable[str],
    languages: Iterable[str],
) -> float:
    keys = [(language, kind) for language in languages for kind in kinds]
    return sum(part[key] for key in keys) / max(1, sum(whole[key] for key in keys))


def measured(made: Iterable[Sentence]) -> Score:
    """Each sentence by itself: what a conversation has told before helps nobody here."""
    score = Score(Counter(), Counter(), Counter(), Counter(), [], [])
    rules = Rules.of([compiled_form(form) for form in ORDER_FORMS])
    for one in made:
        places = Redactor(rules).places([one.text])[0]
        covered = {at for place in places for at in range(place.start, place.end)}
        for label in one.labels:
            key = (one.language, label.kind)
            score.there[key] += 1
            whole = covered.issuperset(range(label.start, label.end))
            score.found[key] += whole
            if not whole:
                score.missed.append((label.kind, one.text[label.start : label.end], one.text))
        for place in places:
            key = (one.language, place.kind)
            score.said[key] += 1
            is_right = any(
                place.start < label.end
                and label.start < place.end
                and (place.end - place.start) - _overlap(place, one.labels) <= SLACK
                for label in one.labels
            )
            score.right[key] += is_right
            if not is_right:
                score.wrong.append((place.kind, one.text[place.start : place.end], one.text))
    return score


def _overlap(place: Found, labels: Iterable[Found]) -> int:
    return sum(
        max(0, min(place.end, label.end) - max(place.start, label.start)) for label in labels
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--sentences", type=int, default=2_000)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--show", type=int, default=0, help="so many misses and false alarms")
    asked = parser.parse_args()
    Redactor().redact(["warm", "张伟的快递到了"])
    started = time.perf_counter()
    # Half of them from templates that the detectors were written beside, half from others.
    half = asked.sentences // 2
    seen = measured(sentences(half, asked.seed))
    unseen = measured(sentences(asked.sentences - half, asked.seed + 1, unseen=True))
    seconds = time.perf_counter() - started
    score = seen + unseen
    kinds = (*STRUCTURED, "name")
    print_table(
        ("language", "kind", "values", "recall", "redactions", "precision", "recall unseen"),
        [
            (
                language,
                kind,
                score.there[language, kind],
                f"{score.recall([kind], [language]):.3f}",
                score.said[language, kind],
                f"{score.precision([kind], [language]):.3f}",
                f"{unseen.recall([kind], [language]):.3f}",
            )
            for language in ("en", "zh")
            for kind in kinds
            if score.there[language, kind] or score.said[language, kind]
        ],
    )
    for title, rows in (("missed", score.missed), ("wrong", score.wrong)):
        for kind, value, text in rows[: asked.show]:
            print(f"{title} {kind} {value!r} in {text!r}")
    figures: dict[str, float] = {"redaction_sentences": asked.sentences}
    for name, one in (("", score), ("_unseen", unseen)):
        figures |= {
            f"redaction_recall_structured{name}": round(one.recall(STRUCTURED), 4),
            f"redaction_recall_names{name}": round(one.recall(["name"]), 4),
            f"redaction_recall_names_en{name}": round(one.recall(["name"], ["en"]), 4),
            f"redaction_recall_names_zh{name}": round(one.recall(["name"], ["zh"]), 4),
            f"redaction_precision{name}": round(one.precision(kinds), 4),
        }
    figures["redaction_ms_per_sentence"] = round(1000 * seconds / asked.sentences, 3)
    print_figures(figures)


if __name__ == "__main__":
    main()
