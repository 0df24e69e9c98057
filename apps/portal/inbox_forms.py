"""What is asked for an inbox."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _

from apps.chatbot.models import Inbox
from apps.chatbot.services.inboxes import LANGUAGES, MOST_PHRASES, origins_of
from apps.portal.inbox_team_form import TeamForm
from apps.portal.inbox_visitor_form import VisitorForm
from apps.portal.knowledge_forms import LinesField
from common.errors import ApplicationError
from gpt_core.models import Deployment

ACCENT = "#2c50d0"


class InboxForm(TeamForm, VisitorForm):
    """The whole of it; `rules` is what the service takes."""

    name = forms.CharField(label=_("Name"), max_length=100)
    allowed_origins = LinesField(
        label=_("Sites that may show the widget"),
        max_length=10_000,
        required=False,
        help_text=_(
            "One origin a line, such as https://www.example.com. Compared exactly; empty means nobody."
        ),
        widget=forms.Textarea(attrs={"rows": 3, "spellcheck": "false"}),
    )
    deployment: Any = forms.ModelChoiceField(
        label=_("Answers come from"),
        queryset=None,
        required=False,
        empty_label=_("no model: passages as they stand"),
    )
    language = forms.ChoiceField(
        label=_("Language of the widget"),
        choices=LANGUAGES,
        help_text=_("Where the visitor's page does not say another."),
    )
    greeting = forms.CharField(
        label=_("Greeting"),
        max_length=500,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("The first words in an open widget."),
    )
    answer_threshold = forms.FloatField(
        label=_("Answer from a confidence of"),
        min_value=0,
        max_value=1,
        widget=forms.NumberInput(attrs={"step": "0.05"}),
        help_text=_("0 to 1. Below it a person is fetched. Higher is more careful."),
    )
    curated_threshold = forms.FloatField(
        label=_("Word for word from a likeness of"),
        min_value=0,
        max_value=1,
        widget=forms.NumberInput(attrs={"step": "0.05"}),
        help_text=_("0 to 1. For articles that are marked so."),
    )
    banned_phrases = LinesField(
        label=_("Words that no answer may hold"),
        max_length=10_000,
        required=False,
        help_text=_("One a line. A sentence that holds one is not shown."),
    )
    identity = forms.ChoiceField(label=_("Who may write"), choices=Inbox.Identity.choices)
    accent = forms.CharField(
        label=_("Colour"),
        validators=[RegexValidator(r"^#[0-9a-fA-F]{6}\Z", _("Write it as #2c50d0."))],
        required=False,
        widget=forms.TextInput(attrs={"type": "color"}),
    )
    position = forms.ChoiceField(
        label=_("Corner"), choices=[("right", _("right")), ("left", _("left"))], required=False
    )

    mode = forms.ChoiceField(
        label=_("Light or dark"),
        choices=[
            ("auto", _("as the visitor's device")),
            ("light", _("light")),
            ("dark", _("dark")),
        ],
        required=False,
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Asked for now, in the scope of the request.
        self.fields["deployment"].queryset = Deployment.objects.order_by("name")  # type: ignore[attr-defined]

    @classmethod
    def of(cls, inbox: Inbox, data: Any = None) -> InboxForm:
        """Filled in as the inbox is now, or as a new one would begin."""
        own = {name: getattr(inbox, name) for name in cls.base_fields if hasattr(inbox, name)}
        looks = {
            "accent": inbox.theme.get("accent") or ACCENT,
            "position": inbox.theme.get("position") or "right",
            "mode": inbox.theme.get("mode") or "auto",
        }
        return cls(data, initial=own | looks | cls.filled(inbox))

    def clean_allowed_origins(self) -> list[str]:
        try:
            return origins_of(self.cleaned_data["allowed_origins"])
        except ApplicationError as error:
            raise forms.ValidationError(str(error.detail)) from error

    def clean_banned_phrases(self) -> list[str]:
        found: list[str] = self.cleaned_data["banned_phrases"]
        if len(found) > MOST_PHRASES:
            raise forms.ValidationError(_("At most %(most)d.") % {"most": MOST_PHRASES})
        return found

    def rules(self, inbox: Inbox) -> dict[str, Any]:
        given = dict(self.cleaned_data)
        looks = {name: given.pop(name) for name in ("accent", "position", "mode")}
        given["theme"] = inbox.theme | {name: value for name, value in looks.items() if value}
        return given
