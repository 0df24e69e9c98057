"""Celery tasks know whose rows they touch: a tenant's, or every tenant's for a reason."""

import inspect
from typing import Any, ClassVar

from celery import Celery, Task, shared_task

from tenancy.scope import NoScopeError, system_scope, tenant_scope


class UnscopedTask(Task):
    """The app's default task class. It refuses: a task says whose rows it touches."""

    abstract = True

    def __call__(self, *args: Any, **options: Any) -> Any:
        raise self._refusal()

    def apply_async(self, *args: Any, **options: Any) -> Any:
        raise self._refusal()

    def _refusal(self) -> NoScopeError:
        return NoScopeError(
            f"Task {self.name} names neither a tenant (base=TenantTask, tenant_id=...) nor the "
            "system (base=SystemTask, reason=...)."
        )


class TenantTask(Task):
    """Runs in the scope of the tenant that its message names: `task.delay(tenant_id=str(id))`.

    The function declares `tenant_id` as a keyword without default, so that Celery refuses to send
    the message without it.
    """

    abstract = True

    def __call__(self, *args: Any, **options: Any) -> Any:
        tenant_id = options.get("tenant_id")
        if not tenant_id:
            raise NoScopeError(f"Task {self.name} was called without tenant_id.")
        # Entered afresh whatever an earlier task in this process left behind, and left at the end.
        with tenant_scope(tenant_id):
            return self.run(*args, **options)

    @classmethod
    def on_bound(cls, app: Celery) -> None:
        parameter = inspect.signature(cls.run).parameters.get("tenant_id")
        if parameter is None or parameter.default is not inspect.Parameter.empty:
            raise TypeError(f"Task {cls.name} must take tenant_id, without a default.")


class SystemTask(Task):
    """Works across tenants: `@app.task(base=SystemTask, reason="ends leases that ran out")`."""

    abstract = True
    reason: ClassVar[str] = ""

    def __call__(self, *args: Any, **options: Any) -> Any:
        with system_scope(f"task {self.name}: {self.reason}"):
            return self.run(*args, **options)

    @classmethod
    def on_bound(cls, app: Celery) -> None:
        if not cls.reason.strip():
            raise TypeError(f"Task {cls.name} must give its reason for working across tenants.")


@shared_task(base=SystemTask, reason="forgets the counters of every tenant that nobody needs")
def forget_old_usage() -> int:
    """Once an hour: the minutes that are over, and days beyond a year."""
    # Celery reads its task class from this module before Django is awake.
    from tenancy import quotas

    return quotas.forget_old()
