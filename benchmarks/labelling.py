"""Labelling by keyboard, in a real browser, with live suggestions from the engine.

    python -m benchmarks.labelling --items 2000

Starts the web process, the engine with the default base, a worker and beat in a folder of their own, puts so
many texts before one person, and presses keys in Chromium: first at a quick person's pace (a key every 400 to
800 ms), then in a burst (a key as soon as the next item is painted). Latency is from the key's own time stamp
to the task after the frame that shows the next item. Meanwhile tabs are closed right after a key, half of them
with the line to the server cut, and opened again; at the end every answer is looked for in the database.

Texts are Twitter Financial News (PARLEY_DATA/news) or, where that is not there, made up in two languages.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.figures import print_figures, print_table
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[1]
CHROMIUM = "/usr/bin/chromium"
PASSWORD = "correct horse 电池"
BASE = "smollm2-135m-instruct"
LABELS = ["negative", "positive", "neutral"]
ANSWERS = re.compile(r"/label/[^/]+/answers/$")
GUIDELINE = (
    "Is this news good (positive), bad (negative) or neither (neutral) for the company's price?"
)

# Runs before the page's own scripts. A frame callback is before painting, the message behind it after.
WATCH = """
(() => {
  const log = (window.labelLog = []);
  let pressed = null;
  const item = () => document.getElementById("item");
  addEventListener("keydown", (event) => {
    if (item()) pressed = { at: event.timeStamp, key: event.key, item: item().dataset.item };
  }, true);
  addEventListener("DOMContentLoaded", () => {
    if (!item()) return;
    new MutationObserver(() => {
      const now = item().dataset.item;
      if (!pressed || !now || now === pressed.item) return;
      const mine = pressed;
      pressed = null;
      const suggested = !document.getElementById("said").hidden;
      requestAnimationFrame(() => {
        const channel = new MessageChannel();
        channel.port1.onmessage = () =>
          log.push({ ms: performance.now() - mine.at, key: mine.key, suggested });
        channel.port2.postMessage(0);
      });
    }).observe(item(), { attributes: true, attributeFilter: ["data-item"] });
  });
})();
"""


@dataclass
class Heard:
    """What one part of the run measured: milliseconds, and how often a suggestion was there."""

    ms: list[float] = field(default_factory=list)
    suggested: int = 0

    def figures(self, name: str) -> dict[str, float]:
        times = sorted(self.ms)
        return {
            f"{name}_items": len(times),
            f"{name}_p50_ms": round(times[len(times) // 2], 1),
            f"{name}_p95_ms": round(times[int(len(times) * 0.95)], 1),
            f"{name}_max_ms": round(times[-1], 1),
            f"{name}_suggested_share": round(self.suggested / len(times), 4),
        }


class Person:
    """Whoever presses the keys, and what they meant each time."""

    def __init__(
        self, context: Any, url: str, wishes: dict[str, str], chance: random.Random
    ) -> None:
        self.context, self.url, self.wishes, self.chance = context, url, wishes, chance
        self.meant: dict[str, str] = {}
        self.pressed = self.undone = self.closed = self.asked_again = 0
        self.page = self.open()

    def open(self) -> Any:
        page = self.context.new_page()
        page.goto(self.url)
        page.wait_for_selector("#item[data-item]", timeout=60_000)
        self.asked_again += self._item(page) in self.meant
        return page

    def label(self) -> None:
        """Press the key of the label that the text was published with."""
        item = self._item(self.page)
        wish = self.wishes[item]
        self.page.keyboard.press(str(LABELS.index(wish) + 1))
        self.meant[item] = wish
        self.pressed += 1

    def undo(self) -> None:
        before = self._item(self.page)
        self.page.keyboard.press("u")
        self.painted(before)
        self.meant.pop(self._item(self.page), None)
        self.undone += 1

    def painted(self, before: str) -> None:
        while self._item(self.page) in (before, ""):
            time.sleep(0.002)

    def close(self, heard: Heard, *, cut: bool) -> None:
        """Close the tab right behind a key; with the line cut, five answers are on no server yet."""
        if cut:
            self.context.route(ANSWERS, lambda route: route.abort())
            for _ in range(4):
                before = self._item(self.page)
                self.label()
                self.painted(before)
        self.label()
        self.read(heard)
        self.page.close()
        self.closed += 1
        if cut:
            self.context.unroute(ANSWERS)
        self.page = self.open()

    def read(self, heard: Heard) -> None:
        """Take the page's log over; the last key's frame may still be on its way."""
        for entry in self.page.evaluate("() => window.labelLog.splice(0)"):
            if entry["key"] in "123":
                heard.ms.append(entry["ms"])
                heard.suggested += entry["suggested"]

    def settle(self) -> None:
        kept = "() => Object.keys(localStorage).some((key) => key.startsWith('parley-label:'))"
        deadline = time.monotonic() + 60
        while self.page.evaluate(kept) and time.monotonic() < deadline:
            time.sleep(0.1)

    @staticmethod
    def _item(page: Any) -> str:
        return str(page.evaluate("() => document.getElementById('item').dataset.item || ''"))


def run(person: Person, items: int, *, pause: tuple[float, float] | None, closings: int) -> Heard:
    """So many answers; without `pause` each as soon as the next item is painted."""
    heard = Heard()
    target = person.pressed + items
    every = max(1, items // (closings + 1))
    following = person.pressed + every
    while person.pressed < target:
        if person.pressed >= following and following < target:
            person.close(heard, cut=person.closed % 2 == 1)
            following += every
            continue
        before = person._item(person.page)
        person.label()
        if pause:
            time.sleep(person.chance.uniform(*pause))
        person.painted(before)
        if person.chance.random() < 0.01:
            person.undo()
        if person.pressed % 50 == 0:
            person.read(heard)
            print(f"  {person.pressed} answers, {person.closed} tabs closed", flush=True)
    person.read(heard)
    return heard


def texts(count: int) -> list[tuple[str, str]]:
    """(text, label) of so many items."""
    file = (
        Path(os.environ.get("PARLEY_DATA", ROOT.parent / "shared" / "data")) / "news/tfns_train.csv"
    )
    if file.is_file():
        with file.open(encoding="utf-8", newline="") as rows:
            found = [(row["text"], LABELS[int(row["label"])]) for row in csv.DictReader(rows)]
        random.Random(1).shuffle(found)
        return found[:count]
    made = []
    for at in range(count):
        verb, label = (("rises", "positive"), ("falls", "negative"), ("reports", "neutral"))[at % 3]
        made.append((f"Company {at} {verb} after the quarter. 第{at}号公司公布业绩。", label))
    return made


def seed(count: int) -> tuple[str, dict[str, str]]:
    """A tenant, a person and a task; the task's id and what each item is to be labelled."""
    from labeling.models import Example, LabelingTask, QueueItem
    from labeling.queue.setup import create_task, keyed
    from labeling.services import create_dataset
    from tenancy.scope import tenant_scope
    from tests.factories import make_member, make_tenant

    tenant = make_tenant("acme", name="Acme")
    make_member(tenant, "annotator", email="ann@example.com")
    with tenant_scope(tenant):
        dataset = create_dataset(name="News", slug="news")
        rows = texts(count)
        for at, (text, _label) in enumerate(rows):
            Example(
                dataset=dataset, kind="text", content={"text": text}, external_id=str(at)
            ).save()
        task = create_task(
            dataset=dataset,
            name="Sentiment",
            labels=keyed(LABELS),
            suggester=BASE,
            guideline=GUIDELINE,
        )
        # The worker heard the bell.
        while not LabelingTask.objects.filter(pk=task.pk, built_at__isnull=False).exists():
            time.sleep(0.2)
        items = QueueItem.objects.filter(task=task).values_list("pk", "example__external_id")
        return str(task.pk), {str(pk): rows[int(at)][1] for pk, at in items}


