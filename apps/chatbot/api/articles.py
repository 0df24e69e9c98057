"""`/api/v1/articles` and `/api/v1/article-versions`."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import OuterRef, QuerySet, Subquery
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.permissions import ANNOTATE
from apps.chatbot.api.base import ChatbotViewSet, named
from apps.chatbot.models import Article, ArticleVersion
from apps.chatbot.services.knowledge import (
    MOST_BODY,
    archive_article,
    publish_article,
    write_article,
)
from common.api import EmptySerializer, ListQuery, StrictSerializer
from common.errors import ConflictError

# --- In ------------------------------------------------------------------------------------------


class LinesField(serializers.ListField):
    child = serializers.CharField(max_length=300)

    def __init__(self, **options: Any) -> None:
        super().__init__(max_length=50, required=False, **options)


class ChangedArticleSerializer(StrictSerializer):
    title = serializers.CharField(max_length=300, required=False)
    body = serializers.CharField(max_length=MOST_BODY, required=False, help_text="Markdown.")
    language = serializers.RegexField(
        r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=10, required=False
    )
    questions = LinesField(help_text="Other ways to ask for it.")
    tags = LinesField()
    is_curated = serializers.BooleanField(
        required=False, help_text="Its text is given as the answer, word for word."
    )
    seen = serializers.IntegerField(
        min_value=0,
        max_value=2**31 - 1,
        required=False,
        help_text="The number of the version you had before you: where there is a newer one, "
        "nothing is saved (`article_changed`).",
    )


class NewArticleSerializer(ChangedArticleSerializer):
    title = serializers.CharField(max_length=300)
    body = serializers.CharField(max_length=MOST_BODY, help_text="Markdown.")
    external_id = serializers.CharField(
        max_length=200, required=False, help_text="Its id in your system, once a language."
    )
    translation_of = serializers.UUIDField(required=False, allow_null=True)
    seen = None  # type: ignore[assignment]


class PublishSerializer(StrictSerializer):
    version = serializers.IntegerField(
        min_value=1, max_value=2**31 - 1, required=False, help_text="None given: the newest."
    )


class ArticlesQuery(ListQuery):
    state = serializers.ChoiceField(choices=Article.State.choices, required=False)
    language = serializers.CharField(max_length=10, required=False)
    external_id = serializers.CharField(max_length=200, required=False)
    is_curated = serializers.BooleanField(required=False)


class ArticleVersionsQuery(ListQuery):
    article = serializers.UUIDField(required=False)


# --- Out -----------------------------------------------------------------------------------------


class ArticleSerializer(serializers.ModelSerializer[Article]):
    """Without its text, for lists."""

    questions: Any = serializers.ListField(child=serializers.CharField(), read_only=True)
    tags: Any = serializers.ListField(child=serializers.CharField(), read_only=True)
    sources: Any = serializers.ListField(child=serializers.JSONField(), read_only=True)
    published = serializers.IntegerField(
        source="published.number",
        default=None,
        read_only=True,
        allow_null=True,
        help_text="The number of the version that answers come from.",
    )
    newest = serializers.IntegerField(
        source="newest_number",
        read_only=True,
        allow_null=True,
        help_text="The number of the version that was saved last.",
    )

    class Meta:
        model = Article
        fields = (
            "id", "title", "language", "state", "is_curated", "questions", "tags", "sources",
            "external_id", "translation_of", "published", "newest", "updated_at", "created_at",
        )  # fmt: skip
        read_only_fields = fields


class ArticleWithBodySerializer(ArticleSerializer):
    body = serializers.CharField(
        source="newest_body", read_only=True, allow_null=True, help_text="Of the newest version."
    )

    class Meta(ArticleSerializer.Meta):
        fields: Any = (*ArticleSerializer.Meta.fields, "body")
        read_only_fields: Any = fields


class ArticleVersionSerializer(serializers.ModelSerializer[ArticleVersion]):
    class Meta:
        model = ArticleVersion
        fields = ("id", "article", "number", "title", "author", "created_at")
        read_only_fields = fields


class ArticleVersionWithBodySerializer(ArticleVersionSerializer):
    class Meta(ArticleVersionSerializer.Meta):
        fields: Any = (*ArticleVersionSerializer.Meta.fields, "body")
        read_only_fields: Any = fields


# --- Views -------------------------------------------------------------------------------------


class ArticleViewSet(ChatbotViewSet):
    """What the company knows: drafts, and what answers come from."""

    model = Article
    serializer_class = ArticleWithBodySerializer
    queries = {"list": ArticlesQuery}
    needs = ChatbotViewSet.needs | dict.fromkeys(
        ("create", "partial_update", "publish", "archive"), ANNOTATE
    )

    def get_serializer_class(self) -> type[serializers.Serializer[Any]]:
        return ArticleSerializer if self.action == "list" else ArticleWithBodySerializer

    def get_queryset(self) -> QuerySet[Any]:
        newest = ArticleVersion.objects.filter(article=OuterRef("pk")).order_by("-number")
        return Article.objects.select_related("published").annotate(
            newest_number=Subquery(newest.values("number")[:1]),
            newest_body=Subquery(newest.values("body")[:1]),
        )

    @extend_schema(request=NewArticleSerializer, responses={201: ArticleWithBodySerializer})
    def create(self, request: Request) -> Response:
        """A draft: no answer comes from it before it is published."""
        asked = self.input_as(NewArticleSerializer)
        if asked.get("translation_of"):
            asked["translation_of"] = named(Article, "translation_of", pk=asked["translation_of"])
        return self._written(asked, None, 201)

    @extend_schema(request=ChangedArticleSerializer)
    def partial_update(self, request: Request, pk: UUID) -> Response:
        """Another text is the next version; answers come from what is published until it is too."""
        article = self.get_object()
        asked = self.input_as(ChangedArticleSerializer)
        kept = {
            "title": article.title,
            "body": article.newest_body or "",
            "language": article.language,
        }
        return self._written(kept | asked, article, 200)

    @extend_schema(request=PublishSerializer, responses={200: ArticleWithBodySerializer})
    @action(detail=True, methods=["post"])
    def publish(self, request: Request, pk: UUID) -> Response:
        """The next question is answered from it."""
        article = self.get_object()
        number = self.input_as(PublishSerializer).get("version")
        version = None
        if number is not None:
            version = named(ArticleVersion, "version", article=article, number=number)
        return self._again(publish_article(article=article, version=version))

    @extend_schema(request=EmptySerializer, responses={200: ArticleWithBodySerializer})
    @action(detail=True, methods=["post"])
    def archive(self, request: Request, pk: UUID) -> Response:
        """No answer comes from it until it is published again."""
        self.input_as(EmptySerializer)
        return self._again(archive_article(article=self.get_object()))

    def _written(self, text: dict[str, Any], article: Article | None, status: int) -> Response:
        try:
            with transaction.atomic():
                saved = write_article(article=article, actor=self.actor, **text)
        except IntegrityError:
            raise ConflictError(
                "article_exists",
                _("There is an article of this id in this language already."),
                field="external_id",
            ) from None
        return self._again(saved, status)

    def _again(self, article: Article, status: int = 200) -> Response:
        """With the number and the text of what is newest now."""
        return self.answer(self.get_queryset().get(pk=article.pk), status)


class ArticleVersionViewSet(ChatbotViewSet):
    """Every text that an article ever had: answers cite passages of exactly one of them."""

    model = ArticleVersion
    queries = {"list": ArticleVersionsQuery}

    def get_serializer_class(self) -> type[serializers.Serializer[Any]]:
        listed = self.action == "list"
        return ArticleVersionSerializer if listed else ArticleVersionWithBodySerializer
