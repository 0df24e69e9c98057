"""The work of the site's worker, without a broker: `python -m tests.browser.worker`, until it is ended."""

from __future__ import annotations

import time

import django


def main() -> None:
    django.setup()
    from apps.chatbot.services import check_attachments
    from apps.chatbot.tasks import write_answers
    from labeling.tasks import do_waiting_work
    from tenancy.scope import system_scope

    while True:
        with system_scope("test: be the worker"):
            write_answers()
            check_attachments()
            do_waiting_work()
        time.sleep(0.1)


if __name__ == "__main__":
    main()
