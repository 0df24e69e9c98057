"""The tables of the support chatbot: inboxes, conversations, answers, knowledge."""

from .answers import Answer, AnswerState, Citation, Feedback
from .attachments import Attachment, FileTicket
from .conversations import Contact, Conversation, Event, Handoff, Message
from .desk import Attendance, CannedReply, Mention, Presence
from .exports import ConversationExport
from .gaps import Gap, GapQuestion
from .history import (
    HistoryRun,
    HistorySource,
    MinedPair,
    PastConversation,
    PastPart,
    RedactionRules,
    SealedOriginals,
)
from .inboxes import Inbox
from .knowledge import Article, ArticleVersion, Knowledge, Passage
from .lessons import LessonRun
from .mails import ReplyMail
from .questions import Question
from .regression import RegressionCase, RegressionResult, RegressionRun
from .reviews import AnswerReview
from .suggestions import Suggestion
from .trials import CandidateTrial, TrialPlace
from .visits import IdentityKey, WidgetSession

__all__ = [
    "Answer",
    "AnswerReview",
    "AnswerState",
    "Article",
    "ArticleVersion",
    "Attachment",
    "Attendance",
    "CandidateTrial",
    "CannedReply",
    "Citation",
    "Contact",
    "Conversation",
    "ConversationExport",
    "Event",
    "Feedback",
    "FileTicket",
    "Gap",
    "GapQuestion",
    "Handoff",
    "HistoryRun",
    "HistorySource",
    "IdentityKey",
    "Inbox",
    "Knowledge",
    "LessonRun",
    "Mention",
    "Message",
    "MinedPair",
    "Passage",
    "PastConversation",
    "PastPart",
    "Presence",
    "Question",
    "RedactionRules",
    "RegressionCase",
    "RegressionResult",
    "RegressionRun",
    "ReplyMail",
    "SealedOriginals",
    "Suggestion",
    "TrialPlace",
    "WidgetSession",
]
