"""kill -9 of web, worker and engine while visitors write: is a message lost, doubled, or an answer?

    python -m benchmarks.chaos --sends 10000 --answered 500 --kills 200 --database postgres://...

Visitors do what the widget does: every send carries an id of its own and is repeated until it is
acknowledged; besides, a share of the sends is repeated though nothing failed, at once or side by side,
or its connection is cut before the answer comes. Some of the questions are answered by the bot (the
real engine; on a random base of two layers, unless `--base` names one), the rest goes to people. The victims are drawn at random
and started again, as whatever runs these processes would.

Counted at the end, in the database: sends that were acknowledged and are not there (lost), ids that
stand there twice (doubled), conversations whose numbers are not 1, 2, 3 ... (gaps), questions to the bot
with no end (unanswered) or more than one (answered_twice). The readers' view is compared as well:
what a visitor hears from the stream is what the database holds, in its order (misheard).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import signal
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx

from benchmarks.chat_platform import SITE, ChatPlatform, chat_platform, say
from benchmarks.figures import print_figures, print_table

REPEATED_SHARE = 0.3
CALLERS = 16
PER_CONVERSATION = 25
VICTIMS = ("web", "worker", "engine")
ARTICLES = [
    ("Do you measure for free?", "We measure first, at no cost, and send a written offer."),
    ("What does a building permit cost?", "The fee is 25,000 to 50,000 SEK for a house."),
    ("How long is the guarantee?", "Five years on the work and two years on the material."),
    ("怎么开发票？", "在订单页面点击“申请发票”，电子发票会发到您的邮箱。"),
]
QUESTIONS = [title for title, _text in ARTICLES]
PATIENCE_SECONDS = 300.0


@dataclass
class Sent:
    """One send as the visitor knows it."""

    conversation: str
    client_id: str
    seq: int


@dataclass
class Visitors:
    """Everybody who writes: what they sent, and how often they had to say it again."""

    url: str
    draw: random.Random
    acknowledged: list[Sent] = field(default_factory=list)
    tries: Counter[str] = field(default_factory=Counter)
    differing: int = 0
    accidents: int = 0

    def __post_init__(self) -> None:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=CALLERS)
        self.client = httpx.AsyncClient(
            base_url=self.url, headers={"Origin": SITE}, timeout=20, limits=limits
        )

    async def post(self, route: str, access: str = "", **asked: Any) -> httpx.Response | None:
        """The answer, None where the connection broke or the site is not there."""
        headers = {"Authorization": f"Bearer {access}"} if access else {}
        try:
            answer = await self.client.post(f"/widget/v1/{route}/", json=asked, headers=headers)
        except httpx.TransportError:
            self.tries["broken"] += 1
            return None
        if answer.status_code >= 500:
            self.accidents += 1
            return None
        return answer

    async def certainly(self, route: str, access: str = "", **asked: Any) -> dict[str, Any]:
        """Again and again until it is answered, as the widget does."""
        pause = 0.1
        while True:
            answer = await self.post(route, access, **asked)
            if answer is not None:
                if answer.status_code >= 400:
                    raise RuntimeError(f"{route}: {answer.status_code} {answer.text[:300]}")
                found: dict[str, Any] = answer.json()
                return found
            await asyncio.sleep(pause * (0.5 + self.draw.random()))
            pause = min(pause * 2, 2.0)

    async def enter(self, key: str) -> str:
        return str((await self.certainly("session", key=key))["access"])

    async def send(self, access: str, conversation: str, text: str) -> Sent:
        asked: dict[str, Any] = {"client_id": str(uuid.uuid4()), "text": text}
        if conversation:
            asked["conversation"] = conversation
        way = self.draw.choice(("again", "beside", "cut")) if self._repeats() else ""
        if way == "cut":
            self.tries["cut"] += 1
            await self._cut(access, asked)
        if way == "beside":
            self.tries["beside"] += 1
            answers = await asyncio.gather(
                *(self.certainly("messages", access, **asked) for _one in range(2))
            )
            self.differing += answers[0] != answers[1]
        answer = await self.certainly("messages", access, **asked)
        if way == "again":
            self.tries["again"] += 1
            self.differing += await self.certainly("messages", access, **asked) != answer
        sent = Sent(answer["conversation"], asked["client_id"], answer["seq"])
        self.acknowledged.append(sent)
        return sent

    async def hear(self, access: str, conversation: str) -> list[int]:
        """The numbers of everything there is to hear, in the order of hearing."""
        heard: list[int] = []
        after = 0
        while True:
            asked = {"conversation": conversation, "after": after, "wait": 0}
            found = await self.certainly("events", access, **asked)
            if found["after"] == after:
                return heard
            heard += [one["seq"] for one in found["events"] if "seq" in one]
            after = found["after"]

    def _repeats(self) -> bool:
        return self.draw.random() < REPEATED_SHARE

    async def _cut(self, access: str, asked: dict[str, Any]) -> None:
        """Sent, and the line goes dead before anything comes back."""
        try:
            async with asyncio.timeout(self.draw.uniform(0.001, 0.03)):
                await self.post("messages", access, **asked)
        except TimeoutError:
            return


class Chaos:
    """The visitors on one side, the hand that kills on the other."""

    def __init__(
        self, platform: ChatPlatform, visitors: Visitors, size: argparse.Namespace
    ) -> None:
        self.platform = platform
        self.visitors = visitors
        self.size = size
        self.draw = random.Random(size.seed)
        self.killed: Counter[str] = Counter()
        self.bot = platform.make_inbox(name="bot", deployment=self._deployment())
        self.people = platform.make_inbox(name="people", bot_enabled=False)
        self.heard: dict[str, list[int]] = {}

    def _deployment(self) -> Any:
        from gpt_core.models import Deployment
        from tenancy.scope import tenant_scope

        with tenant_scope(self.platform.tenant):
            return Deployment.objects.create(name="support", base_model=self.platform.base)

    async def run(self) -> None:
        queue: asyncio.Queue[tuple[str, int]] = asyncio.Queue()
        rest = self.size.sends - self.size.answered
        work = [(self.bot.key, 1)] * self.size.answered
        work += [(self.people.key, PER_CONVERSATION)] * (rest // PER_CONVERSATION)
        work += [(self.people.key, rest % PER_CONVERSATION)] if rest % PER_CONVERSATION else []
        self.draw.shuffle(work)
        for one in work:
            queue.put_nowait(one)
        killer = asyncio.create_task(self._kill())
        await asyncio.gather(*(self._write(queue) for _caller in range(CALLERS)))
        await killer

    async def _write(self, queue: asyncio.Queue[tuple[str, int]]) -> None:
        while not queue.empty():
            key, count = queue.get_nowait()
            access = await self.visitors.enter(key)
            conversation = ""
            for number in range(count):
                text = self.draw.choice(QUESTIONS) if count == 1 else f"第 {number} 条 message"
                conversation = (await self.visitors.send(access, conversation, text)).conversation
            if count > 1:
                self.heard[conversation] = await self.visitors.hear(access, conversation)

    async def _kill(self) -> None:
        """As the sends go on, so do the kills; the last are spent while answers are written."""
        while sum(self.killed.values()) < self.size.kills:
            done = len(self.visitors.acknowledged) / self.size.sends
            if sum(self.killed.values()) <= done * self.size.kills:
                self._strike(self.draw.choice(VICTIMS))
            say(
                f"{len(self.visitors.acknowledged)} of {self.size.sends} sends, "
                f"{sum(self.killed.values())} of {self.size.kills} kills"
            )
            await asyncio.sleep(0.1)
            self.platform.home.mend()

    def _strike(self, name: str) -> None:
        process = self.platform.home.processes[name]
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            self.killed[name] += 1

    def settle(self) -> None:
        """Until every answer has come to its end, with everything alive again."""
        from apps.chatbot.models import Answer
        from tenancy.scope import tenant_scope

        end = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            self.platform.home.mend()
            with tenant_scope(self.platform.tenant):
                waiting = Answer.objects.open().count()
            say(f"{waiting} answers wait")
            if not waiting:
                return
            time.sleep(0.5)

    def counted(self) -> dict[str, object]:
        from apps.chatbot.models import Answer, Conversation, Event, Handoff, Message
        from tenancy.scope import tenant_scope

        sent = self.visitors.acknowledged
        with tenant_scope(self.platform.tenant):
            kept = Counter(
                (str(conversation), str(client_id))
                for conversation, client_id in Message.objects.filter(role="user").values_list(
                    "conversation_id", "client_id"
                )
            )
            numbers: dict[str, list[int]] = {}
            for conversation, seq in Event.objects.order_by("conversation", "seq").values_list(
                "conversation_id", "seq"
            ):
                numbers.setdefault(str(conversation), []).append(seq)
            last = {str(pk): seq for pk, seq in Conversation.objects.values_list("pk", "last_seq")}
            asked = Message.objects.filter(role="user", conversation__inbox=self.bot)
            ends = Counter(
                Message.objects.filter(role="assistant", conversation__inbox=self.bot).values_list(
                    "conversation_id", flat=True
                )
            )
            handed = Counter(
                Handoff.objects.filter(conversation__inbox=self.bot).values_list(
                    "conversation_id", flat=True
                )
            )
            questions = list(asked.values_list("conversation_id", flat=True))
            outcomes = Counter(Answer.objects.values_list("state", "outcome", "failure_code"))
            attempts = Counter(Answer.objects.values_list("attempt", flat=True))
        ids = Counter(one.client_id for one in sent)
        told = {(one.conversation, one.client_id) for one in sent}
        return {
            "sends": len(sent),
            "lost": len(told - set(kept)),
            "unasked": len(set(kept) - told),
            "doubled": sum(count > 1 for count in kept.values())
            + sum(count > 1 for count in ids.values()),
            "answers_that_differ": self.visitors.differing,
            "answers_of_5xx": self.visitors.accidents,
            "gaps": sum(
                found != list(range(1, last[conversation] + 1))
                for conversation, found in numbers.items()
            ),
            "misheard": sum(
                heard != numbers.get(conversation) for conversation, heard in self.heard.items()
            ),
            "questions": len(questions),
            "unanswered": sum(not ends[one] and not handed[one] for one in questions),
            "answered_twice": sum(ends[one] > 1 or handed[one] > 1 for one in questions),
            "handed_to_people": len(handed),
            "written_anew": sum(n for attempt, n in attempts.items() if attempt > 1),
            "outcomes": {"/".join(filter(None, key)): n for key, n in outcomes.items()},
            "kills": sum(self.killed.values()),
            **{f"kills_{name}": self.killed[name] for name in VICTIMS},
            **{f"tries_{name}": count for name, count in self.visitors.tries.items()},
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sends", type=int, default=10_000)
    parser.add_argument("--answered", type=int, default=500, help="sends that the bot answers")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--base", default="", help="a packaged base to answer; without one, a random one"
    )
    parser.add_argument(
        "--database",
        default=os.environ.get("PARLEY_TEST_POSTGRES_URL", ""),
        help="a PostgreSQL server; without one, SQLite",
    )
    size = parser.parse_args()
    began = time.monotonic()
    with chat_platform(database=size.database, base=size.base) as platform:
        platform.publish(ARTICLES[:3])
        platform.publish(ARTICLES[3:], "zh-hans")
        chaos = Chaos(platform, Visitors(platform.url, random.Random(size.seed + 1)), size)
        platform.start()
        asyncio.run(chaos.run())
        chaos.settle()
        figures = chaos.counted()
    figures |= {
        "database": "postgresql" if size.database else "sqlite",
        "seconds": round(time.monotonic() - began),
    }
    print()
    print_table(["what", "count"], [[key, str(value)] for key, value in figures.items()])
    print_figures(figures)


if __name__ == "__main__":
    main()
