"""An inbox, and a visitor at its site."""

from __future__ import annotations

import pytest

from apps.chatbot.models import Inbox
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.apps.chatbot.makers import make_inbox
from tests.apps.chatbot.visitor import Browser


@pytest.fixture
def inbox(tenant: Tenant) -> Inbox:
    with tenant_scope(tenant):
        return make_inbox()


@pytest.fixture
def browser(inbox: Inbox) -> Browser:
    found = Browser(inbox)
    assert found.enter().status_code == 200
    return found
