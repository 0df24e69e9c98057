"""Every route, and where in it an id can stand. A new route wants one line in KNOWN.

`Route(pk="app.Model")` names, for each part of the address, whose id stands there; `body` and
`query` do the same for fields and parameters. A value that starts with "=" stands for itself.
`t/<slug:slug>/` and the header X-Tenant need no word: they are tried everywhere they can stand.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RegexPattern
from django.utils.regex_helper import normalize

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


@dataclass(frozen=True)
class Route:
    ids: dict[str, str] = field(default_factory=dict)
    body: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    # Everybody's: nothing of a tenant stands behind it, which is checked all the same.
    own_answers: bool = True
    # Asks nobody who they are.
    is_open: bool = False

    def __init__(
        self,
        *,
        body: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        own_answers: bool = True,
        is_open: bool = False,
        **ids: str,
    ) -> None:
        for name, value in (("ids", ids), ("body", body or {}), ("query", query or {})):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "own_answers", own_answers)
        object.__setattr__(self, "is_open", is_open)


DATASET, VERSION = "labeling.Dataset", "labeling.DatasetVersion"
LABELING_TASK = "labeling.LabelingTask"
EXAMPLE, IMPORT = "labeling.Example", "labeling.ImportRun"
JOB, CHECKPOINT = "gpt_core.FineTuningJob", "gpt_core.Checkpoint"
CONVERSATION, CONTACT = "chatbot.Conversation", "chatbot.Contact"
WEBHOOK = "webhooks.WebhookEndpoint"
HISTORY, PAST = "chatbot.HistoryRun", "chatbot.PastConversation"
CHAT_EXPORT = "chatbot.ConversationExport"
ARTICLE, INBOX = "chatbot.Article", "chatbot.Inbox"
EVALUATION, DEPLOYMENT = "gpt_core.Evaluation", "gpt_core.Deployment"
# Below /v1/ an id is written with its prefix, and a model by its name.
FILE = "file-%labeling.StoredFile"
EXPORT = "gpt_core.Export"
FT_JOB = "ftjob-%gpt_core.FineTuningJob"
INBOX_FORM = {
    "name": "=官网",
    "allowed_origins": "=https://www.example.com",
    "language": "=zh-hans",
    "identity": "=both",
    "answer_threshold": "=0.5",
    "curated_threshold": "=0.9",
    "capacity": "=8",
}

REPLY_FORM = {"shortcut": "=谢谢", "language": "=zh-hans", "text": "=不客气，{{contact.name}}。"}

KNOWN: dict[str, Route] = {
    # config: about the platform, nothing of a tenant
    "health/live": Route(own_answers=False),
    "health/ready": Route(own_answers=False),
    "metrics": Route(own_answers=False),
    # accounts
    "api/v1/schema/": Route(is_open=True),
    "api/v1/docs/": Route(is_open=True),
    "api/v1/tenant/": Route(body={"name": "=公司"}),
    "api/v1/members/": Route(),
    "api/v1/members/<uuid:pk>/": Route(pk="tenancy.Membership", body={"role": "=viewer"}),
    "api/v1/invitations/": Route(body={"email": "=li@example.com", "role": "=viewer"}),
    "api/v1/invitations/<uuid:pk>/": Route(pk="tenancy.Invitation"),
    "api/v1/keys/": Route(body={"name": "=k"}),
    "api/v1/keys/<uuid:pk>/": Route(pk="accounts.ApiKey"),
    "api/v1/keys/<uuid:pk>/limits/": Route(pk="accounts.ApiKey"),
    "api/v1/keys/<uuid:pk>/usage/": Route(pk="accounts.ApiKey"),
    "api/v1/usage/": Route(),
    "api/v1/audit/": Route(),
    "api/v1/audit/<uuid:pk>/": Route(pk="tenancy.AuditEntry"),
    "api/v1/webhooks/": Route(body={"url": "=https://example.com/"}),
    "api/v1/webhooks/<uuid:pk>/": Route(pk=WEBHOOK),
    "api/v1/webhooks/<uuid:pk>/enable/": Route(pk=WEBHOOK),
    "api/v1/webhooks/<uuid:pk>/disable/": Route(pk=WEBHOOK),
    "api/v1/webhooks/<uuid:pk>/rotate-secret/": Route(pk=WEBHOOK),
    "api/v1/webhooks/<uuid:pk>/test/": Route(pk=WEBHOOK),
    "api/v1/webhook-deliveries/": Route(query={"endpoint": WEBHOOK}),
    "api/v1/webhook-deliveries/<uuid:pk>/": Route(pk="webhooks.WebhookDelivery"),
    "api/v1/webhook-deliveries/<uuid:pk>/replay/": Route(pk="webhooks.WebhookDelivery"),
    # labeling
    "api/v1/datasets/": Route(body={"name": "=客服"}),
    "api/v1/datasets/<uuid:pk>/": Route(pk=DATASET, body={"name": "=客服"}),
    "api/v1/datasets/<uuid:pk>/import/": Route(pk=DATASET),
    "api/v1/datasets/<uuid:pk>/freeze/": Route(pk=DATASET),
    "api/v1/datasets/<uuid:pk>/export/": Route(pk=DATASET),
    "api/v1/labels/": Route(body={"dataset": DATASET, "name": "=退货"}, query={"dataset": DATASET}),
    "api/v1/labels/<uuid:pk>/": Route(pk="labeling.Label", body={"name": "=退货"}),
    "api/v1/examples/": Route(
        body={"dataset": DATASET, "content": '={"text": "在吗"}', "labels": '=["x"]'},
        query={"dataset": DATASET, "import_run": "labeling.ImportRun"},
    ),
    "api/v1/examples/<uuid:pk>/": Route(pk=EXAMPLE, body={"state": "=accepted"}),
    "api/v1/examples/<uuid:pk>/annotate/": Route(pk=EXAMPLE, body={"verdict": "=accept"}),
    "api/v1/examples/<uuid:pk>/annotations/": Route(pk=EXAMPLE),
    "api/v1/annotations/": Route(
        query={"dataset": DATASET, "example": EXAMPLE, "annotator": "accounts.User"}
    ),
    "api/v1/annotations/<uuid:pk>/": Route(pk="labeling.Annotation"),
    "api/v1/versions/": Route(query={"dataset": DATASET}),
    "api/v1/versions/<uuid:pk>/": Route(pk=VERSION),
    "api/v1/versions/<uuid:pk>/rows/": Route(pk=VERSION),
    "api/v1/versions/<uuid:pk>/export/": Route(pk=VERSION),
    "api/v1/imports/": Route(query={"dataset": DATASET}),
    "api/v1/imports/<uuid:pk>/": Route(pk="labeling.ImportRun"),
    "api/v1/history-imports/": Route(
        body={"dataset": DATASET, "source": "=zendesk"}, query={"dataset": DATASET}
    ),
    "api/v1/history-imports/<uuid:pk>/": Route(pk=HISTORY),
    "api/v1/history-imports/<uuid:pk>/start/": Route(pk=HISTORY),
    "api/v1/history-imports/<uuid:pk>/cancel/": Route(pk=HISTORY),
    "api/v1/inboxes/": Route(body={"name": "=官网", "deployment": DEPLOYMENT}),
    "api/v1/inboxes/<uuid:pk>/": Route(pk=INBOX, body={"deployment": DEPLOYMENT}),
    "api/v1/identity-keys/": Route(body={"inbox": INBOX}, query={"inbox": INBOX}),
    "api/v1/identity-keys/<uuid:pk>/": Route(pk="chatbot.IdentityKey"),
    "api/v1/articles/": Route(
        body={"title": "=退货", "body": "=七天内", "translation_of": ARTICLE}
    ),
    "api/v1/articles/<uuid:pk>/": Route(pk=ARTICLE, body={"title": "=退货"}),
    "api/v1/articles/<uuid:pk>/publish/": Route(pk=ARTICLE),
    "api/v1/articles/<uuid:pk>/archive/": Route(pk=ARTICLE),
    "api/v1/article-versions/": Route(query={"article": ARTICLE}),
    "api/v1/article-versions/<uuid:pk>/": Route(pk="chatbot.ArticleVersion"),
    "api/v1/contacts/": Route(),
    "api/v1/contacts/<uuid:pk>/": Route(pk=CONTACT, body={"name": "=李雷"}),
    "api/v1/conversations/": Route(
        query={"inbox": INBOX, "contact": CONTACT, "assignee": "accounts.User"}
    ),
    "api/v1/conversations/<uuid:pk>/": Route(pk=CONVERSATION),
    "api/v1/conversations/<uuid:pk>/messages/": Route(
        pk=CONVERSATION,
        body={"text": "=您好", "client_id": "=3f2c8f6e-8a54-4c31-9a41-0b6f0d1d6a01"},
    ),
    "api/v1/conversations/<uuid:pk>/take-over/": Route(pk=CONVERSATION),
    "api/v1/conversations/<uuid:pk>/assign/": Route(
        pk=CONVERSATION, body={"assignee": "accounts.User"}
    ),
    "api/v1/conversations/<uuid:pk>/snooze/": Route(
        pk=CONVERSATION, body={"until": "=2099-01-01T09:00:00Z"}
    ),
    "api/v1/conversations/<uuid:pk>/resolve/": Route(pk=CONVERSATION),
    "api/v1/conversations/<uuid:pk>/reopen/": Route(pk=CONVERSATION),
    "api/v1/conversations/<uuid:pk>/hand-back/": Route(pk=CONVERSATION),
    "api/v1/conversation-exports/": Route(
        body={"form": "=ndjson", "inbox": INBOX, "contact": CONTACT},
        query={"inbox": INBOX, "contact": CONTACT},
    ),
    "api/v1/conversation-exports/<uuid:pk>/": Route(pk=CHAT_EXPORT),
    "api/v1/conversation-exports/<uuid:pk>/cancel/": Route(pk=CHAT_EXPORT),
    "api/v1/conversation-exports/<uuid:pk>/download/": Route(pk=CHAT_EXPORT),
    "api/v1/knowledge-gaps/": Route(query={"inbox": INBOX}),
    "api/v1/knowledge-gaps/<uuid:pk>/": Route(pk="chatbot.Gap"),
    "api/v1/knowledge-gaps/<uuid:pk>/dismiss/": Route(pk="chatbot.Gap"),
    "api/v1/test-questions/": Route(
        body={"inbox": INBOX, "question": "=可以退货吗", "article": ARTICLE}, query={"inbox": INBOX}
    ),
    "api/v1/test-questions/<uuid:pk>/": Route(pk="chatbot.RegressionCase"),
    "api/v1/test-runs/": Route(
        body={"checkpoint": CHECKPOINT, "inbox": INBOX},
        query={"checkpoint": CHECKPOINT, "inbox": INBOX},
    ),
    "api/v1/test-runs/<uuid:pk>/": Route(pk="chatbot.RegressionRun"),
    "api/v1/candidate-trials/": Route(
        body={"inbox": INBOX, "checkpoint": CHECKPOINT, "share": "=10"},
        query={"inbox": INBOX, "checkpoint": CHECKPOINT},
    ),
    "api/v1/candidate-trials/<uuid:pk>/": Route(pk="chatbot.CandidateTrial"),
    "api/v1/candidate-trials/<uuid:pk>/stop/": Route(pk="chatbot.CandidateTrial"),
    "api/v1/answer-reviews/": Route(),
    "api/v1/answer-reviews/<uuid:pk>/": Route(pk="chatbot.AnswerReview"),
    "api/v1/answer-reviews/<uuid:pk>/judge/": Route(
        pk="chatbot.AnswerReview", body={"verdict": "=right"}
    ),
    "api/v1/canned-replies/": Route(body=REPLY_FORM),
    "api/v1/canned-replies/<uuid:pk>/": Route(pk="chatbot.CannedReply", body=REPLY_FORM),
    "api/v1/support-numbers/": Route(query={"inbox": INBOX}),
    "api/v1/feedback/": Route(query={"message": "chatbot.Message"}),
    "api/v1/feedback/<uuid:pk>/": Route(pk="chatbot.Feedback"),
    "api/v1/questions/": Route(body={"inbox": INBOX, "text": "=在吗"}, query={"inbox": INBOX}),
    "api/v1/questions/<uuid:pk>/": Route(pk="chatbot.Question"),
    "api/v1/labeling-tasks/": Route(
        body={"dataset": DATASET, "name": "=客服", "mode": "=review"}, query={"dataset": DATASET}
    ),
    "api/v1/labeling-tasks/<uuid:pk>/": Route(pk=LABELING_TASK, body={"name": "=客服"}),
    "api/v1/labeling-tasks/<uuid:pk>/take/": Route(pk=LABELING_TASK),
    "api/v1/labeling-tasks/<uuid:pk>/answers/": Route(
        pk=LABELING_TASK,
        body={
            "client_id": "=3f2c8f6e-8a54-4c31-9a41-0b6f0d1d6a01",
            "item": "labeling.QueueItem",
            "verdict": "=skip",
        },
    ),
    "api/v1/labeling-tasks/<uuid:pk>/agreement/": Route(pk=LABELING_TASK),
    # gpt_core
    "api/v1/bases/": Route(),
    # Base models are everybody's.
    "api/v1/bases/<uuid:pk>/": Route(pk=DATASET, own_answers=False),
    "api/v1/jobs/": Route(
        body={"dataset_version": VERSION, "deployment": "=support"},
        query={"dataset_version": VERSION},
    ),
    "api/v1/jobs/<uuid:pk>/": Route(pk=JOB),
    "api/v1/jobs/<uuid:pk>/cancel/": Route(pk=JOB),
    "api/v1/jobs/<uuid:pk>/pause/": Route(pk=JOB),
    "api/v1/jobs/<uuid:pk>/resume/": Route(pk=JOB),
    "api/v1/jobs/<uuid:pk>/retry/": Route(pk=JOB),
    "api/v1/jobs/<uuid:pk>/events/": Route(pk=JOB),
    "api/v1/jobs/<uuid:pk>/metrics/": Route(pk=JOB),
    "api/v1/checkpoints/": Route(query={"job": JOB, "dataset_version": VERSION}),
    "api/v1/checkpoints/<uuid:pk>/": Route(pk=CHECKPOINT),
    "api/v1/checkpoints/<uuid:pk>/evaluate/": Route(pk=CHECKPOINT),
    "api/v1/evaluations/": Route(body={"checkpoint": CHECKPOINT}, query={"checkpoint": CHECKPOINT}),
    "api/v1/evaluations/<uuid:pk>/": Route(pk=EVALUATION),
    "api/v1/evaluations/<uuid:pk>/cancel/": Route(pk=EVALUATION),
    "api/v1/checkpoints/<uuid:pk>/exports/": Route(pk=CHECKPOINT, body={"kind": "=merged"}),
    "api/v1/exports/": Route(query={"checkpoint": CHECKPOINT}),
    "api/v1/exports/<uuid:pk>/": Route(pk=EXPORT),
    "api/v1/exports/<uuid:pk>/cancel/": Route(pk=EXPORT),
    "api/v1/exports/<uuid:pk>/download/": Route(pk=EXPORT),
    "api/v1/deployments/": Route(),
    "api/v1/deployments/<uuid:pk>/": Route(pk=DEPLOYMENT),
    "api/v1/deployments/promote/": Route(body={"checkpoint": CHECKPOINT}),
    "api/v1/deployments/<uuid:pk>/roll-back/": Route(pk=DEPLOYMENT),
    "api/v1/deployments/<uuid:pk>/changes/": Route(pk=DEPLOYMENT),
    # the OpenAI-compatible API
    "v1/files": Route(query={"after": FILE}),
    "v1/files/<str:file_id>": Route(file_id=FILE),
    "v1/files/<str:file_id>/content": Route(file_id=FILE),
    "v1/fine_tuning/jobs": Route(
        body={"model": "=smollm2-135m-instruct", "training_file": FILE},
        query={"after": FT_JOB},
    ),
    "v1/fine_tuning/jobs/estimate": Route(
        body={"model": "=smollm2-135m-instruct", "training_file": FILE},
    ),
    "v1/fine_tuning/jobs/<str:job_id>": Route(job_id=FT_JOB),
    "v1/fine_tuning/jobs/<str:job_id>/cancel": Route(job_id=FT_JOB),
    "v1/fine_tuning/jobs/<str:job_id>/pause": Route(job_id=FT_JOB),
    "v1/fine_tuning/jobs/<str:job_id>/resume": Route(job_id=FT_JOB),
    "v1/fine_tuning/jobs/<str:job_id>/events": Route(job_id=FT_JOB),
    "v1/fine_tuning/jobs/<str:job_id>/checkpoints": Route(job_id=FT_JOB),
    "v1/models": Route(),
    "v1/models/<path:name>": Route(name="name%gpt_core.Checkpoint"),
    "v1/chat/completions": Route(
        body={
            "model": "name%gpt_core.Checkpoint",
            "messages": '=[{"role": "user", "content": "在吗"}]',
        }
    ),
    "v1/completions": Route(body={"model": "name%gpt_core.Deployment", "prompt": "=在吗"}),
    "v1/^.*$": Route(),
    # portal
    "": Route(),
    "preferences/theme/": Route(body={"theme": "=dark"}),
    "new/": Route(body={"name": "=公司", "slug": "=neu", "language": "=en"}),
    "join/": Route(body={"code": "=x"}),
    "join/accept/": Route(),
    "join/forget/": Route(),
    # Opened by a ticket alone; tests/apps/portal/test_desk_files.py tries it.
    "uploads/": Route(query={"ticket": "chatbot.FileTicket"}),
    "t/<slug:slug>/": Route(),
    "t/<slug:slug>/find/": Route(query={"q": DATASET}),
    "t/<slug:slug>/settings/": Route(
        body={"name": "=公司", "language": "=en", "rise_colour": "=red"}
    ),
    "t/<slug:slug>/settings/leave/": Route(),
    "t/<slug:slug>/settings/members/": Route(),
    "t/<slug:slug>/settings/members/invite/": Route(
        body={"email": "=li@example.com", "role": "=viewer"}
    ),
    "t/<slug:slug>/settings/members/<uuid:membership_id>/": Route(
        membership_id="tenancy.Membership", body={"role": "=viewer"}
    ),
    "t/<slug:slug>/settings/members/<uuid:membership_id>/remove/": Route(
        membership_id="tenancy.Membership"
    ),
    "t/<slug:slug>/settings/invitations/<uuid:invitation_id>/renew/": Route(
        invitation_id="tenancy.Invitation"
    ),
    "t/<slug:slug>/settings/invitations/<uuid:invitation_id>/revoke/": Route(
        invitation_id="tenancy.Invitation"
    ),
    "t/<slug:slug>/settings/keys/": Route(),
    "t/<slug:slug>/settings/keys/new/": Route(
        body={"name": "=网站", "scopes": "=view", "lasts": "="}
    ),
    "t/<slug:slug>/settings/keys/<uuid:key_id>/revoke/": Route(key_id="accounts.ApiKey"),
    "t/<slug:slug>/settings/keys/<uuid:key_id>/": Route(
        key_id="accounts.ApiKey", body={"requests_per_minute": "=3"}
    ),
    "t/<slug:slug>/settings/keys/<uuid:key_id>/days/": Route(key_id="accounts.ApiKey"),
    "t/<slug:slug>/settings/usage/": Route(),
    "t/<slug:slug>/settings/usage/days/": Route(),
    "t/<slug:slug>/settings/webhooks/": Route(),
    "t/<slug:slug>/settings/webhooks/new/": Route(body={"url": "=https://example.com/钩"}),
    "t/<slug:slug>/settings/webhooks/<uuid:endpoint_id>/": Route(
        endpoint_id=WEBHOOK, body={"url": "=https://example.com/x"}
    ),
    "t/<slug:slug>/settings/webhooks/<uuid:endpoint_id>/live/": Route(endpoint_id=WEBHOOK),
    "t/<slug:slug>/settings/webhooks/<uuid:endpoint_id>/rotate/": Route(endpoint_id=WEBHOOK),
    "t/<slug:slug>/settings/webhooks/<uuid:endpoint_id>/switch/": Route(
        endpoint_id=WEBHOOK, body={"to": "=off"}
    ),
    "t/<slug:slug>/settings/webhooks/<uuid:endpoint_id>/test/": Route(endpoint_id=WEBHOOK),
    "t/<slug:slug>/settings/webhooks/<uuid:endpoint_id>/delete/": Route(endpoint_id=WEBHOOK),
    "t/<slug:slug>/settings/deliveries/<uuid:delivery_id>/replay/": Route(
        delivery_id="webhooks.WebhookDelivery"
    ),
    "t/<slug:slug>/settings/audit/": Route(query={"actor": "accounts.User"}),
    "t/<slug:slug>/settings/audit/export/": Route(query={"actor": "accounts.User"}),
    "t/<slug:slug>/knowledge/": Route(),
    "t/<slug:slug>/knowledge/new/": Route(
        query={"gap": "chatbot.Gap"},
        body={"title": "=退货", "language": "=zh", "body": "=七天内", "questions": "="},
    ),
    "t/<slug:slug>/knowledge/import/": Route(body={"language": "=zh"}),
    "t/<slug:slug>/knowledge/preview/": Route(body={"body": "=# 退货"}),
    "t/<slug:slug>/knowledge/try/": Route(query={"q": ARTICLE, "inbox": INBOX}),
    "t/<slug:slug>/knowledge/unanswered/": Route(),
    "t/<slug:slug>/knowledge/unanswered/<uuid:gap_id>/dismiss/": Route(gap_id="chatbot.Gap"),
    "t/<slug:slug>/knowledge/<uuid:article_id>/": Route(
        article_id=ARTICLE, body={"title": "=退货", "language": "=zh", "body": "=七天内"}
    ),
    "t/<slug:slug>/knowledge/<uuid:article_id>/archive/": Route(article_id=ARTICLE),
    "t/<slug:slug>/numbers/": Route(query={"inbox": INBOX}),
    "t/<slug:slug>/numbers/days/": Route(query={"inbox": INBOX}),
    "t/<slug:slug>/numbers/review/": Route(),
    "t/<slug:slug>/numbers/review/<uuid:review_id>/": Route(
        review_id="chatbot.AnswerReview", body={"verdict": "=right"}
    ),
    "t/<slug:slug>/tests/": Route(
        body={"inbox": INBOX, "question": "=可以退货吗", "article": ARTICLE}
    ),
    "t/<slug:slug>/tests/run/": Route(body={"checkpoint": CHECKPOINT}),
    "t/<slug:slug>/tests/runs/<uuid:run_id>/": Route(run_id="chatbot.RegressionRun"),
    "t/<slug:slug>/tests/<uuid:case_id>/remove/": Route(case_id="chatbot.RegressionCase"),
    "t/<slug:slug>/tests/keep/review/<uuid:review_id>/": Route(review_id="chatbot.AnswerReview"),
    "t/<slug:slug>/tests/keep/article/<uuid:article_id>/": Route(article_id=ARTICLE),
    "t/<slug:slug>/tests/keep/example/<uuid:example_id>/": Route(example_id=EXAMPLE),
    "t/<slug:slug>/contacts/": Route(query={"text": CONTACT}),
    "t/<slug:slug>/contacts/<uuid:contact_id>/": Route(contact_id=CONTACT),
    "t/<slug:slug>/contacts/<uuid:contact_id>/export/": Route(contact_id=CONTACT),
    "t/<slug:slug>/contacts/<uuid:contact_id>/erase/": Route(
        contact_id=CONTACT, body={"name": "=no such name"}
    ),
    "t/<slug:slug>/conversations/exports/": Route(body={"form": "=csv", "inbox": INBOX}),
    "t/<slug:slug>/conversations/exports/live/": Route(),
    "t/<slug:slug>/conversations/exports/<uuid:export_id>/download/": Route(export_id=CHAT_EXPORT),
    "t/<slug:slug>/conversations/exports/<uuid:export_id>/cancel/": Route(export_id=CHAT_EXPORT),
    "t/<slug:slug>/conversations/exports/<uuid:export_id>/delete/": Route(export_id=CHAT_EXPORT),
    "t/<slug:slug>/inboxes/": Route(),
    "t/<slug:slug>/inboxes/new/": Route(body=INBOX_FORM | {"deployment": DEPLOYMENT}),
    "t/<slug:slug>/inboxes/<uuid:inbox_id>/": Route(
        inbox_id=INBOX, body=INBOX_FORM | {"deployment": DEPLOYMENT}
    ),
    "t/<slug:slug>/inboxes/<uuid:inbox_id>/switch/": Route(inbox_id=INBOX, body={"to": "=off"}),
    "t/<slug:slug>/inboxes/<uuid:inbox_id>/trial/": Route(
        inbox_id=INBOX, body={"checkpoint": CHECKPOINT, "share": "=10"}
    ),
    "t/<slug:slug>/trials/<uuid:trial_id>/stop/": Route(trial_id="chatbot.CandidateTrial"),
    "t/<slug:slug>/inboxes/<uuid:inbox_id>/keys/": Route(inbox_id=INBOX),
    "t/<slug:slug>/identity-keys/<uuid:key_id>/retire/": Route(key_id="chatbot.IdentityKey"),
    "t/<slug:slug>/closing/": Route(),
    "t/<slug:slug>/closing/begin/": Route(body={"name": "=no such name"}),
    "t/<slug:slug>/closing/undo/": Route(),
    "t/<slug:slug>/closing/archive/": Route(),
    "t/<slug:slug>/closing/archives/": Route(),
    "t/<slug:slug>/closing/archives/<uuid:archive_id>/": Route(archive_id="gpt_core.TenantArchive"),
    "t/<slug:slug>/datasets/": Route(),
    "t/<slug:slug>/datasets/new/": Route(body={"name": "=客服"}),
    "t/<slug:slug>/datasets/import/": Route(query={"dataset": DATASET}),
    "t/<slug:slug>/imports/<uuid:run_id>/": Route(run_id=IMPORT),
    "t/<slug:slug>/imports/<uuid:run_id>/live/": Route(run_id=IMPORT),
    "t/<slug:slug>/imports/<uuid:run_id>/columns/": Route(
        run_id=IMPORT, body={"preset": "labeling.ImportPreset"}
    ),
    "t/<slug:slug>/imports/<uuid:run_id>/presets/": Route(run_id=IMPORT, body={"name": "=表"}),
    "t/<slug:slug>/imports/<uuid:run_id>/start/": Route(run_id=IMPORT),
    "t/<slug:slug>/imports/<uuid:run_id>/cancel/": Route(run_id=IMPORT),
    "t/<slug:slug>/imports/<uuid:run_id>/lines/": Route(run_id=IMPORT),
    "t/<slug:slug>/history/": Route(),
    "t/<slug:slug>/history/new/": Route(
        body={"dataset": DATASET, "source": "=zendesk"}, query={"dataset": DATASET}
    ),
    "t/<slug:slug>/history/rules/": Route(body={"orders": "=SO-12345", "kept": "=公司"}),
    "t/<slug:slug>/history/<uuid:history_id>/": Route(history_id=HISTORY),
    "t/<slug:slug>/history/<uuid:history_id>/live/": Route(history_id=HISTORY),
    "t/<slug:slug>/history/<uuid:history_id>/source/": Route(history_id=HISTORY),
    "t/<slug:slug>/history/<uuid:history_id>/start/": Route(history_id=HISTORY),
    "t/<slug:slug>/history/<uuid:history_id>/cancel/": Route(history_id=HISTORY),
    "t/<slug:slug>/history/<uuid:history_id>/lines/": Route(history_id=HISTORY),
    "t/<slug:slug>/history/conversations/<uuid:conversation_id>/": Route(conversation_id=PAST),
    "t/<slug:slug>/history/conversations/<uuid:conversation_id>/reveal/": Route(
        conversation_id=PAST
    ),
    "t/<slug:slug>/presets/<uuid:preset_id>/delete/": Route(preset_id="labeling.ImportPreset"),
    "t/<slug:slug>/datasets/<uuid:dataset_id>/freeze/": Route(dataset_id=DATASET),
    "t/<slug:slug>/datasets/<uuid:dataset_id>/lessons/": Route(dataset_id=DATASET),
    "t/<slug:slug>/lessons/<uuid:run_id>/": Route(run_id="chatbot.LessonRun"),
    "t/<slug:slug>/lessons/<uuid:run_id>/cancel/": Route(run_id="chatbot.LessonRun"),
    "t/<slug:slug>/freezes/<uuid:run_id>/": Route(run_id="labeling.FreezeRun"),
    "t/<slug:slug>/freezes/<uuid:run_id>/cancel/": Route(run_id="labeling.FreezeRun"),
    "t/<slug:slug>/datasets/<uuid:dataset_id>/": Route(dataset_id=DATASET),
    "t/<slug:slug>/datasets/<uuid:dataset_id>/settings/": Route(
        dataset_id=DATASET, body={"name": "=客服"}
    ),
    "t/<slug:slug>/datasets/<uuid:dataset_id>/delete/": Route(
        dataset_id=DATASET, body={"name": "=客服"}
    ),
    "t/<slug:slug>/datasets/<uuid:dataset_id>/examples/": Route(
        dataset_id=DATASET, query={"open": EXAMPLE, "run": "labeling.ImportRun"}
    ),
    "t/<slug:slug>/datasets/<uuid:dataset_id>/examples/change/": Route(
        dataset_id=DATASET, body={"action": "=accept"}
    ),
    "t/<slug:slug>/examples/<uuid:example_id>/": Route(example_id=EXAMPLE),
    "t/<slug:slug>/examples/<uuid:example_id>/edit/": Route(
        example_id=EXAMPLE,
        body={"role": "=user", "content": "=在吗", "labels": "="},
    ),
    "t/<slug:slug>/examples/<uuid:example_id>/judge/": Route(
        example_id=EXAMPLE, body={"verdict": "=accept"}
    ),
    "t/<slug:slug>/changes/<uuid:change_id>/": Route(change_id="labeling.BulkChange"),
    "t/<slug:slug>/changes/<uuid:change_id>/undo/": Route(change_id="labeling.BulkChange"),
    "t/<slug:slug>/datasets/<uuid:dataset_id>/versions/<int:number>/compare/": Route(
        dataset_id=DATASET, number="=1"
    ),
    "t/<slug:slug>/datasets/<uuid:dataset_id>/versions/<int:number>/": Route(
        dataset_id=DATASET, number="=1"
    ),
    "t/<slug:slug>/label/": Route(),
    "t/<slug:slug>/label/new/": Route(
        body={"name": "=客服", "dataset": DATASET, "mode": "=review", "overlap": "=1"}
    ),
    "t/<slug:slug>/label/<uuid:task_id>/": Route(task_id=LABELING_TASK),
    "t/<slug:slug>/label/<uuid:task_id>/items/": Route(task_id=LABELING_TASK, body={"count": "=2"}),
    "t/<slug:slug>/label/<uuid:task_id>/answers/": Route(
        task_id=LABELING_TASK, body={"events": "=[]"}
    ),
    "t/<slug:slug>/label/<uuid:task_id>/edit/": Route(
        task_id=LABELING_TASK, body={"dataset": DATASET, "name": "=客服"}
    ),
    "t/<slug:slug>/label/<uuid:task_id>/state/": Route(
        task_id=LABELING_TASK, body={"state": "=paused"}
    ),
    "t/<slug:slug>/label/<uuid:task_id>/agreement/": Route(task_id=LABELING_TASK),
    "t/<slug:slug>/label/<uuid:task_id>/adjudicate/": Route(
        task_id=LABELING_TASK, body={"item": "labeling.QueueItem", "verdict": "=accept"}
    ),
    "t/<slug:slug>/desk/": Route(query={"inbox": INBOX, "assignee": "accounts.User"}),
    "t/<slug:slug>/desk/available/": Route(body={"to": "=on"}),
    "t/<slug:slug>/desk/members/": Route(),
    "t/<slug:slug>/desk/live/": Route(query={"open": CONVERSATION}),
    "t/<slug:slug>/desk/stream/": Route(query={"conversation": CONVERSATION}),
    "t/<slug:slug>/desk/<uuid:conversation_id>/": Route(conversation_id=CONVERSATION),
    "t/<slug:slug>/desk/<uuid:conversation_id>/live/": Route(conversation_id=CONVERSATION),
    "t/<slug:slug>/desk/<uuid:conversation_id>/others/": Route(conversation_id=CONVERSATION),
    "t/<slug:slug>/desk/<uuid:conversation_id>/typing/": Route(conversation_id=CONVERSATION),
    "t/<slug:slug>/desk/<uuid:conversation_id>/say/": Route(
        conversation_id=CONVERSATION,
        body={
            "text": "=您好",
            "client_id": "chatbot.Message",
            "suggestion": "chatbot.Suggestion",
        },
    ),
    # It waits to be looked through, and has no bytes in this world.
    "t/<slug:slug>/desk/files/<uuid:file_id>/": Route(
        file_id="chatbot.Attachment", own_answers=False
    ),
    "t/<slug:slug>/desk/<uuid:conversation_id>/replies/": Route(conversation_id=CONVERSATION),
    "t/<slug:slug>/desk/<uuid:conversation_id>/suggestion/": Route(conversation_id=CONVERSATION),
    "t/<slug:slug>/desk/<uuid:conversation_id>/suggestion/reject/": Route(
        conversation_id=CONVERSATION
    ),
    "t/<slug:slug>/replies/": Route(),
    "t/<slug:slug>/replies/new/": Route(body=REPLY_FORM),
    "t/<slug:slug>/replies/<uuid:reply_id>/": Route(
        reply_id="chatbot.CannedReply", body=REPLY_FORM
    ),
    "t/<slug:slug>/replies/<uuid:reply_id>/delete/": Route(reply_id="chatbot.CannedReply"),
    "t/<slug:slug>/desk/<uuid:conversation_id>/change/": Route(
        conversation_id=CONVERSATION, body={"do": "=give", "assignee": "accounts.User"}
    ),
    "t/<slug:slug>/jobs/": Route(),
    "t/<slug:slug>/jobs/new/": Route(
        # Base models are everybody's; what is none of them is tried in their place.
        body={"version": VERSION, "base": DATASET, "deployment": "=support"},
        query={"version": VERSION},
    ),
    "t/<slug:slug>/jobs/<uuid:job_id>/": Route(job_id=JOB),
    "t/<slug:slug>/jobs/<uuid:job_id>/live/": Route(job_id=JOB),
    "t/<slug:slug>/jobs/<uuid:job_id>/curve/": Route(job_id=JOB),
    "t/<slug:slug>/jobs/<uuid:job_id>/cancel/": Route(job_id=JOB),
    "t/<slug:slug>/jobs/<uuid:job_id>/pause/": Route(job_id=JOB),
    "t/<slug:slug>/jobs/<uuid:job_id>/resume/": Route(job_id=JOB),
    "t/<slug:slug>/jobs/<uuid:job_id>/retry/": Route(job_id=JOB),
    "t/<slug:slug>/models/": Route(),
    "t/<slug:slug>/checkpoints/<uuid:checkpoint_id>/": Route(checkpoint_id=CHECKPOINT),
    "t/<slug:slug>/checkpoints/<uuid:checkpoint_id>/live/": Route(checkpoint_id=CHECKPOINT),
    "t/<slug:slug>/checkpoints/<uuid:checkpoint_id>/export/": Route(
        checkpoint_id=CHECKPOINT, body={"kind": "=merged"}
    ),
    "t/<slug:slug>/exports/<uuid:export_id>/cancel/": Route(export_id=EXPORT),
    "t/<slug:slug>/exports/<uuid:export_id>/delete/": Route(export_id=EXPORT),
    "t/<slug:slug>/exports/<uuid:export_id>/download/": Route(export_id=EXPORT),
    "t/<slug:slug>/checkpoints/<uuid:checkpoint_id>/promote/": Route(
        checkpoint_id=CHECKPOINT, body={"reason": "=because I say so"}
    ),
    "t/<slug:slug>/checkpoints/<uuid:checkpoint_id>/evaluate/": Route(checkpoint_id=CHECKPOINT),
    "t/<slug:slug>/deployments/<uuid:deployment_id>/roll-back/": Route(deployment_id=DEPLOYMENT),
    "t/<slug:slug>/playground/": Route(query={"checkpoint": CHECKPOINT}),
    "t/<slug:slug>/playground/stream/": Route(
        body={
            "model": "checkpoint:%" + CHECKPOINT,
            "temperature": "=0",
            "max_tokens": "=1",
            "messages": '=[{"role": "user", "content": "在吗"}]',
        }
    ),
}

# Routes of others, known by how they begin. Every id in them is tried as if it could be ours.
FAMILIES: dict[str, str] = {
    "demo/": "a page without anything of anybody, for whoever knows a widget's public key",
    "widget/": "visitors with tokens of their own; tests/apps/chatbot/test_widget.py sweeps them",
    "admin/": "the platform's staff looks across tenants; everybody else is tried here",
    "accounts/": "allauth: people and their sessions, no tenant's rows",
    "i18n/": "the language of the reader",
}


def every_route() -> dict[str, str]:
    """Each route as it is written, and the template of its address: {"t/<slug:slug>/": "/t/%(slug)s/"}."""
    return dict(_walk(get_resolver().url_patterns, "", "/"))


def _walk(patterns: Any, written: str, template: str) -> Iterator[tuple[str, str]]:
    for entry in patterns:
        here, filled = written + str(entry.pattern), template + _template(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _walk(entry.url_patterns, here, filled)
        elif isinstance(entry, URLPattern):
            yield here, filled


def _template(pattern: Any) -> str:
    if isinstance(pattern, RegexPattern):
        return normalize(str(pattern))[0][0]
    return re.sub(r"<(?:\w+:)?(\w+)>", r"%(\1)s", str(pattern))


def parameters(template: str) -> list[str]:
    return re.findall(r"%\((\w+)\)s", template)


def family_of(route: str) -> str | None:
    return next((prefix for prefix in FAMILIES if route.startswith(prefix)), None)