def verdict(task_id: str, person: Person) -> dict[str, int]:
    """What the database has of what was meant."""
    from collections import Counter

    from labeling.models import Annotation, Assignment, Suggestion
    from tenancy.scope import system_scope

    with system_scope("benchmark: count what arrived"):
        rows = Assignment.objects.filter(item__task=task_id, annotation__isnull=False)
        standing = {
            str(row.item_id): row.annotation.labels
            for row in rows.select_related("annotation")
            if row.annotation is not None
        }
        said = Annotation.objects.filter(task=task_id, verdict="accept")
        undone = set(
            Annotation.objects.filter(task=task_id, verdict="undo").values_list("undoes", flat=True)
        )
        valid = Counter(
            str(example) for pk, example in said.values_list("pk", "example") if pk not in undone
        )
        return {
            "answers_meant": len(person.meant),
            "answers_standing": len(standing),
            "lost": sum(standing.get(item) != [wish] for item, wish in person.meant.items()),
            "twice": sum(count > 1 for count in valid.values())
            + len(standing.keys() - person.meant.keys()),
            "rows_accept": said.count(),
            "rows_undo": len(undone),
            "suggestions_made": Suggestion.objects.filter(item__task=task_id).count(),
        }


@contextmanager
def processes(home: Path, web_port: int, engine_port: int) -> Iterator[None]:
    """The site as `make run` starts it, without the trainer."""
    from config.processes import Fleet, Program, answers

    celery = [sys.executable, "-m", "celery", "-A", "config"]
    web = [sys.executable, "-m", "uvicorn", "config.asgi:application", "--port", str(web_port)]
    engine = [sys.executable, "manage.py", "serve_base", "--port", str(engine_port)]
    site = f"http://127.0.0.1:{web_port}"
    programs = [
        Program(
            "engine",
            engine,
            answers(f"http://127.0.0.1:{engine_port}/health"),
            patience_seconds=180,
        ),
        Program(
            "web",
            [*web, "--lifespan", "off", "--no-access-log", "--log-level", "warning"],
            answers(f"{site}/health/live"),
        ),
        Program("worker", [*celery, "worker", "-Q", "default,answers", "-c", "1", "-l", "warning"]),
        Program("beat", [*celery, "beat", "-l", "warning"]),
    ]
    fleet = Fleet(home)
    with fleet.alone():
        running = [fleet.start(program) for program in programs]
        for one in running:
            fleet.wait_ready(one)
        yield


