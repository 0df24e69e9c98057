"""The settings of the tests: a folder of its own, fast hashing, nothing that leaves the process."""

import os
import tempfile

os.environ.setdefault("PARLEY_HOME", tempfile.mkdtemp(prefix="parley-tests-"))

from config.settings import *  # noqa: F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
CELERY_BROKER_URL = "memory://"
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, object] = {}
# Django would read every table into memory once, outside any scope.
DATABASES["default"].setdefault("TEST", {})["SERIALIZE"] = False  # noqa: F405
# A test that is about a limit sets its own; no other meets one.
QUOTAS = {name: 10**9 for name in QUOTAS} | {"concurrent_generations": 1000}  # noqa: F405
