"""The letter to whoever is invited, in the language of the tenant, as text and as HTML.

Sent while the inviter waits and not by a worker: the link is a secret, and a broker would keep it.
"""

from __future__ import annotations

import logging
from smtplib import SMTPException

from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from accounts.models import User
from tenancy.models import Invitation, Tenant

logger = logging.getLogger(__name__)


def send(invitation: Invitation, *, link: str, tenant: Tenant, inviter: User) -> bool:
    """Whether the mail was handed over. Where it was not, the inviter still has the link."""
    with translation.override(tenant.language):
        letter = _letter(invitation, link=link, tenant=tenant, inviter=inviter)
    try:
        return letter.send() > 0
    except (SMTPException, OSError) as error:
        logger.warning("an invitation could not be mailed: %s", type(error).__name__)
        return False


def _letter(
    invitation: Invitation, *, link: str, tenant: Tenant, inviter: User
) -> EmailMultiAlternatives:
    words = {"company": tenant.name, "inviter": str(inviter)}
    subject = _("%(inviter)s invites you to %(company)s on Parley") % words
    role = invitation.get_role_display()
    context = {
        "language": translation.get_language(),
        "subject": subject,
        "greeting": _("Hello,"),
        "what": _("%(inviter)s invites you to join %(company)s on Parley as %(role)s.")
        % {**words, "role": role},
        "how": _("Open this link and accept:"),
        "link": link,
        "button": _("See the invitation"),
        "until": _("It is for %(email)s alone, works once, and ends on %(date)s.")
        % {
            "email": invitation.email,
            "date": date_format(invitation.expires_at, "DATE_FORMAT"),
        },
        "otherwise": _("If you expected no invitation, do nothing: without you it does nothing."),
    }
    letter = EmailMultiAlternatives(
        subject=" ".join(subject.split()),
        body=render_to_string("accounts/mail/invitation.txt", context),
        to=[invitation.email],
    )
    letter.attach_alternative(
        render_to_string("accounts/mail/invitation.html", context), "text/html"
    )
    return letter
