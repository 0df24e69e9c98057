"""Who is an agent and who a customer, where a file tells it apart from what was said."""

from __future__ import annotations

from apps.chatbot.history.values import role_called

MOST = 500_000


class People:
    """id -> side and name, of as many people as fit into some 100 MB."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, str]] = {}

    def note(self, person: str, role: str, name: str) -> None:
        if person and len(self._known) < MOST:
            self._known[person] = (role_called(role), name[:100])

    def role_of(self, person: str) -> str:
        return self._known.get(person, ("", ""))[0]

    def name_of(self, person: str) -> str:
        return self._known.get(person, ("", ""))[1]
