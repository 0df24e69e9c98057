"""The admin's rail: by what an operator looks for, each entry for whoever may see it."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

# Words of unfold's own that it has no Chinese for.
UNFOLDS = (gettext_noop("Type to search"), gettext_noop("Search apps and models..."))
PAGES = ("parley_queues", "parley_engines")
# (title, icon, name of the address, the right to see it)
Entry = tuple[str, str, str, str]


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    """UNFOLD's SIDEBAR navigation."""
    groups: list[tuple[str, list[Entry]]] = [
        ("", [(_("Overview"), "dashboard", "index", "")]),
        (
            _("Tenants"),
            [
                (_("Tenants"), "apartment", "tenancy_tenant", "tenancy.view_tenant"),
                (_("People"), "person", "accounts_user", "accounts.view_user"),
                (_("Memberships"), "badge", "tenancy_membership", "tenancy.view_membership"),
                (_("API keys"), "key", "accounts_apikey", "accounts.view_apikey"),
            ],
        ),
        (
            _("Work"),
            [
                (_("Queues"), "queue", "parley_queues", "gpt_core.view_finetuningjob"),
                (_("Fine-tuning jobs"), "model_training", "gpt_core_finetuningjob",
                 "gpt_core.view_finetuningjob"),
                (_("Evaluations"), "balance", "gpt_core_evaluation", "gpt_core.view_evaluation"),
                (_("Exports"), "download", "gpt_core_export", "gpt_core.view_export"),
                (_("Imports"), "upload_file", "labeling_importrun", "labeling.view_importrun"),
            ],
        ),
        (
            _("Models"),
            [
                (_("Engines"), "memory", "parley_engines", "gpt_core.view_basemodel"),
                (_("Base models"), "deployed_code", "gpt_core_basemodel", "gpt_core.view_basemodel"),
                (_("Checkpoints"), "save", "gpt_core_checkpoint", "gpt_core.view_checkpoint"),
                (_("Deployments"), "rocket_launch", "gpt_core_deployment",
                 "gpt_core.view_deployment"),
            ],
        ),
        (
            _("Trail"),
            [
                (_("Webhooks"), "webhook", "webhooks_webhookendpoint",
                 "webhooks.view_webhookendpoint"),
                (_("Deliveries"), "outgoing_mail", "webhooks_webhookdelivery",
                 "webhooks.view_webhookdelivery"),
                (_("Audit log"), "receipt_long", "tenancy_auditentry", "tenancy.view_auditentry"),
            ],
        ),
    ]  # fmt: skip
    shown = []
    for title, entries in groups:
        items = [
            {
                "title": name,
                "icon": icon,
                "link": _address(place),
                "active": _is_here(request.path, place),
            }
            for name, icon, place, right in entries
            if not right or request.user.has_perm(right)
        ]
        if items:
            shown.append({"title": title, "separator": bool(title), "items": items})
    return shown


def stylesheet(request: HttpRequest) -> str:
    """Of our own pages among unfold's."""
    return static("css/admin.css")


def _is_here(path: str, place: str) -> bool:
    """A page of ours stands below a list without being of it."""
    address = _address(place)
    if place.startswith(("parley_", "index")):
        return path == address
    return path.startswith(address) and path not in map(_address, PAGES)


def _address(place: str) -> str:
    is_list = not place.startswith(("parley_", "index"))
    return reverse(f"admin:{place}_changelist" if is_list else f"admin:{place}")
