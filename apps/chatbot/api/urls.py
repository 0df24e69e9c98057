"""The addresses of the chatbot's API, below /api/v1/."""

from django.urls import path
from rest_framework.routers import SimpleRouter

from apps.chatbot.api.articles import ArticleVersionViewSet, ArticleViewSet
from apps.chatbot.api.contacts import ContactViewSet
from apps.chatbot.api.conversations import ConversationViewSet, FeedbackViewSet
from apps.chatbot.api.exports import ConversationExportViewSet
from apps.chatbot.api.inboxes import IdentityKeyViewSet, InboxViewSet
from apps.chatbot.api.learning import GapViewSet, TestQuestionViewSet, TestRunViewSet
from apps.chatbot.api.numbers import NumbersViewSet
from apps.chatbot.api.questions import QuestionViewSet
from apps.chatbot.api.replies import ReplyViewSet
from apps.chatbot.api.trials import ReviewViewSet, TrialViewSet
from apps.chatbot.api.views import HistoryViewSet

router = SimpleRouter(use_regex_path=False)
for prefix, viewset in (
    ("history-imports", HistoryViewSet),
    ("inboxes", InboxViewSet),
    ("identity-keys", IdentityKeyViewSet),
    ("articles", ArticleViewSet),
    ("article-versions", ArticleVersionViewSet),
    ("contacts", ContactViewSet),
    ("conversations", ConversationViewSet),
    ("conversation-exports", ConversationExportViewSet),
    ("feedback", FeedbackViewSet),
    ("questions", QuestionViewSet),
    ("knowledge-gaps", GapViewSet),
    ("test-questions", TestQuestionViewSet),
    ("test-runs", TestRunViewSet),
    ("candidate-trials", TrialViewSet),
    ("answer-reviews", ReviewViewSet),
    ("canned-replies", ReplyViewSet),
):
    router.register(prefix, viewset, basename=prefix.removesuffix("s"))

numbers = NumbersViewSet.as_view({"get": "retrieve"})
urlpatterns = [path("support-numbers/", numbers, name="support-numbers"), *router.urls]
