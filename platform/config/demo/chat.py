"""What the company knows is published, and a chat on another site answers from it."""

from django.utils.translation import gettext as _

from apps.chatbot.models import Article, Inbox
from apps.chatbot.services import knowledge
from gpt_core.models import Deployment

from .company import DEPLOYMENT, LANGUAGE
from .story import Progress, Story

SAVED_AT_ONCE = 50


def publish_knowledge(story: Story, progress: Progress) -> str:
    """Every article of the company. Once; a start that was broken off goes on where it stopped."""
    known = set(Article.objects.exclude(external_id="").values_list("external_id", flat=True))
    articles = list(story.company.articles())
    missing = [one for one in articles if one["external_id"] not in known]
    for start in range(0, len(missing), SAVED_AT_ONCE):
        knowledge.publish_articles(missing[start : start + SAVED_AT_ONCE])
        progress(min(1.0, (start + SAVED_AT_ONCE) / len(missing)), "")
    return _("%(count)d articles are published") % {"count": len(articles)}


def open_chat(story: Story, origin: str) -> Inbox:
    """The inbox of the chat that stands at `origin`, a site that is not Parley's."""
    inbox, _new = Inbox.objects.get_or_create(
        name=story.company.name,
        defaults={
            "deployment": Deployment.objects.filter(name=DEPLOYMENT).first(),
            "language": LANGUAGE,
            "greeting": story.company.greeting,
        },
    )
    if origin not in inbox.allowed_origins:
        inbox.allowed_origins = [*inbox.allowed_origins, origin]
        inbox.save()
    return inbox
