"""A task says whose rows it touches, and a process that ran one tenant's task forgets it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest
from celery import Celery, Task
from celery.contrib.testing.worker import start_worker

from config.celery import app as product_app
from tenancy.scope import (
    NoScopeError,
    SystemScope,
    _current,
    current_scope,
    current_tenant_id,
)
from tenancy.tasks import SystemTask, TenantTask, UnscopedTask

seen: list[tuple[str | None, str]] = []


@pytest.fixture
def app() -> Iterator[Celery]:
    made = Celery("tests", broker="memory://", task_cls=UnscopedTask, set_as_current=False)
    made.conf.update(
        task_default_queue=f"tests-{uuid4()}",  # the memory broker is shared by the whole process
        task_ignore_result=True,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_transport_options={"polling_interval": 0.01},
    )
    yield made
    made.close()


@pytest.fixture
def note(app: Celery) -> Task:
    @app.task(base=TenantTask, name="note", shared=False)
    def note(*, tenant_id: str) -> None:
        seen.append((tenant_id, str(current_tenant_id())))

    return note


def test_the_product_refuses_a_task_that_names_neither() -> None:
    @product_app.task(name="tests.nameless", shared=False)
    def nameless() -> None:
        """Never runs."""

    for call in (nameless, nameless.delay, lambda: nameless.apply().get()):
        with pytest.raises(NoScopeError, match="neither"):
            call()
    product_app.tasks.pop("tests.nameless")


def test_a_tenant_task_runs_in_its_tenants_scope(note: Task) -> None:
    seen.clear()
    tenant_id = str(uuid4())
    note(tenant_id=tenant_id)
    assert seen == [(tenant_id, tenant_id)]
    assert current_scope() is None


def test_a_tenant_task_is_not_even_sent_without_its_tenant(note: Task) -> None:
    with pytest.raises(TypeError):
        note.delay()
    with pytest.raises(NoScopeError):
        note()


def test_a_function_that_cannot_take_the_tenant_is_no_tenant_task(app: Celery) -> None:
    with pytest.raises(TypeError, match="tenant_id"):

        @app.task(base=TenantTask, name="forgetful", lazy=False, shared=False)
        def forgetful() -> None:
            """Never runs."""


def test_a_system_task_gives_its_reason(app: Celery) -> None:
    @app.task(base=SystemTask, reason="结束过期的租约", name="reap", shared=False)
    def reap() -> object:
        return current_scope()

    assert reap() == SystemScope("task reap: 结束过期的租约")
    with pytest.raises(TypeError, match="reason"):

        @app.task(base=SystemTask, name="reasonless", lazy=False, shared=False)
        def reasonless() -> None:
            """Never runs."""


def test_every_task_of_the_product_names_its_scope() -> None:
    product_app.loader.import_default_modules()
    tasks = {n: t for n, t in product_app.tasks.items() if not n.startswith("celery.")}
    assert [n for n, t in tasks.items() if not isinstance(t, TenantTask | SystemTask)] == []


def test_what_an_earlier_task_left_behind_is_not_inherited(note: Task) -> None:
    from tenancy.scope import TenantScope

    seen.clear()
    leaked = _current.set(TenantScope(uuid4()))
    try:
        mine = str(uuid4())
        note(tenant_id=mine)
        assert seen == [(mine, mine)]
    finally:
        _current.reset(leaked)


@pytest.mark.parametrize("pool", ["solo", "threads"])
def test_a_thousand_interleaved_tasks_of_ten_tenants_never_mix(
    app: Celery, note: Task, pool: str
) -> None:
    seen.clear()
    tenants = [str(uuid4()) for _ in range(10)]
    with start_worker(app, pool=pool, concurrency=4, perform_ping_check=False):
        with app.connection_for_write() as connection:
            for turn in range(1000):
                note.apply_async(kwargs={"tenant_id": tenants[turn % 10]}, connection=connection)
        done = threading.Event()
        for _ in range(1200):
            if len(seen) >= 1000:
                break
            done.wait(0.05)
    assert len(seen) == 1000
    assert [pair for pair in seen if pair[0] != pair[1]] == []


def test_threads_that_call_tasks_at_once_never_mix(note: Task) -> None:
    seen.clear()
    tenants = [str(uuid4()) for _ in range(10)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda turn: note(tenant_id=tenants[turn % 10]), range(500)))
    assert [pair for pair in seen if pair[0] != pair[1]] == []
