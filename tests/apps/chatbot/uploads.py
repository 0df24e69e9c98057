"""Files of visitors on a host of their own, beside the site that the test client asks by itself."""

from __future__ import annotations

from typing import Any

import pytest

SITE = "http://testserver"
FILES = "files.example.com"
THERE = {"Host": FILES}


@pytest.fixture
def own_host(settings: Any) -> None:
    settings.UPLOADS_ORIGIN = f"https://{FILES}"
    settings.CSRF_TRUSTED_ORIGINS = [SITE]
    settings.ALLOWED_HOSTS = ["testserver", FILES]
