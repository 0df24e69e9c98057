"""A contact is erased from every table and every file, and what learned from them says so."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import TestCase
from django.utils import timezone

from apps.chatbot import services
from apps.chatbot.models import (
    Answer,
    Contact,
    Conversation,
    HistoryRun,
    PastConversation,
    WidgetSession,
)
from apps.chatbot.services.contacts import erase_contact
from apps.chatbot.services.exports import start_export
from gpt_core import job_folder
from gpt_core.models import Checkpoint, Evaluation
from gpt_core.services import with_erased_rows
from labeling import work
from labeling.background import receive_file, start_import
from labeling.files import file_path
from labeling.models import ErasedRows, Example, VersionRow
from labeling.services import create_dataset, write_example, write_rows
from labeling.subjects import rows_about, tables_about_people
from tenancy.models import AuditEntry, Tenant
from tenancy.scope import tenant_scope
from tests.apps.chatbot.api.conftest import Api
from tests.apps.chatbot.history.test_walk import FILE, imported
from tests.apps.chatbot.makers import ask, make_conversation, make_inbox
from tests.factories import make_member
from tests.gpt_core.rows import make_checkpoint, make_evaluation, make_job, make_version
from tests.isolation.world import make_company

pytestmark = pytest.mark.django_db
WORD = "金丝雀七三零一"
OTHER = "别人的话"


@pytest.fixture(autouse=True)
def home(settings: Any, tmp_path: Path) -> Path:
    settings.PARLEY_HOME = tmp_path
    return tmp_path


def found_in_database(word: str) -> list[str]:
    """Every table in which the word stands, read past the models; JSON may write it in another way."""
    spellings = (word, json.dumps(word)[1:-1])
    found = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            text = repr(cursor.fetchall())
            if any(one in text or one.replace("\\", "\\\\") in text for one in spellings):
                found.append(table)
    return found


def found_in_files(word: str, home: Path) -> list[str]:
    spellings = (word.encode(), json.dumps(word)[1:-1].encode())
    return [
        str(path.relative_to(home))
        for path in home.rglob("*")
        if path.is_file() and any(one in path.read_bytes() for one in spellings)
    ]


@pytest.fixture
def contact(in_tenant: Tenant) -> Contact:
    """Somebody whose word stands wherever a word of theirs can stand."""
    agent = make_member(in_tenant, "agent", name="李娜")
    inbox = make_inbox()
    contact = Contact.objects.create(
        name=WORD, email="canary@example.com", external_id=WORD, attributes={"等级": WORD}
    )
    WidgetSession.objects.create(
        inbox=inbox,
        contact=contact,
        origin="https://acme.example",
        refresh_hash="h",
        rotated_at=timezone.now(),
        expires_at=timezone.now(),
    )
    conversation = make_conversation(inbox, contact=contact, page=f"/{WORD}")
    answer = ask(conversation, f"我叫{WORD}，可以退货吗？").answer
    assert answer is not None
    Answer.objects.filter(pk=answer.pk).claim()
    answer.refresh_from_db()
    said = services.end_answer(answer, text=f"{WORD}您好，可以。", outcome="generated", query=WORD)
    assert said is not None
    services.judge_message(message=said, helpful=False, reason="wrong", comment=WORD)
    ask(conversation, f"{WORD}要人工")
    services.hand_off(conversation=conversation, reason="customer_request")
    services.post_message(
        conversation=conversation, role="agent", author=agent, text=f"备注：{WORD}", private=True
    )
    services.change_state(conversation=conversation, state="resolved", actor=agent)
    services.rate_conversation(conversation=conversation, score=1, comment=WORD)
    other = make_conversation(inbox, contact=Contact.objects.create(name=OTHER))
    ask(other, OTHER)
    dataset = create_dataset(name="客服")
    turns = [{"role": "user", "content": WORD}, {"role": "assistant", "content": "好的"}]
    for state in (Example.State.DRAFT, Example.State.ACCEPTED):
        write_example(
            dataset=dataset,
            content={"messages": [*turns, {"role": "user", "content": str(state)}, turns[1]]},
            subject=contact.subject,
            state=state,
        )
    line = {"prompt": WORD, "completion": "好的", "subject_id": contact.subject}
    run = receive_file(
        dataset=dataset,
        stream=io.BytesIO(json.dumps(line, ensure_ascii=False).encode()),
        filename=f"{WORD}.jsonl",
    )
    start_import(run=run)
    return contact


@pytest.fixture
def learned(contact: Contact, in_tenant: Tenant) -> Checkpoint:
    """A checkpoint that was trained on a row of theirs, and judged by another."""
    version = make_version(train=2, validation=0, test=1)
    dataset_row = {"subject": contact.subject}
    for split, position in (("train", 2), ("test", 1)):
        payload = {"id": f"{split}-own", "prompt": WORD, "completion": "好的"}
        VersionRow.objects.create(
            version=version, split=split, position=position, payload=payload, **dataset_row
        )
    job = make_job(state="succeeded", dataset_version=version)
    checkpoint = make_checkpoint(in_tenant, job=job)
    samples = [{"id": "test-own", "prompt": WORD}, {"id": "else", "prompt": OTHER}]
    evaluation = make_evaluation(checkpoint, report={"format": 1, "samples": samples})
    for row, name in (
        (evaluation, "report.json"),
        (evaluation, "test.jsonl"),
        (job, "train.jsonl"),
    ):
        folder = job_folder.folder_of(row)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps({"prompt": WORD}, ensure_ascii=False))
    return checkpoint


def test_nothing_of_a_contact_is_left_in_any_table_or_file(
    contact: Contact, learned: Checkpoint, home: Path
) -> None:
    for form in ("ndjson", "csv", "openai"):
        work.carry_out(start_export(form=form))
    archive = start_export(form="archive", contact=contact)
    work.carry_out(archive)
    assert archive.result is not None
    packed = file_path(archive.result)
    assert packed.is_file()
    assert len(found_in_database(WORD)) > 8
    assert len(found_in_files(WORD, home)) >= 6
    with TestCase.captureOnCommitCallbacks(execute=True):
        erasure = erase_contact(contact=contact)
    assert found_in_database(WORD) == []
    assert found_in_database("canary@example.com") == []
    assert found_in_files(WORD, home) == []
    assert not packed.exists()
    assert len(found_in_database(OTHER)) > 1
    assert erasure.checkpoints == 1
    entry = AuditEntry.objects.get(action="contact.erased")
    assert entry.target_id == str(contact.pk)
    assert (entry.data["conversations"], entry.data["checkpoints"]) == (1, 1)


def test_a_checkpoint_that_learned_from_them_says_so(
    contact: Contact, learned: Checkpoint, in_tenant: Tenant
) -> None:
    other = make_checkpoint(in_tenant)
    with TestCase.captureOnCommitCallbacks(execute=True):
        erase_contact(contact=contact)
    marked = dict(with_erased_rows(Checkpoint.objects.all()).values_list("pk", "erased_rows"))
    assert marked == {learned.pk: 1, other.pk: 0}
    version = learned.dataset_version
    assert version is not None
    assert set(ErasedRows.objects.values_list("version", "split", "rows")) == {
        (version.pk, "train", 1), (version.pk, "test", 1),
    }  # fmt: skip
    assert [one["id"] for one in Evaluation.objects.get().report["samples"]] == ["else"]


def test_what_is_left_of_a_version_can_be_written_out(
    contact: Contact, learned: Checkpoint, home: Path
) -> None:
    version = learned.dataset_version
    assert version is not None
    # As if it had been frozen with their row.
    version.counts = version.counts | {"train": 3}
    erase_contact(contact=contact)
    assert write_rows(version, "train", home / "train.jsonl") == 2


def test_an_export_that_is_being_written_begins_again(contact: Contact) -> None:
    export = start_export(form="ndjson")
    hold = work.Hold.of(export)
    assert hold is not None
    erase_contact(contact=contact)
    with pytest.raises(work.WorkLostError):
        hold.write(share=0.5)
    export.refresh_from_db()
    assert export.state == "queued"


def test_every_table_that_leads_to_a_contact_is_emptied(db: None, settings: Any) -> None:
    """The world has a row in every table there is: also in those that nobody thought of here."""
    company = make_company("a")
    with tenant_scope(company.tenant):
        contact = company.row("chatbot.Contact")
        assert isinstance(contact, Contact)
        led = {model._meta.label for model, path in tables_about_people() if "contact" in path}
        about = {rows.model._meta.label for rows in rows_about(contact.subject) if rows.exists()}
        assert led <= about
        erase_contact(contact=contact)
        assert not any(rows.exists() for rows in rows_about(contact.subject))
        assert not Conversation.objects.exists()


def test_a_customer_of_the_past_goes_with_the_file_they_came_in(
    in_tenant: Tenant, home: Path
) -> None:
    imported(FILE)
    past = PastConversation.objects.get(external_id="1")
    example = Example.objects.filter(subject=past.subject).first()
    assert example is not None
    VersionRow.objects.create(
        version=make_version(),
        split="train",
        position=99,
        payload={"id": "x", "prompt": "Thandiwe"},
        subject=past.subject,
    )
    assert found_in_files("Thandiwe", home)
    with TestCase.captureOnCommitCallbacks(execute=True):
        services.erase_past_customer(subject=past.subject)
    assert found_in_files("Thandiwe", home) == []
    assert found_in_database("Thandiwe") == []
    assert ErasedRows.objects.get().rows == 1
    assert HistoryRun.objects.get().faults == []


def test_a_contact_is_erased_over_rest(contact: Contact, in_tenant: Tenant) -> None:
    api = Api(in_tenant)
    place = f"contacts/{contact.pk}/"
    api("delete", place, status=204)
    api("get", place, status=404)
    assert found_in_database(WORD) == []
