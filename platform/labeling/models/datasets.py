"""What a model learns from, who judged it, and the frozen versions that jobs are run on."""

from typing import Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from labeling.personal_data import personal_kinds
from labeling.querysets import (
    DatasetQuerySet,
    ExampleQuerySet,
    StoredFileQuerySet,
    VersionRowQuerySet,
)
from labeling.rows import (
    MAX_ID_CHARACTERS,
    MAX_LABEL_CHARACTERS,
    content_digest,
    payload,
    search_text,
)
from tenancy.models import TenantModel
from tenancy.querysets import TenantManager


class DatasetManager(TenantManager.from_queryset(DatasetQuerySet)):  # type: ignore[misc]
    """The tenant's rows, with the questions of DatasetQuerySet."""


class ExampleManager(TenantManager.from_queryset(ExampleQuerySet)):  # type: ignore[misc]
    """The tenant's rows, with the questions of ExampleQuerySet."""


class StoredFileManager(TenantManager.from_queryset(StoredFileQuerySet)):  # type: ignore[misc]
    """The tenant's rows, with the questions of StoredFileQuerySet."""


class VersionRowManager(TenantManager.from_queryset(VersionRowQuerySet)):  # type: ignore[misc]
    """The tenant's rows, with the questions of VersionRowQuerySet."""


class Dataset(TenantModel):
    """Examples that belong together: one purpose, one model to tune."""

    subject_path = None

    name = models.CharField(_("name"), max_length=200)
    slug = models.SlugField(_("address"), max_length=63)
    description = models.TextField(_("description"), blank=True)
    language = models.CharField(_("language"), max_length=10, blank=True)

    objects: ClassVar[DatasetManager] = DatasetManager()

    class Meta(TenantModel.Meta):
        verbose_name = _("dataset")
        verbose_name_plural = _("datasets")
        constraints = [
            models.UniqueConstraint(fields=["tenant", "slug"], name="labeling_dataset_slug_once")
        ]

    def __str__(self) -> str:
        return self.name


