"""Labelling tasks as JSON: what may be asked of them, the next items, the answers."""

from typing import Any, ClassVar
from uuid import UUID

from django.utils.translation import gettext_lazy as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from accounts.permissions import ANNOTATE, MANAGE, TRAIN, VIEW, capabilities_of
from common.api import ListQuery, StrictSerializer
from common.errors import ApplicationError
from labeling.api.serializers import AnnotationSerializer
from labeling.api.views import LabelingViewSet
from labeling.models import Annotation, Dataset, LabelingTask
from labeling.queue.agreement import measured_agreement
from labeling.queue.leases import MOST_AT_ONCE, left_for, take_items
from labeling.queue.payloads import payloads, take_in
from labeling.queue.progress import figures_of
from labeling.queue.setup import change_task, create_task, keyed
from labeling.queue.suggestions import ring_if_low
from labeling.rows import MAX_LABEL_CHARACTERS, MAX_LABELS, MAX_ROW_CHARACTERS

UUID_TEXT = r"^[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$"
Mode, State = LabelingTask.Mode, LabelingTask.State


class TaskSettings(StrictSerializer):
    """What may be said of a task at any time. `labels` are names, or "k: name" for the key k."""

    name = serializers.CharField(max_length=200, required=False)
    guideline = serializers.CharField(max_length=50_000, required=False, allow_blank=True)
    mode = serializers.ChoiceField(choices=Mode.choices, required=False)
    labels = serializers.ListField(
        child=serializers.CharField(max_length=MAX_LABEL_CHARACTERS + 3), max_length=MAX_LABELS,
        required=False,
    )  # fmt: skip
    overlap = serializers.IntegerField(min_value=1, max_value=9, required=False)
    uncertain_share = serializers.IntegerField(min_value=0, max_value=100, required=False)
    diverse_share = serializers.IntegerField(min_value=0, max_value=100, required=False)
    random_share = serializers.IntegerField(min_value=0, max_value=100, required=False)
    gold_count = serializers.IntegerField(min_value=0, max_value=100_000, required=False)
    gold_share = serializers.IntegerField(min_value=0, max_value=50, required=False)
    suggester = serializers.CharField(max_length=160, required=False, allow_blank=True)


class NewTaskSerializer(TaskSettings):
    dataset = serializers.UUIDField()
    name = serializers.CharField(max_length=200)


class ChangedTaskSerializer(TaskSettings):
    state = serializers.ChoiceField(choices=State.choices, required=False)


class TakeSerializer(StrictSerializer):
    count = serializers.IntegerField(min_value=1, max_value=MOST_AT_ONCE, default=5)


class AnswerSerializer(StrictSerializer):
    """`client_id` is the sender's own: the same answer sent again is stored once."""

    client_id = serializers.RegexField(UUID_TEXT)
    item = serializers.UUIDField(required=False)
    verdict = serializers.ChoiceField(choices=Annotation.Verdict.choices)
    labels = serializers.ListField(
        child=serializers.CharField(max_length=MAX_LABEL_CHARACTERS), max_length=MAX_LABELS,
        required=False,
    )  # fmt: skip
    edited = serializers.CharField(
        max_length=MAX_ROW_CHARACTERS, required=False, allow_null=True, trim_whitespace=False
    )
    seconds = serializers.FloatField(min_value=0, max_value=86_400, required=False)
    shown = serializers.CharField(max_length=160, required=False, allow_blank=True)
    undoes = serializers.RegexField(UUID_TEXT, required=False)


class TasksQuery(ListQuery):
    dataset = serializers.UUIDField(required=False)
    state = serializers.ChoiceField(choices=State.choices, required=False)


class TakenSerializer(serializers.Serializer[Any]):
    items = serializers.ListField(child=serializers.DictField())
    left = serializers.IntegerField(allow_null=True, help_text="Items that wait for the caller.")


