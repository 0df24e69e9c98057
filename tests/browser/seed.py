"""Fills the database of a fresh PARLEY_HOME with people and a story: `python -m tests.browser.seed`."""

from __future__ import annotations

import io

import django

PASSWORD = "correct horse 电池"
OWNER = "owner@example.com"
VIEWER = "viewer@example.com"
NEWCOMER = "newcomer@example.com"
STAFF = "staff@example.com"
# Who belongs to no tenant.
GUEST = "guest@example.com"

# Line 1 names the columns. Line 4 lacks its answer, line 5 repeats line 2, line 6 holds a telephone number.
TABLE = """客户说,客服说,备注
发货需要几天？,两个工作日内发货。,甲
可以退货吗？,收到后七天内可以退货。,乙
怎么开发票？,,丙
发货需要几天？,两个工作日内发货。,丁
怎么联系你们？,请打电话 13812345678。,戊
支持哪些付款方式？,支持微信和支付宝。,己
"""
# The same as a dataset knows it.
NAMED = TABLE.replace("客户说", "问题", 1).replace("客服说", "回答", 1)


def main() -> None:
    django.setup()
    from allauth.account.models import EmailAddress
    from django.core.management import call_command

    from labeling.models import Example, ImportRun
    from labeling.services import receive_file
    from labeling.tasks import do_waiting_work
    from tenancy import audit
    from tenancy.scope import system_scope, tenant_scope
    from tests.apps.portal import (
        company,
        desk_scene,
        history_scene,
        labelling_scene,
        learning_scene,
        scenes,
        support_scene,
    )
    from tests.factories import make_member, make_tenant, make_user

    call_command("migrate", verbosity=0)
    acme = make_tenant("acme", name="Acme 建设")
    empty = make_tenant("empty", name="Empty Ltd")
    story = scenes.tell(acme)
    owner = make_member(acme, "owner", email=OWNER, name="Ada Öz")
    # A second factor wants an address that is known to be theirs.
    EmailAddress.objects.create(user=owner, email=OWNER, verified=True, primary=True)
    firm = company.furnish(acme, owner)
    make_member(acme, "viewer", email=VIEWER)
    make_member(empty, "owner", email=NEWCOMER)
    make_user(GUEST)
    make_user(STAFF, is_staff=True, is_superuser=True)
    for name in ("open", "refused", "running", "waiting", "failed", "serving"):
        print(f"{name}={getattr(story, name).pk}")  # noqa: T201
    labelling = labelling_scene.tell(acme)
    for name in ("half", "fresh", "review"):
        print(f"{name}={getattr(labelling, name).pk}")  # noqa: T201
    for name, row in history_scene.tell(acme, owner).items():
        print(f"{name}={row.pk}")  # noqa: T201
    desk = desk_scene.tell(acme, owner)
    print(f"waiting_visitor={desk.waiting.pk}")  # noqa: T201
    print(f"contact={desk.waiting.contact_id}")  # noqa: T201
    print(f"reply={desk.reply.pk}")  # noqa: T201
    print(f"dataset={story.dataset.pk}")  # noqa: T201
    for name in ("member", "key", "webhook"):
        print(f"{name}={getattr(firm, name).pk}")  # noqa: T201
    support = support_scene.tell(acme, owner)
    print(f"regression_run={learning_scene.tell(acme).pk}")  # noqa: T201
    print(f"article={support.article.pk}")  # noqa: T201
    print(f"inbox={support.inbox.pk}")  # noqa: T201
    chosen = f"version={story.version.pk}&base={story.base.pk}&deployment=support"
    print(f"plan={chosen}")  # noqa: T201
    with tenant_scope(acme):
        check = receive_file(
            dataset=story.dataset,
            stream=io.BytesIO(NAMED.encode("gb18030")),
            filename="客服记录.csv",
            actor=owner,
        )
        print(f"check={check.pk}")  # noqa: T201
    with tenant_scope(make_tenant("busy", name="Busy 忙")):
        # More than one page of the operator's audit log holds.
        for hour in range(110):
            audit.record("key.used", hour=hour)
    with system_scope("test: be the worker"):
        do_waiting_work()
    with tenant_scope(acme):
        print(f"checkpoint={story.open.checkpoint.pk}")  # noqa: T201
        print(f"example={Example.objects.order_by('external_id')[0].pk}")  # noqa: T201
        print(f"import={ImportRun.objects.exclude(pk=check.pk).latest('created_at').pk}")  # noqa: T201


if __name__ == "__main__":
    main()