class StoredFile(TenantModel):
    """A file as it was uploaded, or made for somebody to fetch; its bytes lie on disk (labeling.files).

    The row outlives the bytes, so that what was made from the file can still name it.
    """

    subject_path = None

    class Purpose(models.TextChoices):
        FINE_TUNE = "fine-tune", _("fine-tuning")
        RESULTS = "fine-tune-results", _("results of fine-tuning")
        IMPORT = "import", _("import")
        EXPORT = "export", _("export")

    class State(models.TextChoices):
        STORED = "stored", _("stored")
        DELETED = "deleted", _("deleted")

    filename = models.CharField(_("file"), max_length=255)
    purpose = models.CharField(_("purpose"), max_length=20, choices=Purpose)
    size = models.BigIntegerField(_("bytes"))
    sha256 = models.CharField(max_length=64, editable=False)
    content_type = models.CharField(_("type"), max_length=100, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.STORED)
    expires_at = models.DateTimeField(_("expires"), null=True, blank=True)
    deleted_at = models.DateTimeField(_("deleted"), null=True, blank=True, editable=False)

    objects: ClassVar[StoredFileManager] = StoredFileManager()

    class Meta(TenantModel.Meta):
        verbose_name = _("stored file")
        verbose_name_plural = _("stored files")
        indexes = [
            models.Index(
                fields=["tenant", "state", "-created_at", "-id"], name="labeling_file_recent"
            ),
            models.Index(
                fields=["expires_at"],
                name="labeling_file_expiry",
                condition=models.Q(state="stored", expires_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return self.filename


class Label(TenantModel):
    """One of the closed set of names that examples of a dataset may carry."""

    subject_path = None

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="label_set")
    name = models.CharField(_("name"), max_length=MAX_LABEL_CHARACTERS)
    description = models.TextField(_("description"), blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("label")
        verbose_name_plural = _("labels")
        constraints = [
            models.UniqueConstraint(fields=["dataset", "name"], name="labeling_label_once")
        ]

    def __str__(self) -> str:
        return self.name


class Example(TenantModel):
    """One thing to learn from: a conversation, a prompt and its completion, or a labelled text.

    `content` is the canonical row (labeling.rows). `content_digest` says what it teaches now;
    `source_digest` what its source said last, so that reading the source again neither adds it
    twice nor undoes what people changed. `subject` refers to the person whose data it holds, such
    as "contact:<id>"; it is a reference, never a name.
    """

    subject_path = "subject"

    class Kind(models.TextChoices):
        CHAT = "chat", _("conversation")
        COMPLETION = "completion", _("prompt and completion")
        TEXT = "text", _("text with labels")

    class State(models.TextChoices):
        DRAFT = "draft", _("draft")
        ACCEPTED = "accepted", _("accepted")
        REJECTED = "rejected", _("rejected")

    class Source(models.TextChoices):
        FILE = "file", _("file")
        MESSAGE = "message", _("message")
        ARTICLE = "article", _("article")
        ITEM = "item", _("item")
        PERSON = "person", _("person")

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="examples")
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    content = models.JSONField(_("content"))
    labels = models.JSONField(_("labels"), default=list, blank=True)
    external_id = models.CharField(_("id in the source"), max_length=MAX_ID_CHARACTERS)
    group = models.CharField(_("group"), max_length=MAX_ID_CHARACTERS, blank=True)
    state = models.CharField(_("state"), max_length=10, choices=State, default=State.DRAFT)
    # Texts that lay beside the question: [{"text", "title"?, "source"?}].
    passages = models.JSONField(_("passages"), default=list, blank=True)
    # What people liked less than the content: {"rejected": {...}, "margin"?: ...}.
    preference = models.JSONField(_("preference"), null=True, blank=True)
    # What was blacked out: [{"pointer", "start", "end", "kind"}].
    redactions = models.JSONField(_("redactions"), default=list, blank=True)
    source_kind = models.CharField(_("source"), max_length=10, choices=Source, default=Source.FILE)
    source_ref = models.CharField(_("place in the source"), max_length=255, blank=True)
    import_run = models.ForeignKey(
        "labeling.ImportRun",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="examples",
    )
    line = models.PositiveIntegerField(_("line"), null=True, blank=True)
    subject = models.CharField(_("whose data"), max_length=MAX_ID_CHARACTERS, blank=True)
    content_digest = models.CharField(max_length=64, editable=False)
    # What the example is found by (labeling.finding), and which kinds of personal data it holds,
    # "email phone"; both follow from the content.
    search_text = models.TextField(editable=False, default="", blank=True)
    personal_data = models.CharField(
        _("personal data"), max_length=100, editable=False, default="", blank=True
    )
    source_digest = models.CharField(max_length=64, editable=False, blank=True)
    edited_at = models.DateTimeField(_("edited"), null=True, blank=True, editable=False)

    objects: ClassVar[ExampleManager] = ExampleManager()

    class Meta(TenantModel.Meta):
        verbose_name = _("example")
        verbose_name_plural = _("examples")
        constraints = [
            models.UniqueConstraint(fields=["dataset", "external_id"], name="labeling_example_once")
        ]
        indexes = [
            # The tenant, which every query names, is in it so that counting reads no row.
            models.Index(
                fields=["dataset", "state", "tenant", "id"], name="labeling_example_counted"
            ),
            models.Index(fields=["dataset", "content_digest"], name="labeling_example_content"),
            models.Index(fields=["dataset", "-created_at", "-id"], name="labeling_example_recent"),
            models.Index(
                fields=["tenant", "subject"],
                name="labeling_example_subject",
                condition=~models.Q(subject=""),
            ),
            models.Index(
                fields=["dataset", "-created_at", "-id"],
                name="labeling_example_personal",
                condition=~models.Q(personal_data=""),
            ),
        ]

    def __str__(self) -> str:
        return self.external_id

    def save(self, *args: Any, **options: Any) -> None:
        self.content_digest = content_digest(self.kind, self.content, self.labels, self.passages)
        self.note_what_follows()
        if (fields := options.get("update_fields")) is not None:
            options["update_fields"] = {*fields, "content_digest", *self.FOLLOWING}
        super().save(*args, **options)

    FOLLOWING: ClassVar[tuple[str, ...]] = ("search_text", "personal_data")

    def note_what_follows(self) -> None:
        """Fill the columns that follow from the content. `save` does it; bulk writes must ask."""
        self.search_text = search_text(self.content, self.labels, self.external_id)
        self.personal_data = " ".join(sorted(personal_kinds(self.content)))

    def payload(self) -> dict[str, Any]:
        """The line of train.jsonl that this example becomes."""
        return payload(
            external_id=self.external_id,
            line=self.line,
            group=self.group,
            content=self.content,
            labels=self.labels,
            passages=self.passages,
        )


class Annotation(TenantModel):
    """What one person made of one example, at one time. Rows are added, never changed.

    `client_id` is the id that a page gave the answer, so that sending it again stores nothing
    twice. `undoes` names the answer that was taken back, `final` marks the word of whoever settled
    a dispute, and `suggestion` is what a model had said beside it.
    """

    subject_path = "example__subject"

    class Verdict(models.TextChoices):
        ACCEPT = "accept", _("accept")
        REJECT = "reject", _("reject")
        SKIP = "skip", _("skip")
        EDIT = "edit", _("edit")
        UNDO = "undo", _("undo")

    example = models.ForeignKey(Example, on_delete=models.CASCADE, related_name="annotations")
    annotator = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    verdict = models.CharField(_("verdict"), max_length=10, choices=Verdict)
    labels = models.JSONField(_("labels"), null=True, blank=True)
    content = models.JSONField(_("edited content"), null=True, blank=True)
    seconds = models.FloatField(_("seconds"), null=True, blank=True)
    # What the example was before: {"state", "labels", "content"}. Undo and the history read it.
    before = models.JSONField(null=True, blank=True)
    # The decision about many examples that this was a part of.
    bulk_change = models.ForeignKey(
        "labeling.BulkChange",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="annotations",
    )
    task = models.ForeignKey(
        "labeling.LabelingTask",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="annotations",
    )
    client_id = models.UUIDField(null=True, blank=True, editable=False)
    undoes = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="undone_by"
    )
    final = models.BooleanField(_("final"), default=False)
    suggestion = models.JSONField(_("suggestion"), null=True, blank=True)

    class Meta(TenantModel.Meta):
        verbose_name = _("annotation")
        verbose_name_plural = _("annotations")
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "client_id"], name="labeling_annotation_client_once"
            )
        ]
        indexes = [
            models.Index(fields=["example", "created_at"], name="labeling_annotation_order"),
            models.Index(fields=["annotator", "created_at"], name="labeling_annotation_person"),
            models.Index(fields=["task", "created_at"], name="labeling_annotation_task"),
        ]

    def __str__(self) -> str:
        return f"{self.verdict} {self.example_id}"


