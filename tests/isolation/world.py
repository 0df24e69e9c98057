"""Two companies, each with a row in every table, and the people and keys that knock at the doors.

Rows are made from the models themselves, so that a new table is in the world on the day it is
made. In company A every text carries a canary; nobody but A may ever see it.
"""

import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from django.db import models
from django.test import Client
from django.utils import timezone

from accounts import services
from accounts.models import User
from accounts.permissions import SCOPES_OF_KEYS
from labeling.services import file_path
from tenancy import guards
from tenancy.fields import TenantField
from tenancy.models import Membership, Tenant
from tenancy.scope import system_scope, tenant_scope
from tests.factories import make_member, make_tenant, make_user

Values = dict[str, Any]


def _chat(canary: str) -> Values:
    content = [
        {"role": "user", "content": canary},
        {"role": "assistant", "content": f"您好 {canary}"},
    ]
    return {"kind": "chat", "content": {"messages": content}, "preference": None}


# What a table wants beyond its columns' types. One line for a table that refuses the made-up row.
SHAPES: dict[str, Callable[[str], Values]] = {
    "labeling.Example": _chat,
    # The mapping names columns of ours.
    "labeling.ImportRun": lambda canary: {"mapping": {}},
    "labeling.ImportPreset": lambda canary: {"mapping": {"question": canary}},
    "labeling.VersionRow": lambda canary: {
        "split": "train",
        "payload": {"id": canary, "prompt": canary, "completion": canary},
    },
    "labeling.StoredFile": lambda canary: {"size": len(canary)},
    "labeling.DatasetVersion": lambda canary: {
        "counts": {"train": 1, "validation": 0, "test": 0, "note": canary},
        "shares": [0.8, 0.1, 0.1],
    },
    "labeling.LabelingTask": lambda canary: {
        "labels": [{"name": canary, "key": "1"}, {"name": "other", "key": "2"}],
        "measured": {},
    },
    # The number of the event that the world makes for it.
    "chatbot.Conversation": lambda canary: {"last_seq": 1},
    # What is no hours and no question is refused before it is kept.
    "chatbot.Inbox": lambda canary: {"hours": {}, "pre_chat": []},
    "chatbot.Question": lambda canary: {"passages": [{"text": canary}]},
    "chatbot.LessonRun": lambda canary: {"counts": {}},
    "chatbot.HistoryRun": lambda canary: {"mapping": {}, "mined": {}, "counts": {}, "redacted": {}},
    "chatbot.RegressionCase": lambda canary: {"must_contain": [canary], "subject": ""},
    "chatbot.RegressionResult": lambda canary: {
        "passed": False,
        "samples": [{"text": canary, "outcome": "generated", "faults": ["refused"]}],
    },
    "labeling.QueueItem": lambda canary: {"gold": None, "before": None},
    "labeling.Suggestion": lambda canary: {
        "label": canary,
        "confidence": 0.5,
        "probabilities": {canary: 0.5, "other": 0.5},
    },
    "gpt_core.Evaluation": lambda canary: {"report": None, "verdict": None},
}


@dataclass
class Company:
    tenant: Tenant
    owner: User
    canary: str
    rows: dict[str, models.Model] = field(default_factory=dict)

    def row(self, label: str) -> models.Model:
        return self.rows[label]


@dataclass
class World:
    """`ours` is the company of whoever knocks; `theirs` is what they must not reach."""

    ours: Company
    theirs: Company
    clients: dict[str, Client]
    before: str = ""


def make_world() -> World:
    theirs, ours = make_company("a"), make_company("b")
    staff = make_user(is_staff=True, is_superuser=True)
    clients = {
        name: Client(raise_request_exception=False) for name in ("owner", "key", "nobody", "staff")
    }
    clients["owner"].force_login(ours.owner)
    clients["owner"].defaults["HTTP_X_TENANT"] = ours.tenant.slug
    clients["staff"].force_login(staff)
    clients["staff"].defaults["HTTP_X_TENANT"] = ours.tenant.slug
    with tenant_scope(ours.tenant):
        key, secret = services.create_api_key(name="B", scopes=SCOPES_OF_KEYS, by=None)
        # Used a moment ago, so that the time of last use stands still during the test.
        key.last_used_at = timezone.now()
        key.save(update_fields=["last_used_at"])
    clients["key"].defaults["HTTP_AUTHORIZATION"] = f"Bearer {secret}"
    return World(ours, theirs, clients)


