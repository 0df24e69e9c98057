"""A long history comes in: in bounded memory, once, and again without adding anything.

    python -m benchmarks.history --messages 100000

Writes a Zendesk export of so many messages (tickets of two to eight, English and Chinese, with personal data, notes,
promises and questions asked again and again) and a Chinese desk's table of as many rows of GB18030 whose
conversations lie scattered, and imports each twice into a database of its own. Peak memory is that of the process
(ru_maxrss) and how far it grew over the import, Python and Django being there already.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import random
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.figures import print_figures, print_table

MESSAGES_A_TICKET = 5
ASKED_AGAIN = 0.3

WORDS = [
    "return", "refund", "invoice", "delivery", "warranty", "size", "colour", "battery",
    "screen", "charger", "subscription", "password", "voucher", "address", "shop", "exchange",
    "label", "receipt", "discount", "cable", "manual", "update", "printer", "ticket", "seat",
    "bicycle", "lamp", "jacket", "kettle", "filter", "router",
]  # fmt: skip
WORDS_ZH = [
    "退货", "退款", "发票", "配送", "保修", "尺码", "颜色", "电池", "屏幕", "充电器",
    "会员", "密码", "优惠券", "地址", "门店", "换货", "面单", "小票", "折扣",
    "数据线", "说明书", "升级", "打印机", "车票", "座位",
]  # fmt: skip


class Teller:
    """Makes up what customers and agents write; the same for the same seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.asked: list[str] = []

    def question(self) -> str:
        if self.asked and self.chance.random() < ASKED_AGAIN:
            return self.chance.choice(self.asked)
        pick = self.chance.sample
        if self.chance.random() < 0.5:
            one, two, three, four = pick(WORDS, 4)
            number = self.chance.randrange(10_000)
            text = (
                f"Can I get a {one} for the {two} {number} if the {three} came without its {four}?"
            )
        else:
            one, two, three = pick(WORDS_ZH, 3)
            text = f"请问{one}之后{two}{self.chance.randrange(10_000)}还能用{three}吗？"
        if len(self.asked) < 2_000:
            self.asked.append(text)
        return text

    def about_me(self) -> str:
        number = "".join(self.chance.choices("0123456789", k=8))
        return self.chance.choice(
            (
                f" My number is 415-555-0{number[:3]}.",
                f" 我的手机是138{number}。",
                f" Write to user{number}@example.com.",
                "",
                "",
                "",
            )
        )

    def answer(self) -> str:
        if self.chance.random() < 0.2:
            return self.chance.choice(("Let me check that for you.", "亲，稍等，我帮您查一下"))
        one, two = self.chance.sample(WORDS, 2)
        return f"Yes: within 30 days, with the {one} and the {two} number {self.chance.randrange(10_000)}."


def write_zendesk(path: Path, messages: int, seed: int) -> int:
    """Returns the number of tickets."""
    teller = Teller(seed)
    with path.open("w", encoding="utf-8") as out:
        out.write('{"tickets": [\n')
        number = written = 0
        while written < messages:
            count = min(messages - written, teller.chance.randint(2, 2 * MESSAGES_A_TICKET - 2))
            number += 1
            comments = [
                {
                    "author_id": 10 if at % 2 else number + 1_000,
                    "plain_body": teller.answer()
                    if at % 2
                    else teller.question() + teller.about_me(),
                    "public": at % 7 != 5,
                    "created_at": f"2025-03-{number % 28 + 1:02}T10:{at:02}:00Z",
                }
                for at in range(count)
            ]
            row: dict[str, Any] = {
                "id": number,
                "requester_id": number + 1_000,
                "comments": comments,
            }
            out.write((",\n" if number > 1 else "") + json.dumps(row, ensure_ascii=False))
            written += count
        out.write('\n], "users": [{"id": 10, "role": "agent", "name": "Zsófia Kovács"}]}\n')
    return number


