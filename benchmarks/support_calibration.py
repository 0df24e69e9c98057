"""Fit the curves that say how sure the support chatbot is, and say how reliable they are.

    python -m benchmarks.support_calibration          # fit, report, write apps/chatbot/answering/curves.json
    python -m benchmarks.support_calibration --check  # report alone

The questions are those in `questions/development/`: about articles for which no measured question
was written, and others that no corpus answers; to each English company those about the other one
are put as well. Nothing is measured on them, and what is measured is not in them. Every figure is
of a curve that was fitted without the corpus it is tried on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

import numpy
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from benchmarks.corpora import questions
from benchmarks.figures import print_figures, print_table
from benchmarks.support_home import EMBEDDER, LANGUAGES, entries_of, support_home, tenant_of

DEVELOPMENT = "development/{}"
BINS = 10
# By the model that meanings are compared by: likenesses are each model's own.
FEATURES = {
    EMBEDDER: ("coverage", "known", "meaning", "asked"),
    "by_words": ("coverage", "known", "spelling", "question"),
}
LABELS = {EMBEDDER: "with_meaning", "by_words": "by_words"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="report and write nothing")
    check = parser.parse_args().check
    with support_home():
        from apps.chatbot.answering.confidence import CURVES

        samples = gathered()
        curves: dict[str, dict[str, float]] = {}
        figures: dict[str, object] = {}
        for name, rows in samples.items():
            curves[name] = fitted(name, rows)
            figures |= {f"{key}_{LABELS[name]}": value for key, value in judged(name, rows).items()}
        if not check:
            CURVES.write_text(json.dumps(curves, indent=2) + "\n", encoding="utf-8")
    print_table(
        ["curve", "intercept", *(f"w{place}" for place in range(1, 5))],
        [
            [name, curve["intercept"], *(f"{key} {curve[key]:.2f}" for key in FEATURES[name])]
            for name, curve in curves.items()
        ],
    )
    print_figures(figures)


def gathered() -> dict[str, list[dict[str, Any]]]:
    """A row for each question put to each company: its features, and whether it is answered there."""
    from django.test import override_settings

    from tenancy.scope import tenant_scope

    samples: dict[str, list[dict[str, Any]]] = {name: [] for name in FEATURES}
    for name, language in LANGUAGES.items():
        tenant = tenant_of(name, entries_of(name))
        with tenant_scope(tenant):
            asked = [(text, 1) for _id, text in questions(DEVELOPMENT.format(name))]
            asked += [(text, 0) for text in _foreign(name, language)]
            samples[EMBEDDER] += _rows(name, language, asked)
            with override_settings(GPT_EMBEDDER={}):
                samples["by_words"] += _rows(name, language, asked)
    return samples


def _foreign(name: str, language: str) -> list[str]:
    """What this company cannot know."""
    spoken = language.partition("-")[0]
    outside = [text for lang, text in questions(DEVELOPMENT.format("outside")) if lang == spoken]
    for other, its_language in LANGUAGES.items():
        if other != name and its_language == language:
            outside += [text for _id, text in questions(DEVELOPMENT.format(other))]
    return outside


def _rows(name: str, language: str, asked: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
    from apps.chatbot.answering.confidence import LOOKED_AT, features_of
    from apps.chatbot.retrieval import search

    rows = []
    for text, answered in asked:
        found = search(text, language=language, most=LOOKED_AT)
        if found:
            rows.append({"corpus": name, "answered": answered, **features_of(found)})
    return rows


def fitted(name: str, rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Coefficients for the features as they are; answered and unanswered weigh the same."""
    inputs = numpy.array([[row[key] for key in FEATURES[name]] for row in rows])
    middle, spread = inputs.mean(axis=0), inputs.std(axis=0)
    model = LogisticRegression(class_weight="balanced")
    model.fit((inputs - middle) / spread, [row["answered"] for row in rows])
    weights = model.coef_[0] / spread
    intercept = float(model.intercept_[0] - weights @ middle)
    curve = dict(zip(FEATURES[name], weights.tolist(), strict=True))
    return {key: round(value, 4) for key, value in {"intercept": intercept, **curve}.items()}


def judged(name: str, rows: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Each corpus by a curve fitted on the others: area under the curve, refusing at 0.5, and the
    expected calibration error, with answered and unanswered questions weighing the same."""
    chances = numpy.zeros(len(rows))
    for corpus in LANGUAGES:
        curve = fitted(name, [row for row in rows if row["corpus"] != corpus])
        for place, row in enumerate(rows):
            if row["corpus"] == corpus:
                total = curve["intercept"] + sum(curve[key] * row[key] for key in FEATURES[name])
                chances[place] = 1 / (1 + numpy.exp(-total))
    answered = numpy.array([row["answered"] for row in rows])
    refused = chances < 0.5
    return {
        "auc": float(roc_auc_score(answered, chances)),
        "ece": _calibration_error(chances, answered),
        "refusal_recall": float(refused[answered == 0].mean()),
        "answered_refused": float(refused[answered == 1].mean()),
    }


def _calibration_error(chances: numpy.ndarray, answered: numpy.ndarray) -> float:
    weights = numpy.where(answered == 1, 1 / answered.sum(), 1 / (1 - answered).sum()) / 2
    bins = numpy.minimum((chances * BINS).astype(int), BINS - 1)
    error = 0.0
    for one in range(BINS):
        here = bins == one
        if here.any():
            share = weights[here].sum()
            said = (weights[here] * chances[here]).sum() / share
            true = (weights[here] * answered[here]).sum() / share
            error += float(share * abs(said - true))
    return error


if __name__ == "__main__":
    main()
