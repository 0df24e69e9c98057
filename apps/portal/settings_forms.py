"""What is asked in the settings of a tenant, and to open one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.permissions import CAPABILITIES_OF_ROLE, SCOPES_OF_KEYS, capabilities_of
from apps.portal import rights
from tenancy import quotas
from tenancy.models import Membership, Role, Tenant

LASTS = {"30": _("30 days"), "90": _("90 days"), "365": _("1 year"), "": _("no end")}


def roles_to_give(membership: Membership) -> list[tuple[str, str]]:
    """Nobody gives away more than they hold."""
    held = capabilities_of(membership)
    return [(role.value, str(role.label)) for role in Role if CAPABILITIES_OF_ROLE[role] <= held]


class RoleForm(forms.Form):
    role = forms.ChoiceField(label=_("Role"), widget=forms.RadioSelect)

    def __init__(self, *args: Any, giver: Membership, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["role"].choices = roles_to_give(giver)  # type: ignore[attr-defined]

    @property
    def explained(self) -> list[tuple[Any, str]]:
        """Each radio with what the role may do."""
        radios = self["role"].subwidgets
        return [(radio, rights.of_role(str(radio.data["value"]))) for radio in radios]


class InviteForm(RoleForm):
    email = forms.EmailField(
        label=_("E-mail address"), widget=forms.EmailInput(attrs={"autocomplete": "off"})
    )
    field_order = ["email", "role"]


class KeyForm(forms.Form):
    name = forms.CharField(
        label=_("Name"), max_length=100, help_text=_("Which program holds it: “website”, “CI”.")
    )
    scopes = forms.MultipleChoiceField(
        label=_("What it may do"), widget=forms.CheckboxSelectMultiple
    )
    lasts = forms.ChoiceField(
        label=_("Ends after"), choices=list(LASTS.items()), required=False, initial="90"
    )

    def __init__(self, *args: Any, giver: Membership, **options: Any) -> None:
        super().__init__(*args, **options)
        held = capabilities_of(giver)
        self.fields["scopes"].choices = [  # type: ignore[attr-defined]
            (scope, rights.name(scope)) for scope in SCOPES_OF_KEYS if scope in held
        ]

    @property
    def explained(self) -> list[tuple[Any, str]]:
        boxes = self["scopes"].subwidgets
        return [(box, rights.explanation(str(box.data["value"]))) for box in boxes]

    @property
    def expires_at(self) -> datetime | None:
        days = self.cleaned_data["lasts"]
        return timezone.now() + timedelta(days=int(days)) if days else None


class KeyLimitsForm(forms.Form):
    """Limits of a key beside the tenant's own. Left empty: the tenant's alone hold."""

    requests_per_minute = forms.IntegerField(
        label=_("Requests a minute"),
        min_value=0,
        max_value=quotas.MOST_OF_KEYS["requests_per_minute"],
        required=False,
    )
    tokens_per_minute = forms.IntegerField(
        label=_("Tokens a minute"),
        min_value=0,
        max_value=quotas.MOST_OF_KEYS["tokens_per_minute"],
        required=False,
    )
    tokens_per_month = forms.IntegerField(
        label=_("Tokens a month"),
        min_value=0,
        max_value=quotas.MOST_OF_KEYS["tokens_per_month"],
        required=False,
    )
    concurrent_generations = forms.IntegerField(
        label=_("Answers at once"),
        min_value=0,
        max_value=quotas.MOST_OF_KEYS["concurrent_generations"],
        required=False,
    )


class TenantForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=200)
    language = forms.ChoiceField(
        label=_("Language"),
        choices=settings.LANGUAGES,
        help_text=_(
            "Of mails and of what Parley writes by itself. Everybody reads the pages in their own."
        ),
    )
    rise_colour = forms.ChoiceField(
        label=_("Colours of change"), choices=Tenant.Rise.choices, widget=forms.RadioSelect
    )


class OpenTenantForm(forms.Form):
    """A new company: its name, its address, its language."""

    name = forms.CharField(
        label=_("Name of the company"),
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "organization", "data-slugs": "id_slug"}),
    )
    slug = forms.RegexField(
        r"^[a-z0-9][a-z0-9-]*$",
        label=_("Address"),
        max_length=63,
        error_messages={"invalid": _("Small letters, digits and hyphens, such as “acme-support”.")},
        help_text=_("Small letters, digits and hyphens. It is a part of model names and stays."),
        widget=forms.TextInput(attrs={"autocapitalize": "none", "spellcheck": "false"}),
    )
    language = forms.ChoiceField(label=_("Language"), choices=settings.LANGUAGES)