class DatasetVersion(TenantModel):
    """The accepted examples of one moment, split and frozen. The database refuses every change.

    `digest` (SHA-256) covers the canonical payload of each row in its order. `counts` has the
    rows of each split, what was left out and why, and codes of what is worth knowing.
    """

    subject_path = None
    frozen_columns: ClassVar[tuple[str, ...]] = (
        "tenant_id", "dataset_id", "number", "digest", "counts", "seed", "shares", "frozen_at",
    )  # fmt: skip

    dataset = models.ForeignKey(Dataset, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField(_("number"))
    digest = models.CharField(_("digest"), max_length=64)
    counts = models.JSONField(_("counts"))
    seed = models.BigIntegerField(_("seed"), default=0)
    shares = models.JSONField(_("shares"))
    frozen_at = models.DateTimeField(_("frozen"))

    class Meta(TenantModel.Meta):
        verbose_name = _("dataset version")
        verbose_name_plural = _("dataset versions")
        constraints = [
            models.UniqueConstraint(fields=["dataset", "number"], name="labeling_version_once")
        ]

    def __str__(self) -> str:
        return f"v{self.number}"


class Split(models.TextChoices):
    TRAIN = "train", _("train")
    VALIDATION = "validation", _("validation")
    TEST = "test", _("test")


class VersionRow(TenantModel):
    """One row of a frozen version: a copy, so that editing or deleting the example changes nothing.

    `subject` is copied as well: erasure must find this row after the example is gone.
    """

    subject_path = "subject"
    frozen_columns: ClassVar[tuple[str, ...]] = (
        "tenant_id", "version_id", "split", "position", "payload", "subject",
    )  # fmt: skip

    version = models.ForeignKey(DatasetVersion, on_delete=models.CASCADE, related_name="rows")
    split = models.CharField(_("split"), max_length=10, choices=Split)
    position = models.PositiveIntegerField(_("position"))
    example = models.ForeignKey(
        Example, on_delete=models.SET_NULL, null=True, blank=True, related_name="version_rows"
    )
    payload = models.JSONField(_("row"))
    subject = models.CharField(_("whose data"), max_length=MAX_ID_CHARACTERS, blank=True)

    objects: ClassVar[VersionRowManager] = VersionRowManager()

    class Meta(TenantModel.Meta):
        verbose_name = _("row of a version")
        verbose_name_plural = _("rows of versions")
        constraints = [
            models.UniqueConstraint(
                fields=["version", "split", "position"], name="labeling_versionrow_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["tenant", "subject"],
                name="labeling_versionrow_subject",
                condition=~models.Q(subject=""),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.split} {self.position}"
