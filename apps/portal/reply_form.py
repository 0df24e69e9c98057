"""What is asked for a canned reply."""

from __future__ import annotations

from django import forms
from django.utils.text import format_lazy
from django.utils.translation import gettext_lazy as _

from apps.chatbot.services import MOST_CHARACTERS
from apps.chatbot.services.inboxes import LANGUAGES
from apps.chatbot.services.replies import LONGEST_SHORTCUT, VARIABLES


class ReplyForm(forms.Form):
    shortcut = forms.CharField(
        label=_("Shortcut"),
        max_length=LONGEST_SHORTCUT,
        help_text=_("What agents type behind the slash, such as thanks or 谢谢."),
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    language = forms.ChoiceField(
        label=_("Language"), choices=[("", _("every language")), *LANGUAGES], required=False
    )
    text = forms.CharField(
        label=_("Text"),
        max_length=MOST_CHARACTERS,
        widget=forms.Textarea(attrs={"rows": 8}),
        help_text=format_lazy(
            _("Filled in when it is used: {names}."),
            names=", ".join(f"{{{{{name}}}}}" for name in VARIABLES),
        ),
    )
