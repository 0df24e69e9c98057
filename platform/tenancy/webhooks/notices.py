"""Telling people that a webhook was switched off, for nobody looks at what is silent."""

import logging
from smtplib import SMTPException

from django.core.mail import send_mail
from django.db import transaction
from django.utils import translation
from django.utils.translation import gettext as _

from tenancy.models import Membership, Role
from tenancy.webhooks.models import WebhookEndpoint

logger = logging.getLogger(__name__)


def tell_disabled(endpoint: WebhookEndpoint) -> None:
    """By mail to those who manage the tenant, in its language, once this is committed."""
    managers = Membership.objects.filter(role__in=[Role.OWNER, Role.ADMIN], user__is_active=True)
    addresses = list(managers.values_list("user__email", flat=True))
    with translation.override(endpoint.tenant.language):
        subject = _("%(tenant)s: a webhook was switched off") % {"tenant": endpoint.tenant.name}
        text = _(
            "The webhook %(url)s was switched off: %(reason)s.\n\n"
            "What happened since then waits. Mend the receiver and switch it on again on the page of "
            "the webhooks."
        ) % {"url": endpoint.url, "reason": endpoint.get_disabled_reason_display()}
    transaction.on_commit(lambda: _send(" ".join(subject.split()), text, addresses))


def _send(subject: str, text: str, addresses: list[str]) -> None:
    for address in addresses:
        try:
            send_mail(subject, text, None, [address])
        except (SMTPException, OSError) as error:
            logger.warning("no mail about a webhook that was switched off: %s", error)