def sign_in(context: Any, site: str) -> None:
    page = context.new_page()
    page.goto(f"{site}/accounts/login/")
    page.fill("input[name=login]", "ann@example.com")
    page.fill("input[name=password]", PASSWORD)
    page.click("main button[type=submit]")
    page.wait_for_url("**/t/**")
    page.close()


def measure(
    home: Path, asked: argparse.Namespace, web_port: int, engine_port: int
) -> dict[str, Any]:
    from django.core.management import call_command
    from playwright.sync_api import sync_playwright

    site = f"http://127.0.0.1:{web_port}"
    call_command("migrate", verbosity=0)
    call_command("prepare_base", BASE, verbosity=0)
    with processes(home, web_port, engine_port), sync_playwright() as playwright:
        task_id, wishes = seed(asked.items + asked.burst + 200)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1280, "height": 860})
        context.add_init_script(WATCH)
        sign_in(context, site)
        address = f"{site}/t/acme/label/{task_id}/"
        person = Person(context, address, wishes, random.Random(asked.seed))
        # A person reads the guideline first; the engine looks at the first items meanwhile.
        time.sleep(asked.reading)
        load = os.getloadavg()
        print("at a quick person's pace", flush=True)
        human = run(person, asked.items, pause=(0.4, 0.8), closings=asked.closings)
        print("in a burst", flush=True)
        began, before = time.monotonic(), person.pressed
        burst = (
            run(person, asked.burst, pause=None, closings=asked.closings)
            if asked.burst
            else Heard()
        )
        rate = (person.pressed - before) / max(time.monotonic() - began, 1e-9)
        person.settle()
        browser.close()
        figures: dict[str, Any] = {
            **human.figures("human"),
            **(burst.figures("burst") if burst.ms else {}),
            "burst_items_per_second": round(rate, 1),
            "keys_pressed": person.pressed,
            "undone": person.undone,
            "tabs_closed": person.closed,
            "asked_again": person.asked_again,
            **verdict(task_id, person),
            "cores": len(os.sched_getaffinity(0)),
            "load_before": round(load[0], 1),
            "load_after": round(os.getloadavg()[0], 1),
        }
    return figures


def main() -> None:
    """Measure, print the table and the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--items", type=int, default=2000, help="answers at a person's pace")
    parser.add_argument("--burst", type=int, default=400, help="answers in a burst, after them")
    parser.add_argument("--closings", type=int, default=10, help="tabs closed in each of both")
    parser.add_argument("--reading", type=float, default=10.0, help="seconds before the first key")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="parley-labelling-") as folder:
        web_port, engine_port = free_port(), free_port()
        os.environ |= {
            "PARLEY_HOME": folder,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PYTHONPATH": f"{ROOT / 'platform'}{os.pathsep}{ROOT}",
            "GPT_ENGINES": f'{{"{BASE}": "http://127.0.0.1:{engine_port}"}}',
            "PARLEY_LOG_LEVEL": "WARNING",
            # Playwright runs an event loop in this thread, where Django would refuse to ask.
            "DJANGO_ALLOW_ASYNC_UNSAFE": "true",
        }
        os.environ.pop("DATABASE_URL", None)
        sys.path.insert(0, str(ROOT / "platform"))
        os.chdir(ROOT)
        import django

        django.setup()
        figures = measure(Path(folder), asked, web_port, engine_port)
    print_table(("figure", "value"), list(figures.items()))
    print_figures(figures)


if __name__ == "__main__":
    main()
