"""A visitor's browser, as the widget's door sees it."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import Any

from django.test import Client

from apps.chatbot.models import Inbox

SITE = "https://acme.example"


@dataclass
class Browser:
    """A visitor's browser at a site: it keeps its tokens, and says where it comes from."""

    inbox: Inbox
    origin: str = SITE
    access: str = ""
    refresh: str = ""
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    def post(self, route: str, **asked: Any) -> Any:
        headers = {"HTTP_ORIGIN": self.origin} if self.origin else {}
        if self.access:
            headers["HTTP_AUTHORIZATION"] = f"Bearer {self.access}"
        return self.client.post(
            f"/widget/v1/{route}/", json.dumps(asked), content_type="application/json", **headers
        )

    def enter(self, **asked: Any) -> Any:
        response = self.post("session", key=self.inbox.key, **asked)
        if response.status_code == 200:
            self.access, self.refresh = response.json()["access"], response.json()["refresh"]
        return response

    def say(self, text: str = "怎么退货？", **asked: Any) -> Any:
        return self.post("messages", **{"client_id": str(uuid.uuid4()), "text": text} | asked)
