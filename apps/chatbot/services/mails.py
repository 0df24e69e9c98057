"""An agent's words go on by e-mail where the visitor has left before reading them.

Only these words are sent, never what was said before: the address is what a visitor typed, and may be
somebody else's.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from django.core.mail import EmailMessage
from django.db.models import F
from django.utils import timezone, translation
from django.utils.translation import pgettext

from apps.chatbot.doorbell import ring_mailers
from apps.chatbot.models import Conversation, Message, ReplyMail, WidgetSession
from apps.chatbot.widget.languages import language_for
from tenancy.models import Tenant
from tenancy.scope import tenant_scope

logger = logging.getLogger(__name__)

# An open widget is seen every five minutes (widget.events.LONGEST_SECONDS).
PRESENT = timedelta(minutes=6)
LEASE = timedelta(minutes=2)
PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 30, 120, 360))


def put_into_outbox(held: Conversation, message: Message) -> None:
    """At once where the visitor has left; otherwise it waits whether they are seen again."""
    address = held.contact.email
    sessions = WidgetSession.objects.filter(contact=held.contact_id, inbox=held.inbox_id)
    newest = sessions.order_by("-seen_at").first()
    if not address or newest is None:
        return
    now = timezone.now()
    is_gone = newest.seen_at < now - PRESENT
    ReplyMail.objects.create(
        message=message,
        address=address,
        origin=newest.origin,
        due_at=now if is_gone else now + PRESENT,
    )
    if is_gone:
        ring_mailers()


def send_mails() -> int:
    """Send what is due, one after another. Returns how many went out. Needs a system scope."""
    sent = 0
    due = ReplyMail.objects.filter(
        state=ReplyMail.State.WAITING,
        due_at__lte=timezone.now(),
        tenant__state=Tenant.State.ACTIVE,
    )
    for pk, tries in list(due.order_by("due_at").values_list("pk", "tries")[:200]):
        # One UPDATE decides, so that of two workers one goes on.
        now = timezone.now()
        mine = ReplyMail.objects.filter(
            pk=pk, tries=tries, state=ReplyMail.State.WAITING, due_at__lte=now
        )
        if not mine.update(tries=F("tries") + 1, due_at=now + LEASE):
            continue
        mail = ReplyMail.objects.select_related("message__conversation__inbox").get(pk=pk)
        with tenant_scope(mail.tenant_id):
            sent += _attend(mail)
    return sent


def _attend(mail: ReplyMail) -> int:
    """Send it, or see that it need not be sent, or say when to try again."""
    held = mail.message.conversation
    seen = WidgetSession.objects.filter(
        contact=held.contact_id, inbox=held.inbox_id, seen_at__gt=mail.message.created_at
    )
    if seen.exists():
        mail.state = ReplyMail.State.NEEDLESS
    else:
        try:
            letter_of(mail).send()
            mail.state, mail.sent_at = ReplyMail.State.SENT, timezone.now()
        except Exception as error:
            # Whatever a mail server answers, the next try is what is to be done.
            logger.warning("mail %s: %s", mail.pk, type(error).__name__)
            if mail.tries > len(PAUSES):
                mail.state = ReplyMail.State.FAILED
            else:
                mail.due_at = timezone.now() + PAUSES[mail.tries - 1]
    kept = ReplyMail.objects.filter(pk=mail.pk, tries=mail.tries)
    kept.update(state=mail.state, sent_at=mail.sent_at, due_at=mail.due_at)
    return int(mail.state == ReplyMail.State.SENT)


def letter_of(mail: ReplyMail) -> EmailMessage:
    held = mail.message.conversation
    with translation.override(language_for(held.language, held.inbox.language)):
        subject = pgettext("widget", "An answer from %(inbox)s") % {
            "inbox": " ".join(held.inbox.name.split())
        }
        foot = pgettext(
            "widget",
            "You wrote to us at %(origin)s. To answer, open the chat there; mail to this address is not read.",
        ) % {"origin": mail.origin}
    return EmailMessage(
        subject,
        f"{mail.message.text}\n\n-- \n{foot}\n",
        to=[mail.address],
        # The same for each try, so that one that arrived twice is one to its reader.
        headers={"Message-ID": f"<{mail.pk}@parley>"},
    )
