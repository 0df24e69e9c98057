"""What people are asked to label, in which order, and what a model thinks of it beforehand."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from tenancy.models import TenantModel

MOST_OVERLAP = 9
LEAST_RANDOM = 10


class LabelingTask(TenantModel):
    """A dataset's drafts put before people: with which labels, by how many, in which mixture.

    `labels` is [{"name", "key"}] in the order of the page; a review has none. `suggester` names what
    is asked beforehand: a deployment, else a base model, else nobody. The three shares are
    per cent of the queue; the random one is kept apart from the start, so that what was drawn at
    random stays an unbiased sample whatever else was picked (labeling.queue.mix).
    """

    subject_path = None

    class Mode(models.TextChoices):
        SINGLE = "single", _("one label")
        MULTI = "multi", _("any number of labels")
        REVIEW = "review", _("accept, edit or reject")

    class State(models.TextChoices):
        OPEN = "open", pgettext_lazy("labelling task", "open")
        PAUSED = "paused", pgettext_lazy("labelling task", "paused")
        CLOSED = "closed", pgettext_lazy("labelling task", "closed")

    dataset = models.ForeignKey(
        "labeling.Dataset", on_delete=models.CASCADE, related_name="labeling_tasks"
    )
    name = models.CharField(_("name"), max_length=200)
    guideline = models.TextField(_("guideline"), blank=True)
    mode = models.CharField(_("mode"), max_length=10, choices=Mode, default=Mode.SINGLE)
    labels = models.JSONField(_("labels"), default=list, blank=True)
    overlap = models.PositiveSmallIntegerField(
        _("people per item"),
        default=1,
        validators=[MinValueValidator(1), MaxValueValidator(MOST_OVERLAP)],
    )
    uncertain_share = models.PositiveSmallIntegerField(_("uncertain"), default=50)
    diverse_share = models.PositiveSmallIntegerField(_("diverse"), default=30)
    random_share = models.PositiveSmallIntegerField(_("random"), default=20)
    gold_count = models.PositiveIntegerField(_("gold items"), default=0)
    gold_share = models.PositiveSmallIntegerField(
        _("gold, per cent"), default=5, validators=[MaxValueValidator(50)]
    )
    suggester = models.CharField(_("suggestions by"), max_length=160, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.OPEN)
    seed = models.BigIntegerField(_("seed"), default=0)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    built_at = models.DateTimeField(_("queue built"), null=True, blank=True, editable=False)
    # Until when one worker computes suggestions for this task, so that no second one does.
    suggesting_until = models.DateTimeField(null=True, blank=True, editable=False)
    # Agreement as it was measured last, and the state of the annotations that it is of.
    measured = models.JSONField(default=dict, blank=True, editable=False)

    class Meta(TenantModel.Meta):
        verbose_name = _("labelling task")
        verbose_name_plural = _("labelling tasks")
        constraints = [
            models.CheckConstraint(
                name="labeling_task_shares",
                condition=models.Q(
                    uncertain_share=100 - models.F("diverse_share") - models.F("random_share")
                )
                & models.Q(random_share__gte=LEAST_RANDOM),
            ),
            models.CheckConstraint(
                name="labeling_task_overlap",
                condition=models.Q(overlap__gte=1, overlap__lte=MOST_OVERLAP),
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def label_names(self) -> list[str]:
        return [label["name"] for label in self.labels]

    @property
    def is_review(self) -> bool:
        return self.mode == self.Mode.REVIEW


class QueueItem(TenantModel):
    """One example in the queue of one task.

    `audit` marks the part that only chance hands out. `reason` says why it was handed out first.
    `gold` are labels known beforehand: such an item is put before everybody and changes nothing.
    `before` is the example as it was before the answers were taken over, for when one is undone.
    """

    subject_path = "example__subject"

    class Reason(models.TextChoices):
        UNCERTAIN = "uncertain", _("uncertain")
        DIVERSE = "diverse", _("diverse")
        RANDOM = "random", _("random")
        GOLD = "gold", _("gold")

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        DONE = "done", _("done")
        DISPUTED = "disputed", _("disputed")
        ADJUDICATED = "adjudicated", _("adjudicated")

    task = models.ForeignKey(LabelingTask, on_delete=models.CASCADE, related_name="items")
    example = models.ForeignKey(
        "labeling.Example", on_delete=models.CASCADE, related_name="queue_items"
    )
    state = models.CharField(_("state"), max_length=12, choices=State, default=State.WAITING)
    reason = models.CharField(_("reason"), max_length=10, choices=Reason, blank=True)
    audit = models.BooleanField(_("audit"), default=False)
    gold = models.JSONField(_("gold"), null=True, blank=True)
    random_rank = models.BigIntegerField(default=0)
    diverse_rank = models.BigIntegerField(default=0)
    uncertainty = models.FloatField(_("uncertainty"), null=True, blank=True)
    answers = models.PositiveSmallIntegerField(_("answers"), default=0)
    unanimous = models.BooleanField(_("unanimous"), null=True, blank=True)
    before = models.JSONField(null=True, blank=True)
    settled_at = models.DateTimeField(_("settled"), null=True, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("item of a queue")
        verbose_name_plural = _("items of queues")
        constraints = [
            models.UniqueConstraint(fields=["task", "example"], name="labeling_item_once")
        ]
        indexes = [
            models.Index(fields=["task", "state", "audit", "diverse_rank"], name="labeling_item_diverse"),
            models.Index(fields=["task", "state", "audit", "random_rank"], name="labeling_item_random"),
            models.Index(fields=["task", "state", "audit", "-uncertainty"], name="labeling_item_unsure"),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.example_id} {self.state}"


class Assignment(TenantModel):
    """An item in one person's hands: leased while they look at it, theirs once answered.

    `annotation` is the answer that stands; undoing takes it away and leases the item anew.
    """

    subject_path = "item__example__subject"

    item = models.ForeignKey(QueueItem, on_delete=models.CASCADE, related_name="assignments")
    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+"
    )
    annotation = models.ForeignKey(
        "labeling.Annotation", on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    leased_until = models.DateTimeField(_("leased until"))
    number = models.PositiveIntegerField(_("number in the person's order"), default=0)

    class Meta(TenantModel.Meta):
        verbose_name = _("assignment")
        verbose_name_plural = _("assignments")
        constraints = [
            models.UniqueConstraint(fields=["item", "annotator"], name="labeling_assignment_once")
        ]
        indexes = [
            models.Index(fields=["annotator", "annotation"], name="labeling_assignment_open")
        ]

    def __str__(self) -> str:
        return f"{self.item_id} {self.annotator_id}"


class Suggestion(TenantModel):
    """What one model would answer. `probabilities` divide its belief among the task's labels alone,
    and are not calibrated: 0.9 does not mean right nine times in ten."""

    subject_path = "item__example__subject"

    item = models.ForeignKey(QueueItem, on_delete=models.CASCADE, related_name="suggestions")
    model = models.CharField(_("model"), max_length=160)
    digest = models.CharField(_("digest"), max_length=64, blank=True)
    label = models.CharField(_("label"), max_length=100)
    confidence = models.FloatField(_("confidence"))
    probabilities = models.JSONField(_("probabilities"))

    class Meta(TenantModel.Meta):
        verbose_name = _("suggestion")
        verbose_name_plural = _("suggestions")
        constraints = [
            models.UniqueConstraint(fields=["item", "model"], name="labeling_suggestion_once")
        ]

    def __str__(self) -> str:
        return f"{self.label} {self.confidence:.2f}"
