"""What a client was asked to do, call by call, and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class Transcript:
    """`said = transcript.call("files.create", lambda: ..., lambda answer: answer.bytes == 5)`.

    A call that fails is noted, and the test goes on where it can: `check` fails it at the end.
    """

    def __init__(self, client: str) -> None:
        self.client = client
        self.lines: list[tuple[str, str]] = []

    def call(
        self,
        name: str,
        act: Callable[[], Answer],
        is_right: Callable[[Answer], Any] = lambda _answer: True,
    ) -> Answer:
        try:
            answer = act()
        except Exception as error:
            self.lines.append((name, f"{type(error).__name__}: {error}"[:300]))
            raise
        self.lines.append(
            (name, "" if is_right(answer) else f"not what is right: {answer!r}"[:600])
        )
        return answer

    def refusal(self, name: str, act: Callable[[], Any], kind: type[Exception], code: str) -> None:
        """A call that must be refused, with this error of the client's and this code of OpenAI's."""
        try:
            answer = act()
        except kind as error:
            found: Any = getattr(error, "code", None)
            self.lines.append((name, "" if found == code else f"{found} is not {code}: {error}"))
        except Exception as error:
            self.lines.append((name, f"{type(error).__name__}: {error}"[:300]))
        else:
            self.lines.append((name, f"was not refused: {answer!r}"[:300]))

    @property
    def wrong(self) -> list[tuple[str, str]]:
        return [line for line in self.lines if line[1]]

    @property
    def figures(self) -> str:
        return f"{len(self.lines) - len(self.wrong)} of {len(self.lines)}"

    def show(self) -> str:
        told = [f"  {'-' if wrong else '+'} {name} {wrong}" for name, wrong in self.lines]
        return "\n".join([f"{self.client}: {self.figures} calls", *told])
