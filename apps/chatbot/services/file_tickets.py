"""How a member gets a visitor's file from the origin of uploads: with a ticket, for there is no cookie."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.core import signing
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import User
from apps.chatbot.models import Attachment, FileTicket
from common.errors import ApplicationError
from tenancy.models import Membership, Tenant
from tenancy.scope import tenant_scope

LASTS = timedelta(seconds=60)
_SALT = "apps.chatbot.file_ticket"


class TicketError(ApplicationError):
    """The ticket opens nothing. It is made anew by asking for the file once more."""

    status_hint = 403


def issue_ticket(*, attachment: Attachment, user: User) -> str:
    """For this member to fetch this file with: once, within LASTS."""
    row = FileTicket.objects.create(attachment=attachment, user=user)
    return signing.dumps([str(row.tenant_id), str(row.pk)], salt=_SALT)


def redeem_ticket(ticket: str) -> Attachment:
    """The file that it is for. Raises TicketError: ticket_expired, ticket_used, ticket_invalid (it is
    not from here, or its member has left)."""
    try:
        tenant, pk = (UUID(one) for one in signing.loads(ticket, salt=_SALT, max_age=LASTS))
    except signing.SignatureExpired:
        raise TicketError("ticket_expired", _("This link has ended. Ask for it again.")) from None
    except (signing.BadSignature, ValueError, TypeError, AttributeError):
        raise _invalid() from None
    with tenant_scope(tenant):
        row = FileTicket.objects.select_related("attachment").filter(pk=pk).first()
        if row is None or not _is_member(row.user_id):
            raise _invalid()
        # Of two at once the database lets one through.
        if not FileTicket.objects.filter(pk=pk, used_at=None).update(used_at=timezone.now()):
            raise TicketError("ticket_used", _("This link was used already. Ask for it again."))
        return row.attachment


def forget_tickets() -> int:
    """Delete those that have ended. Returns how many. Needs a system scope."""
    ended = FileTicket.objects.filter(created_at__lt=timezone.now() - 2 * LASTS)
    return int(ended.delete()[0])


def _is_member(user: UUID) -> bool:
    members = Membership.objects.filter(user__is_active=True, tenant__state=Tenant.State.ACTIVE)
    return bool(members.filter(user=user).exists())


def _invalid() -> TicketError:
    return TicketError("ticket_invalid", _("This link opens nothing."))
