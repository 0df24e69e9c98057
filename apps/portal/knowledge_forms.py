"""What is asked for an article, and for a question to try."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _

from apps.chatbot.models import Article, Inbox
from apps.chatbot.services.knowledge import MOST_BODY

MOST_QUESTIONS = 50
LANGUAGE = RegexValidator(
    r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z", _("Write a code such as en, zh or zh-hant.")
)


class ListForm(forms.Form):
    """How the list of articles is narrowed; what makes no sense narrows nothing."""

    text = forms.CharField(max_length=200, required=False)
    state = forms.ChoiceField(choices=Article.State.choices, required=False)
    language = forms.CharField(max_length=10, required=False)


class LinesField(forms.CharField):
    """One a line -> a list without blanks and copies."""

    widget = forms.Textarea(attrs={"rows": 3})

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value

    def clean(self, value: Any) -> Any:
        # The validators (length, NUL) read the text; a list would pass them unread.
        text = super().clean(value)
        return list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


class ArticleForm(forms.Form):
    title = forms.CharField(label=_("Title"), max_length=300)
    language = forms.CharField(
        label=_("Language"),
        max_length=10,
        validators=[LANGUAGE],
        help_text=_("Such as en or zh. Each language has articles of its own."),
    )
    body = forms.CharField(
        label=_("Text"),
        max_length=MOST_BODY,
        help_text=_("Markdown: # for a heading, - for a list, ** around what is bold."),
        widget=forms.Textarea(attrs={"rows": 18}),
    )
    questions = LinesField(
        label=_("Other ways to ask for it"),
        max_length=10_000,
        required=False,
        help_text=_("One a line, as visitors would say it. They help to find the article."),
    )
    is_curated = forms.BooleanField(
        label=_("Give this text as the answer, word for word"),
        required=False,
        help_text=_("Where a question is like enough to the title, no model is asked."),
    )
    # The version that the writer had before them.
    seen = forms.IntegerField(min_value=0, required=False, widget=forms.HiddenInput)

    def clean_questions(self) -> list[str]:
        found: list[str] = self.cleaned_data["questions"]
        if len(found) > MOST_QUESTIONS:
            raise forms.ValidationError(_("At most %(most)d.") % {"most": MOST_QUESTIONS})
        return found


class TrialForm(forms.Form):
    q = forms.CharField(label=_("Question of a visitor"), max_length=1000)
    inbox: Any = forms.ModelChoiceField(
        label=_("By the rules of the inbox"),
        queryset=None,
        required=False,
        empty_label=_("a new inbox"),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Asked for now, in the scope of the request.
        self.fields["inbox"].queryset = Inbox.objects.order_by("name", "pk")  # type: ignore[attr-defined]
