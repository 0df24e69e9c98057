"""What the widget, the desk and the API may do with conversations and answers."""

from .answers import claim_answer, end_answer, give_back, keep_writing
from .attachments import check_attachments, forget_attachments, receive_attachment
from .conversations import (
    MOST_CHARACTERS,
    append_event,
    begin_conversation,
    change_state,
    hand_back,
    hand_off,
    judge_message,
    post_message,
    withdraw_answers,
)
from .desk import (
    agents,
    assign,
    note_overdue_conversations,
    reopen,
    snooze,
    take_over,
    tenants_with_overdue_conversations,
    tenants_with_sleep_over,
    wake_conversations,
)
from .file_tickets import forget_tickets
from .history import (
    check_history_anew,
    erase_past_customer,
    receive_history,
    start_history,
)
from .learning import (
    dismiss_gap,
    learn_from_conversations,
    resolve_quiet,
    tenants_gone_quiet,
    tenants_with_conversations_to_learn_from,
    tenants_with_gaps,
)
from .lessons import make_lessons
from .mails import send_mails
from .meaning import read_passages, tenants_with_unread_passages
from .mentions import see_mentions
from .presence import SAID_EVERY, note_presence, others_at
from .ratings import rate_conversation
from .reviews import review_answer
from .rounds import (
    give_out_conversations,
    is_here,
    note_seen,
    set_available,
    tenants_with_conversations_to_give_out,
)

__all__ = [
    "MOST_CHARACTERS",
    "SAID_EVERY",
    "agents",
    "append_event",
    "assign",
    "begin_conversation",
    "change_state",
    "check_attachments",
    "check_history_anew",
    "claim_answer",
    "dismiss_gap",
    "end_answer",
    "erase_past_customer",
    "forget_attachments",
    "forget_tickets",
    "give_back",
    "give_out_conversations",
    "hand_back",
    "hand_off",
    "is_here",
    "judge_message",
    "keep_writing",
    "learn_from_conversations",
    "make_lessons",
    "note_overdue_conversations",
    "note_presence",
    "note_seen",
    "others_at",
    "post_message",
    "rate_conversation",
    "read_passages",
    "receive_attachment",
    "receive_history",
    "reopen",
    "resolve_quiet",
    "review_answer",
    "see_mentions",
    "send_mails",
    "set_available",
    "snooze",
    "start_history",
    "take_over",
    "tenants_gone_quiet",
    "tenants_with_conversations_to_give_out",
    "tenants_with_conversations_to_learn_from",
    "tenants_with_gaps",
    "tenants_with_overdue_conversations",
    "tenants_with_sleep_over",
    "tenants_with_unread_passages",
    "wake_conversations",
    "withdraw_answers",
]
