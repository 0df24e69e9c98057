"""Fills the database of a fresh PARLEY_HOME with people and a story: `python -m tests.browser.seed`."""

from __future__ import annotations

import django

PASSWORD = "correct horse 电池"
OWNER = "owner@example.com"
VIEWER = "viewer@example.com"
NEWCOMER = "newcomer@example.com"
STAFF = "staff@example.com"


def main() -> None:
    django.setup()
    from django.core.management import call_command

    from tests.apps.portal import scenes
    from tests.factories import make_member, make_tenant, make_user

    call_command("migrate", verbosity=0)
    acme = make_tenant("acme", name="Acme 建设")
    empty = make_tenant("empty", name="Empty Ltd")
    story = scenes.tell(acme)
    make_member(acme, "owner", email=OWNER, name="Ada Öz")
    make_member(acme, "viewer", email=VIEWER)
    make_member(empty, "owner", email=NEWCOMER)
    make_user(STAFF, is_staff=True, is_superuser=True)
    for name in ("open", "refused", "running", "waiting", "failed", "serving"):
        print(f"{name}={getattr(story, name).pk}")  # noqa: T201
    print(f"dataset={story.dataset.pk}")  # noqa: T201


if __name__ == "__main__":
    main()