class TaskSerializer(serializers.ModelSerializer[LabelingTask]):
    figures = serializers.SerializerMethodField()

    class Meta:
        model = LabelingTask
        fields = (
            "id", "dataset", "name", "guideline", "mode", "labels", "overlap", "uncertain_share",
            "diverse_share", "random_share", "gold_count", "gold_share", "suggester", "state",
            "built_at", "created_at", "figures",
        )  # fmt: skip
        read_only_fields = fields

    def get_figures(self, task: LabelingTask) -> dict[str, Any]:
        """Items, done, disputed, answers, and the mean of an answer's seconds."""
        return figures_of([task])[task.pk]


class LabelingTaskViewSet(LabelingViewSet):
    """Datasets put before people: made and changed by whoever may train, answered by annotators."""

    model = LabelingTask
    serializer_class = TaskSerializer
    queries = {"list": TasksQuery}
    needs: ClassVar[dict[str, str]] = LabelingViewSet.needs | {
        "create": TRAIN,
        "partial_update": TRAIN,
        "take": ANNOTATE,
        "answers": ANNOTATE,
        "agreement": VIEW,
    }

    @extend_schema(request=NewTaskSerializer, responses={201: TaskSerializer})
    def create(self, request: Request) -> Response:
        asked = self.input_as(NewTaskSerializer)
        dataset = Dataset.objects.filter(pk=asked.pop("dataset")).first()
        if dataset is None:
            raise serializers.ValidationError({"dataset": [_("There is no such dataset.")]})
        labels = keyed(asked.pop("labels", []))
        by = request.user if isinstance(request.user, User) else None
        task = create_task(dataset=dataset, created_by=by, labels=labels, **asked)
        return self.answer(task, status=201)

    @extend_schema(request=ChangedTaskSerializer)
    def partial_update(self, request: Request, pk: UUID) -> Response:
        task = self.get_object()
        asked = self.input_as(ChangedTaskSerializer)
        if "labels" in asked:
            asked["labels"] = keyed(asked["labels"])
        return self.answer(change_task(task=task, **asked))

    @extend_schema(request=TakeSerializer, responses={200: TakenSerializer})
    @action(detail=True, methods=["post"])
    def take(self, request: Request, pk: UUID) -> Response:
        """The caller's next items, leased to them; asking again gives the unanswered ones again."""
        task, annotator = self.get_object(), self.annotator()
        items = take_items(
            task=task, annotator=annotator, count=self.input_as(TakeSerializer)["count"]
        )
        ring_if_low(task)
        return Response({"items": payloads(items), "left": left_for(task, annotator)})

    @extend_schema(
        request=AnswerSerializer, responses={200: AnnotationSerializer, 201: AnnotationSerializer}
    )
    @action(detail=True, methods=["post"])
    def answers(self, request: Request, pk: UUID) -> Response:
        """One answer, or one taken back (verdict "undo"). 201 for a new one, 200 for a known one."""
        annotation, new = take_in(
            task=self.get_object(), annotator=self.annotator(), sent=self.input_as(AnswerSerializer)
        )
        return Response(AnnotationSerializer(annotation).data, status=201 if new else 200)

    @extend_schema(responses={200: OpenApiTypes.OBJECT})
    @action(detail=True)
    def agreement(self, request: Request, pk: UUID) -> Response:
        """Alpha with its interval, kappa by pair, confusion. What gold says of people, to managers."""
        return Response(agreement_for(self.get_object(), self.credential))

    def annotator(self) -> User:
        """Answers are somebody's: a key answers for the person who made it."""
        if not isinstance(self.request.user, User):
            raise ApplicationError(
                "annotator_needed", _("This key belongs to nobody who could answer."),
                status_hint=403,
            )  # fmt: skip
        return self.request.user


def agreement_for(task: LabelingTask, holder: Any) -> dict[str, Any]:
    """The measured agreement as this holder may see it."""
    found = {name: value for name, value in measured_agreement(task).items() if name != "state"}
    if MANAGE not in capabilities_of(holder):
        kept = ("id", "answers", "skipped", "seconds", "agreed")
        found["people"] = [{name: one[name] for name in kept} for one in found["people"]]
    return found