def write_table(path: Path, messages: int, seed: int) -> int:
    """Rows of 500 conversations at a time lie mixed, as the hours of a desk do."""
    teller = Teller(seed)
    conversations = max(1, messages // MESSAGES_A_TICKET)
    said = dict.fromkeys(range(conversations), 0)
    with path.open("w", encoding="gb18030", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["会话ID", "访客", "客服", "发送方", "消息时间", "消息内容"])
        for written in range(messages):
            block = written // (500 * MESSAGES_A_TICKET) * 500
            number = min(conversations - 1, block + written % 500)
            at = said[number] = said[number] + 1
            is_customer = at % 2 == 1
            text = teller.question() + teller.about_me() if is_customer else teller.answer()
            moment = f"2025/3/{number % 28 + 1} 下午{at % 12}:{written % 60:02}:00"
            side = "访客" if is_customer else "客服"
            rows.writerow([f"S{number}", f"访客{number}", "客服01", side, moment, text])
    return len([number for number, count in said.items() if count])


def imported(path: Path, source: str, dataset: Any) -> tuple[Any, float]:
    from apps.chatbot import services
    from labeling import work

    with path.open("rb") as stream:
        run = services.receive_history(
            dataset=dataset, source=source, stream=stream, filename=path.name
        )
    type(run).objects.filter(pk=run.pk).update(is_check=False)
    run.refresh_from_db()
    started = time.perf_counter()
    work.carry_out(run)
    run.refresh_from_db()
    if run.state != "done":
        raise SystemExit(f"{path.name}: {run.state} {run.failure}")
    return run, time.perf_counter() - started


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(messages: int, seed: int) -> dict[str, object]:
    from apps.chatbot.models import MinedPair, PastConversation, PastPart
    from apps.chatbot.services import history
    from labeling.models import Example
    from labeling.redaction import Redactor
    from labeling.services import create_dataset_of_any_address

    history.AT_ONCE_BYTES = 0  # as a worker does it, whatever the size
    Redactor().redact(["warm", "张伟的快递到了"])  # the segmenter's dictionary
    figures: dict[str, object] = {"history_messages": messages}
    tables = []
    for source, write, name in (
        ("zendesk", write_zendesk, "tickets.json"),
        ("table", write_table, "导出.csv"),
    ):
        path = Path(os.environ["PARLEY_HOME"]) / name
        conversations = write(path, messages, seed)
        before = peak_mb()
        dataset = create_dataset_of_any_address(name=source)
        first, seconds = imported(path, source, dataset)
        grown = peak_mb() - before
        kept = [model.objects.count() for model in (PastConversation, PastPart, Example, MinedPair)]
        _second, again = imported(path, source, dataset)
        added = sum(
            model.objects.count() - count
            for model, count in zip(
                (PastConversation, PastPart, Example, MinedPair), kept, strict=True
            )
        )
        found = first.counts
        if (found["created"], found["messages"]) != (conversations, messages):
            raise SystemExit(f"{source}: {found} of {conversations} conversations")
        tables.append(
            [source, path.stat().st_size >> 20, round(seconds, 1), round(again, 1), round(grown),
             first.mined["counts"]["pairs"], first.mined["counts"]["examples"], added]
        )  # fmt: skip
        figures |= {
            f"history_{source}_seconds": round(seconds, 1),
            f"history_{source}_seconds_again": round(again, 1),
            f"history_{source}_grown_mb": round(grown),
            f"history_{source}_examples": first.mined["counts"]["examples"],
            f"history_{source}_added_again": added,
        }
    head = ("source", "MB", "seconds", "again", "grown MB", "pairs", "examples", "added again")
    print_table(head, tables)
    return figures | {"history_peak_mb": round(peak_mb())}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="parley-history-") as home:
        os.environ |= {
            "PARLEY_HOME": home,
            "DATABASE_URL": f"sqlite:///{home}/parley.sqlite3",
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }
        import django

        django.setup()
        from django.core.management import call_command

        from tenancy.models import Tenant
        from tenancy.scope import system_scope, tenant_scope

        call_command("migrate", verbosity=0)
        with system_scope("benchmark: make a tenant"):
            tenant = Tenant.objects.create(slug="acme", name="Acme")
        with tenant_scope(tenant):
            print_figures(measure(asked.messages, asked.seed))


if __name__ == "__main__":
    main()
