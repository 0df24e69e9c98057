"""The web process: pages, REST and server-sent events. It holds no model and imports no torch."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

django.setup(set_prefix=False)

from config.body_length import MeasuringHandler  # noqa: E402  once Django is awake
from config.body_limit import BodyLimit  # noqa: E402

application = BodyLimit(MeasuringHandler())
