"""One answer held against what its case expects. Code judges; no model has a say in it."""

from __future__ import annotations

import unicodedata

from apps.chatbot.answering import Draft, checks
from apps.chatbot.models import Answer, RegressionCase

# Of an answer from which examples of facts are taken, the first few.
MOST_FACTS = 5


def faults_of(draft: Draft, case: RegressionCase) -> list[str]:
    """Codes of what is wrong with an answer, none where it passes."""
    refused = draft.outcome == Answer.Outcome.HANDOFF
    if case.must_refuse:
        return [] if refused else ["answered"]
    if refused:
        return ["refused"]
    found = [f"missing:{fact}" for fact in case.must_contain if not holds(draft.text, fact)]
    if case.article_id and case.article_id not in {
        passage.version.article_id for passage in draft.passages
    }:
        found.append("other_article")
    sources = [case.question, *(one.whole for one in draft.passages)]
    if checks.ungrounded(draft.text, sources):
        found.append("ungrounded")
    # What the checks kept from the visitor was written all the same. That a model finds nothing where
    # retrieval is sure is no fault: the visitor reads the passage.
    if (fault := draft.checks.get("fault")) and fault != "not_in_passages":
        found.append(str(fault))
    return list(dict.fromkeys(found))


def holds(text: str, fact: str) -> bool:
    """By the letter, or by what it states: "25 000" holds "25,000"."""
    if _plain(fact) in _plain(text):
        return True
    stated = checks.facts(fact)
    return bool(stated) and stated <= checks.facts(text)


def facts_to_keep(text: str) -> list[str]:
    """What an answer states to the letter, as the expectations of a case."""
    stated = sorted(checks.facts(text), key=lambda fact: (fact.startswith("word:"), fact))
    return [fact.partition(":")[2] for fact in stated][:MOST_FACTS]


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
