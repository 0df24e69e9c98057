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

    def __init__(
        self,
        *,
        body: dict[str, str] | None = None,
        query: dict[str, str] | None = None,
        own_answers: bool = True,
        **ids: str,
    ) -> None:
        for name, value in (("ids", ids), ("body", body or {}), ("query", query or {})):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "own_answers", own_answers)


DATASET, VERSION = "labeling.Dataset", "labeling.DatasetVersion"
EXAMPLE = "labeling.Example"
JOB, CHECKPOINT = "gpt_core.FineTuningJob", "gpt_core.Checkpoint"
EVALUATION, DEPLOYMENT = "gpt_core.Evaluation", "gpt_core.Deployment"

KNOWN: dict[str, Route] = {
    # accounts
    "api/v1/members/": Route(),
    "api/v1/members/<uuid:pk>/": Route(pk="tenancy.Membership", body={"role": "=viewer"}),
    "api/v1/invitations/": Route(body={"email": "=li@example.com", "role": "=viewer"}),
    "api/v1/invitations/<uuid:pk>/": Route(pk="tenancy.Invitation"),
    "api/v1/keys/": Route(body={"name": "=k"}),
    "api/v1/keys/<uuid:pk>/": Route(pk="accounts.ApiKey"),
    # labeling
    "api/v1/datasets/": Route(body={"name": "=客服"}),
    "api/v1/datasets/<uuid:pk>/": Route(pk=DATASET, body={"name": "=客服"}),
    "api/v1/datasets/<uuid:pk>/import/": Route(pk=DATASET),
    "api/v1/datasets/<uuid:pk>/freeze/": Route(pk=DATASET),
    "api/v1/datasets/<uuid:pk>/export/": Route(pk=DATASET),
    "api/v1/examples/": Route(query={"dataset": DATASET}),
    "api/v1/examples/<uuid:pk>/": Route(pk=EXAMPLE),
    "api/v1/examples/<uuid:pk>/annotate/": Route(pk=EXAMPLE, body={"verdict": "=accept"}),
    "api/v1/examples/<uuid:pk>/annotations/": Route(pk=EXAMPLE),
    "api/v1/versions/": Route(query={"dataset": DATASET}),
    "api/v1/versions/<uuid:pk>/": Route(pk=VERSION),
    "api/v1/versions/<uuid:pk>/rows/": Route(pk=VERSION),
    "api/v1/versions/<uuid:pk>/export/": Route(pk=VERSION),
    "api/v1/imports/": Route(query={"dataset": DATASET}),
    "api/v1/imports/<uuid:pk>/": Route(pk="labeling.ImportRun"),
    # gpt_core
    "api/v1/bases/": Route(),
    # Base models are everybody's.
    "api/v1/bases/<uuid:pk>/": Route(pk=DATASET, own_answers=False),
    "api/v1/jobs/": Route(body={"dataset_version": VERSION, "deployment": "=support"}),
    "api/v1/jobs/<uuid:pk>/": Route(pk=JOB),
    "api/v1/jobs/<uuid:pk>/cancel/": Route(pk=JOB),
    "api/v1/jobs/<uuid:pk>/pause/": Route(pk=JOB),
    "api/v1/jobs/<uuid:pk>/resume/": Route(pk=JOB),
    "api/v1/jobs/<uuid:pk>/retry/": Route(pk=JOB),
    "api/v1/jobs/<uuid:pk>/events/": Route(pk=JOB),
    "api/v1/jobs/<uuid:pk>/metrics/": Route(pk=JOB),
    "api/v1/checkpoints/": Route(),
    "api/v1/checkpoints/<uuid:pk>/": Route(pk=CHECKPOINT),
    "api/v1/checkpoints/<uuid:pk>/evaluate/": Route(pk=CHECKPOINT),
    "api/v1/evaluations/": Route(),
    "api/v1/evaluations/<uuid:pk>/": Route(pk=EVALUATION),
    "api/v1/evaluations/<uuid:pk>/cancel/": Route(pk=EVALUATION),
    "api/v1/deployments/": Route(),
    "api/v1/deployments/<uuid:pk>/": Route(pk=DEPLOYMENT),
    "api/v1/deployments/promote/": Route(body={"checkpoint": CHECKPOINT}),
    "api/v1/deployments/<uuid:pk>/roll-back/": Route(pk=DEPLOYMENT),
    "api/v1/deployments/<uuid:pk>/changes/": Route(pk=DEPLOYMENT),
    # portal
    "": Route(),
    "preferences/theme/": Route(body={"theme": "=dark"}),
    "t/<slug:slug>/": Route(),
    "t/<slug:slug>/datasets/": Route(),
    "t/<slug:slug>/datasets/<uuid:dataset_id>/": Route(dataset_id=DATASET),
    "t/<slug:slug>/datasets/<uuid:dataset_id>/versions/<int:number>/": Route(
        dataset_id=DATASET, number="=1"
    ),
    "t/<slug:slug>/jobs/": Route(),
    "t/<slug:slug>/jobs/<uuid:job_id>/": Route(job_id=JOB),
    "t/<slug:slug>/jobs/<uuid:job_id>/live/": Route(job_id=JOB),
    "t/<slug:slug>/jobs/<uuid:job_id>/curve/": Route(job_id=JOB),
    "t/<slug:slug>/jobs/<uuid:job_id>/cancel/": Route(job_id=JOB),
    "t/<slug:slug>/jobs/<uuid:job_id>/pause/": Route(job_id=JOB),
    "t/<slug:slug>/jobs/<uuid:job_id>/resume/": Route(job_id=JOB),
    "t/<slug:slug>/jobs/<uuid:job_id>/retry/": Route(job_id=JOB),
    "t/<slug:slug>/models/": Route(),
    "t/<slug:slug>/checkpoints/<uuid:checkpoint_id>/promote/": Route(
        checkpoint_id=CHECKPOINT, body={"reason": "=because I say so"}
    ),
    "t/<slug:slug>/checkpoints/<uuid:checkpoint_id>/evaluate/": Route(checkpoint_id=CHECKPOINT),
    "t/<slug:slug>/deployments/<uuid:deployment_id>/roll-back/": Route(deployment_id=DEPLOYMENT),
    "t/<slug:slug>/playground/": Route(query={"checkpoint": CHECKPOINT}),
    "t/<slug:slug>/playground/stream/": Route(
        body={
            "checkpoint": CHECKPOINT,
            "side": "=base",
            "temperature": "=0",
            "max_tokens": "=1",
            "messages": '=[{"role": "user", "content": "在吗"}]',
        }
    ),
}

# Routes of others, known by how they begin. Every id in them is tried as if it could be ours.
FAMILIES: dict[str, str] = {
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
