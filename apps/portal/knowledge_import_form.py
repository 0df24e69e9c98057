"""What is asked for an import of articles."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from apps.chatbot.article_files import KINDS
from apps.chatbot.services.article_import import MOST_FILES
from apps.portal.knowledge_forms import LANGUAGE


class _ManyFilesInput(forms.FileInput):
    allow_multiple_selected = True


class _FilesField(forms.FileField):
    """Several files -> a list of them. What is in each is told by the import, file by file."""

    widget = _ManyFilesInput

    def clean(self, data: Any, initial: Any = None) -> list[Any]:
        found = [super(_FilesField, self).clean(one, initial) for one in data or [None]]
        if len(found) > MOST_FILES:
            raise forms.ValidationError(_("At most %(most)d files at once.") % {"most": MOST_FILES})
        return found


class ArticleImportForm(forms.Form):
    uploads = _FilesField(
        label=_("Files"),
        allow_empty_file=True,
        max_length=200,
        widget=_ManyFilesInput(attrs={"accept": ",".join(KINDS)}),
    )
    language = forms.CharField(
        label=_("Language"),
        max_length=10,
        validators=[LANGUAGE],
        help_text=_("Of all files; a table may name another in a column of its own."),
    )
    publish = forms.BooleanField(
        label=_("Publish at once"),
        required=False,
        help_text=_(
            "Otherwise they are drafts, from which no answer comes before you publish them."
        ),
    )
