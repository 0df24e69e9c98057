"""What the workers do for datasets and files. A message only says "look"."""

from celery import shared_task

from labeling import files, work
from labeling.models import LabelingTask
from labeling.models.work import kinds
from labeling.queue import agreement, building
from labeling.queue.setup import ring_for_building
from tenancy.scope import tenant_scope
from tenancy.tasks import SystemTask, TenantTask


@shared_task(base=SystemTask, reason="deletes the files of every tenant whose time is over")
def delete_expired_files() -> None:
    """The rows stay and say when."""
    files.delete_expired_files()


@shared_task(base=SystemTask, reason="takes the next work that waits, whoever's it is")
def do_waiting_work(queue: str = "default") -> int:
    """Imports, freezes and changes of many examples, one after another. Returns how many."""
    done = 0
    while (row := work.next_waiting(queue)) is not None:
        with tenant_scope(row.tenant_id):
            done += work.carry_out(row)
    return done


@shared_task(base=SystemTask, reason="rings where work waits or was left by a worker that is gone")
def reap_work() -> None:
    """The safety net under the broker and the workers, every few seconds."""
    for queue in {kind.queue for kind in kinds()}:
        if work.next_waiting(queue) is not None:
            work.ring(queue)


@shared_task(base=TenantTask)
def build_queue(*, tenant_id: str, task_id: str) -> int:
    """Fill the queue of a labelling task from its dataset's drafts."""
    task = LabelingTask.objects.filter(pk=task_id).first()
    return building.build_queue(task=task) if task is not None else 0


@shared_task(
    base=SystemTask, reason="finds the labelling tasks of every tenant that have new drafts"
)
def build_waiting_queues() -> None:
    """The net under a bell that was lost, and the way in for drafts that came later."""
    for task in LabelingTask.objects.filter(state=LabelingTask.State.OPEN):
        if building.needs_building(task):
            ring_for_building(task)


@shared_task(
    base=SystemTask, reason="measures agreement where answers have come since, for any tenant"
)
def measure_agreement() -> None:
    """So that a list of tasks shows it without computing it."""
    for task in LabelingTask.objects.filter(state=LabelingTask.State.OPEN, overlap__gt=1):
        agreement.measured_agreement(task)
