"""What is told arrives, is signed, is tried again, and stops where nobody listens any more."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from standardwebhooks import Webhook, WebhookVerificationError

from tenancy.models import AuditEntry, Tenant
from tenancy.scope import system_scope, tenant_scope
from tenancy.webhooks import delivery as delivering
from tenancy.webhooks import services
from tenancy.webhooks.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookEvent
from tenancy.webhooks.tasks import deliver_waiting, forget_old, look
from tests.factories import make_member
from tests.tenancy.webhooks.conftest import Clock
from tests.tenancy.webhooks.receiver import Receiver

State = WebhookDelivery.State


def listening(receiver: Receiver, **options: Any) -> tuple[WebhookEndpoint, str]:
    return services.create_endpoint(url=receiver.url, **options)


def test_what_happened_arrives_signed(in_tenant: Tenant, receiver: Receiver) -> None:
    _endpoint, secret = listening(receiver)
    services.publish("job.failed", {"id": "7", "name": "客服"})
    assert deliver_waiting() == 1
    headers, body = receiver.told[0]
    said = Webhook(secret).verify(body, headers)
    assert (said["type"], said["data"]) == ("job.failed", {"id": "7", "name": "客服"})
    assert said["timestamp"].endswith("Z")
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body.replace(b"7", b"8"), headers)
    delivery = WebhookDelivery.objects.get()
    assert (delivery.state, delivery.tries, delivery.next_attempt_at) == (State.DELIVERED, 1, None)
    attempt = delivery.attempts.get()
    assert (attempt.status, attempt.excerpt, attempt.arrived) == (200, "thanks", True)
    assert deliver_waiting() == 0


def test_a_message_that_is_replayed_late_is_known_by_its_time_and_its_id(
    in_tenant: Tenant, receiver: Receiver, clock: Clock
) -> None:
    _endpoint, secret = listening(receiver)
    clock.forward(minutes=-6)
    services.publish("job.failed", {})
    deliver_waiting()
    with pytest.raises(WebhookVerificationError, match="too old"):
        Webhook(secret).verify(receiver.told[0][1], receiver.told[0][0])
    clock.forward(minutes=6)
    services.replay(delivery=WebhookDelivery.objects.get())
    deliver_waiting()
    headers, body = receiver.told[1]
    assert Webhook(secret).verify(body, headers)
    assert headers["webhook-id"] == receiver.told[0][0]["webhook-id"]
    assert body == receiver.told[0][1]
    assert WebhookDelivery.objects.get().attempts.count() == 2


def test_for_a_day_after_a_rotation_both_secrets_verify(
    in_tenant: Tenant, receiver: Receiver, clock: Clock
) -> None:
    endpoint, old = listening(receiver)
    new = services.rotate_secret(endpoint=endpoint)
    services.send_test(endpoint=endpoint)
    deliver_waiting()
    for secret in (old, new):
        assert Webhook(secret).verify(receiver.told[0][1], receiver.told[0][0])
    clock.forward(hours=25)
    services.send_test(endpoint=endpoint)
    deliver_waiting()
    headers, _body = receiver.told[1]
    assert len(headers["webhook-signature"].split()) == 1


def test_a_receiver_that_is_down_for_three_days_is_tried_ten_times_and_switched_off(
    in_tenant: Tenant, receiver: Receiver, clock: Clock, django_capture_on_commit_callbacks: Any
) -> None:
    owner = make_member(in_tenant, "owner")
    make_member(in_tenant, "viewer")
    endpoint, _secret = listening(receiver)
    receiver.status = 500
    began = clock.now
    services.publish("job.failed", {})
    pauses = []
    with django_capture_on_commit_callbacks(execute=True):
        while deliver_waiting():
            row = WebhookDelivery.objects.get()
            if row.next_attempt_at is not None:
                pauses.append(row.next_attempt_at - clock.now)
                assert deliver_waiting() == 0
                clock.now = row.next_attempt_at
    expected = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
    assert [p / timedelta(seconds=s) for p, s in zip(pauses, expected, strict=True)] == [
        pytest.approx(1, abs=0.1)
    ] * 9
    assert len(receiver.told) == 10
    assert len({headers["webhook-id"] for headers, _body in receiver.told}) == 1
    assert clock.now - began == pytest.approx(timedelta(hours=75.6), abs=timedelta(hours=8))
    row = WebhookDelivery.objects.get()
    assert (row.state, row.tries, row.attempts.count()) == (State.FAILED, 10, 10)
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.disabled_reason) == ("disabled", "failing")
    assert AuditEntry.objects.filter(action="webhook.disabled").count() == 1
    assert [message.to for message in mail.outbox] == [[owner.email]]
    assert endpoint.url in mail.outbox[0].body


def test_after_a_long_silence_nothing_is_lost(
    in_tenant: Tenant, receiver: Receiver, clock: Clock
) -> None:
    endpoint, _secret = listening(receiver)
    receiver.status = 503
    for number in range(3):
        services.publish("job.failed", {"number": number})
        deliver_waiting()
    receiver.status = 204
    receiver.body = b""
    clock.forward(minutes=10)
    while deliver_waiting():
        pass
    arrived = [json.loads(body)["data"]["number"] for _headers, body in receiver.told[3:]]
    assert sorted(arrived) == [0, 1, 2]
    endpoint.refresh_from_db()
    assert endpoint.failing_since is None


@pytest.mark.parametrize("status", [301, 302, 307, 400, 404, 500])
def test_only_2xx_is_an_arrival_and_no_redirect_is_followed(
    in_tenant: Tenant, receiver: Receiver, status: int
) -> None:
    listening(receiver)
    receiver.status = status
    receiver.headers = {"Location": receiver.url}
    services.publish("job.failed", {})
    deliver_waiting()
    row = WebhookDelivery.objects.get()
    assert (row.state, row.attempts.get().status, len(receiver.told)) == (State.WAITING, status, 1)


def test_a_receiver_that_is_gone_is_told_nothing_more(
    in_tenant: Tenant, receiver: Receiver
) -> None:
    endpoint, _secret = listening(receiver)
    receiver.status = 410
    services.publish("job.failed", {})
    deliver_waiting()
    endpoint.refresh_from_db()
    assert (endpoint.state, endpoint.disabled_reason) == ("disabled", "gone")
    services.publish("job.failed", {})
    assert WebhookDelivery.objects.count() == 1


def test_whoever_asks_to_wait_is_waited_for(
    in_tenant: Tenant, receiver: Receiver, clock: Clock
) -> None:
    listening(receiver)
    receiver.status, receiver.headers = 429, {"Retry-After": "600"}
    services.publish("job.failed", {})
    deliver_waiting()
    assert WebhookDelivery.objects.get().next_attempt_at == clock.now + timedelta(seconds=600)


@pytest.mark.parametrize("asked", ["soon", "-1", "99999999999999", "١٢"])
def test_an_odd_wish_to_wait_changes_nothing(
    in_tenant: Tenant, receiver: Receiver, clock: Clock, asked: str
) -> None:
    listening(receiver)
    receiver.status = 503
    receiver.headers = {"Retry-After": asked.encode().decode("latin-1")}
    services.publish("job.failed", {})
    deliver_waiting()
    next_attempt_at = WebhookDelivery.objects.get().next_attempt_at
    assert next_attempt_at is not None
    assert next_attempt_at < clock.now + timedelta(seconds=6)


def test_an_answer_without_end_is_cut_short(in_tenant: Tenant, receiver: Receiver) -> None:
    listening(receiver)
    receiver.body = "长\x00".encode() * 500_000
    services.publish("job.failed", {})
    deliver_waiting()
    attempt = WebhookAttempt.objects.get()
    assert attempt.status == 200
    assert len(attempt.excerpt) <= 1000
    assert "\x00" not in attempt.excerpt


def test_where_nobody_answers_the_attempt_says_why(in_tenant: Tenant, settings: Any) -> None:
    settings.WEBHOOK_ALLOW_PRIVATE = True
    endpoint, _secret = services.create_endpoint(url="http://127.0.0.1:9/")
    settings.WEBHOOK_ALLOW_PRIVATE = False
    services.send_test(endpoint=endpoint)
    deliver_waiting()
    attempt = WebhookAttempt.objects.get()
    assert (attempt.status, attempt.error) == (None, "address_not_allowed")


def test_a_worker_that_was_only_slow_writes_nothing_any_more(
    in_tenant: Tenant, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    listening(receiver)
    services.publish("job.failed", {})
    attempt = delivering.attempt

    def while_another_takes_over(row: WebhookDelivery) -> Any:
        WebhookDelivery.objects.update(token=row.token + 1)
        return attempt(row)

    monkeypatch.setattr(delivering, "attempt", while_another_takes_over)
    deliver_waiting()
    assert WebhookDelivery.objects.get().state == State.WAITING
    assert not WebhookAttempt.objects.exists()


def test_what_a_dead_worker_held_is_tried_by_another(
    in_tenant: Tenant, receiver: Receiver, clock: Clock
) -> None:
    listening(receiver)
    services.publish("job.failed", {})
    WebhookDelivery.objects.update(lease_until=clock.now + timedelta(seconds=60))
    assert deliver_waiting() == 0
    clock.forward(seconds=61)
    assert deliver_waiting() == 1


def test_one_slow_address_holds_up_no_other(in_tenant: Tenant, receiver: Receiver) -> None:
    slow, _secret = listening(receiver)
    listening(receiver)
    for _ in range(2):
        services.publish("job.failed", {})
    held = WebhookDelivery.objects.filter(endpoint=slow).first()
    assert held
    WebhookDelivery.objects.filter(pk=held.pk).update(
        lease_until=held.created_at + timedelta(seconds=60)
    )
    assert deliver_waiting() == 2
    assert WebhookDelivery.objects.filter(endpoint=slow, state=State.WAITING).count() == 2


def test_tenants_do_not_see_each_others_deliveries_in_one_round(
    tenant: Tenant, other_tenant: Tenant, receiver: Receiver
) -> None:
    for company in (tenant, other_tenant):
        with tenant_scope(company):
            listening(receiver)
            services.publish("job.failed", {"tenant": company.slug})
    assert deliver_waiting() == 2
    for company in (tenant, other_tenant):
        with tenant_scope(company):
            assert WebhookAttempt.objects.get().status == 200


def test_what_is_old_is_forgotten(in_tenant: Tenant, receiver: Receiver, clock: Clock) -> None:
    listening(receiver)
    services.publish("job.failed", {})
    deliver_waiting()
    clock.forward(days=31)
    assert forget_old() == 3
    with system_scope("test"):
        assert not WebhookEvent.objects.exists()


def test_beat_rings_where_something_is_due(
    in_tenant: Tenant, receiver: Receiver, django_capture_on_commit_callbacks: Any
) -> None:
    listening(receiver)
    with django_capture_on_commit_callbacks() as callbacks:
        look()
    assert not callbacks
    services.publish("job.failed", {})
    with django_capture_on_commit_callbacks() as callbacks:
        look()
    assert len(callbacks) == 1