def make_company(letter: str) -> Company:
    canary = f"canary{letter}{secrets.token_hex(4)}"
    # The address itself may be echoed to whoever typed it: it is masked, and carries no canary.
    tenant = make_tenant(f"company-{letter}-{secrets.token_hex(4)}", name=f"公司 {canary}")
    owner = make_member(tenant, "owner", email=f"{canary}@example.com", name=canary)
    company = Company(tenant, owner, canary)
    company.rows = {"tenancy.Tenant": tenant, "accounts.User": owner}
    with tenant_scope(tenant):
        company.rows["tenancy.Membership"] = Membership.objects.get()
        for model in guards.tenant_models():
            _row_of(model, company)
    _keep_bytes(company)
    return company


def _keep_bytes(company: Company) -> None:
    """What the company's file holds, where it is looked for."""
    path = file_path(company.rows["labeling.StoredFile"])  # type: ignore[arg-type]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(company.canary)


def _row_of(model: type[models.Model], company: Company) -> models.Model:
    """The company's row of this table; made with what it refers to if it is not there yet."""
    label = model._meta.label
    if label not in company.rows:
        shape = SHAPES.get(label, lambda canary: {})(company.canary)
        values = {
            column.name: _value(column, company)
            for column in model._meta.local_concrete_fields
            if column.name not in shape and _wants_value(column, model)
        }
        company.rows[label] = model._default_manager.create(**values, **shape)
    return company.rows[label]


def _shared_row_of(model: type[models.Model], company: Company) -> models.Model:
    """A row that is everybody's, such as a base model: it carries nobody's canary."""
    nobody = replace(company, canary="everybodys")
    columns = [c for c in model._meta.local_concrete_fields if _wants_value(c, model)]
    return model._default_manager.create(**{c.name: _value(c, nobody) for c in columns})


def _wants_value(column: Any, model: type[models.Model]) -> bool:
    if column.primary_key or isinstance(column, TenantField):
        return False
    if isinstance(column, models.ForeignKey):
        # A row cannot refer to itself before it is there, nor to what is made from it.
        return not (column.null and (column.related_model is model or _leads_to(column, model)))
    is_text = isinstance(column, models.CharField | models.TextField | models.JSONField)
    return is_text or not (column.has_default() or column.null or column.has_db_default())


def _leads_to(column: Any, model: type[models.Model]) -> bool:
    """Whether making the row that `column` refers to needs a row of `model` first."""
    seen, ahead = set(), [column.related_model]
    while ahead:
        here = ahead.pop()
        if here is model:
            return True
        if here not in seen:
            seen.add(here)
            ahead += [
                f.related_model
                for f in here._meta.local_concrete_fields
                if isinstance(f, models.ForeignKey) and not f.null
            ]
    return False


def _value(column: Any, company: Company) -> Any:
    canary = company.canary
    if isinstance(column, models.ForeignKey):
        related = column.related_model
        if related is User:
            return company.owner
        if any(isinstance(f, TenantField) for f in related._meta.local_fields):
            return _row_of(related, company)
        return related._default_manager.first() or _shared_row_of(related, company)
    if column.choices:
        return column.get_default() if column.has_default() else column.flatchoices[0][0]
    if isinstance(column, models.JSONField):
        default = column.get_default() if column.has_default() else {}
        return [canary] if isinstance(default, list) else {"note": canary}
    if isinstance(column, models.EmailField):
        return f"{canary}@example.com"
    if isinstance(column, models.CharField | models.TextField):
        text = sha256(f"{canary}{column}".encode()).hexdigest() if column.unique else canary
        return text[: column.max_length]
    if isinstance(column, models.DateTimeField):
        return timezone.now()
    if isinstance(column, models.UUIDField):
        return uuid.uuid4()
    return 1


# --- What may not change ---------------------------------------------------------------------


def digest_of(company: Company) -> str:
    """Of every row that is the company's, in every table, whatever the path to it."""
    found = []
    with system_scope("test: look at everything"):
        for model in guards.tenant_models():
            rows = model._base_manager.filter(tenant_id=company.tenant.pk).order_by("pk")
            found.append((model._meta.label, list(rows.values_list())))
        found.append(("tenant", list(Tenant.objects.filter(pk=company.tenant.pk).values_list())))
    found.append(("person", list(User.objects.filter(pk=company.owner.pk).values_list())))
    return sha256(repr(found).encode()).hexdigest()
