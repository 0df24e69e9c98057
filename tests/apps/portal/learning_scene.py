"""What was learned from an inbox: questions without an article, answers to review, tests, a trial."""

from __future__ import annotations

from apps.chatbot.models import (
    AnswerReview,
    CandidateTrial,
    RegressionResult,
    RegressionRun,
)
from apps.chatbot.regression import suite_of
from apps.chatbot.services import regression
from gpt_core.models import Checkpoint, Deployment
from tenancy.models import Tenant
from tenancy.scope import tenant_scope
from tests.apps.chatbot.makers import make_inbox
from tests.apps.chatbot.test_learning import answered, solve, unanswered, visit


def tell(tenant: Tenant) -> RegressionRun:
    with tenant_scope(tenant):
        serving = Deployment.objects.exclude(checkpoint=None)[0]
        # A slot of its own: what its test questions say keeps nothing out of the other.
        slot = Deployment.objects.create(
            name="learning", base_model=serving.base_model, checkpoint=serving.checkpoint
        )
        inbox = make_inbox(name="学习 learning", deployment=slot)
        checkpoint = Checkpoint.objects.exclude(pk=slot.checkpoint_id)[0]
        CandidateTrial.objects.create(inbox=inbox, checkpoint=checkpoint, share=20)
        unanswered(
            inbox,
            "冬天可以刷外墙吗？",
            "您好，冬天可以刷外墙吗",
            "Can the scaffold stay up over Christmas without costing more?",
        )
        for question, text in (
            ("可以退货吗？", "签收后7天内可以退货，见 https://acme.example/returns。"),
            ("Do you deliver on Sundays?", "We deliver on working days only."),
        ):
            conversation = visit(inbox)
            said = answered(conversation, question, text)
            solve(conversation)
            AnswerReview.objects.get_or_create(answer=said.answered_by)
        good = regression.add_case(inbox=inbox, question="可以退货吗？", must_contain=["7"])
        bad = regression.add_case(inbox=inbox, question="你们老板叫什么？", must_refuse=True)
        run = RegressionRun.objects.create(
            checkpoint=checkpoint,
            inbox=inbox,
            suite=suite_of(inbox),
            state="done",
            cases=2,
            cases_passed=1,
            passed=False,
        )
        fine = {"text": "签收后7天内可以退货。", "outcome": "generated", "faults": []}
        wrong = {"text": "老板叫李雷。", "outcome": "generated", "faults": ["answered"]}
        for case, sample in ((good, fine), (bad, wrong)):
            RegressionResult.objects.create(
                run=run, case=case, passed=not sample["faults"], samples=[sample] * 3
            )
    return run
