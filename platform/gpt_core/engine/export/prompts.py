"""The prompts that every export answers: short, of many kinds, the same for ever."""

from __future__ import annotations

from typing import Any


def _asked(*turns: str, system: str = "") -> list[dict[str, Any]]:
    """Turns of user and assistant in alternation, ending with a question."""
    roles = ("user", "assistant")
    messages = [{"role": roles[at % 2], "content": text} for at, text in enumerate(turns)]
    return [{"role": "system", "content": system}, *messages] if system else messages


PROMPTS: tuple[list[dict[str, Any]], ...] = (
    _asked("Hello"),
    _asked("When do you open on Saturdays?"),
    _asked("How do I return an order that I got last week?"),
    _asked("Write one sentence about the sea."),
    _asked("What is 17 + 26? Answer with the number alone."),
    _asked("Order no. 2026-11-0042: where is it?"),
    _asked("退货需要多久？"),
    _asked("请用一句话介绍一下你们的服务。"),
    _asked("你好，我想预约下周三上午十点。"),
    _asked("¿Hacen presupuestos sin compromiso?"),
    _asked("Ist der Preis mit Mehrwertsteuer — oder ohne?"),
    _asked('Is this positive or negative: "Never again."'),
    _asked("List three colours, separated by commas."),
    _asked("def add(a, b):\n    return", system="You complete Python code."),
    _asked("I cannot sign in.", "Have you tried a new password?", "Yes, twice. 🙁 What now?"),
    _asked(
        "Please answer briefly.\n\n  Who are you?", system="You are the desk of a small office."
    ),
)
