"""The list of articles: what is looked for, how many there are of each state, and one page of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.utils.http import urlencode

from apps.chatbot.models import Article, ArticleVersion
from apps.portal.knowledge_forms import ListForm

PER_PAGE = 50


class KnowledgePage:
    """`given` are the parameters of the address."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.given = given
        form = ListForm(given)
        form.is_valid()
        self.text: str = form.cleaned_data.get("text", "")
        self.state: str = form.cleaned_data.get("state", "")
        self.language: str = form.cleaned_data.get("language", "")

    @cached_property
    def total(self) -> int:
        return Article.objects.count()

    @cached_property
    def languages(self) -> list[tuple[str, int]]:
        """Each with its number of articles, the most frequent first."""
        found = Article.objects.order_by().values_list("language").annotate(n=Count("pk"))
        return sorted(found, key=lambda pair: (-pair[1], pair[0]))

    @cached_property
    def states(self) -> list[tuple[str, str, int, str]]:
        """(state, its name, how many of what is looked for, address)."""
        counts = dict(self._asked_for().values_list("state").annotate(n=Count("pk")))
        return [
            (one.value, str(one.label), counts.get(one.value, 0), self._address(state=one.value))
            for one in Article.State
        ]

    @property
    def count_of_all_states(self) -> int:
        return sum(count for _state, _name, count, _address in self.states)

    @property
    def address_of_all_states(self) -> str:
        return self._address(state="")

    @cached_property
    def page(self) -> Page[Any]:
        newest = ArticleVersion.objects.filter(article=OuterRef("pk")).order_by("-number")
        found = self._asked_for().select_related("published")
        if self.state:
            found = found.filter(state=self.state)
        found = found.annotate(newest_number=Subquery(newest.values("number")[:1]))
        return Paginator(found.order_by("-updated_at", "pk"), PER_PAGE).get_page(
            self.given.get("page")
        )

    def _asked_for(self) -> QuerySet[Article]:
        """By text and language, whatever the state."""
        found = Article.objects.order_by()
        if self.language:
            found = found.filter(language=self.language)
        if self.text:
            # A text that an article had long ago is no reason to find it.
            newest = ArticleVersion.objects.filter(article=OuterRef("pk")).order_by("-number")
            found = found.annotate(newest_body=Subquery(newest.values("body")[:1])).filter(
                Q(title__icontains=self.text) | Q(newest_body__icontains=self.text)
            )
        return found

    def _address(self, **changed: str) -> str:
        kept = {"text": self.text, "language": self.language, "state": self.state} | changed
        return "?" + urlencode({name: value for name, value in kept.items() if value})
