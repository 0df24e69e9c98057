"""The answer of /v1/fine_tuning/jobs/estimate, with the names that Together gave its own."""

from __future__ import annotations

from typing import Any

from common.errors import ApplicationError

from ...client import EngineBusyError, EngineRefusedError, EngineUnavailableError
from ...estimates import TrainingEstimate
from ...file_estimates import FileEstimate, estimate_files, foresee_files


def estimate_object(**asked: Any) -> dict[str, Any]:
    """Whether it may proceed is what making the job would answer. Where no engine can count tokens, nothing
    else is told.
    """
    expected = foresee_files(**asked)
    try:
        found = estimate_files(**asked)
    except (EngineUnavailableError, EngineBusyError, EngineRefusedError) as error:
        return _unknown(error, expected)
    return _known(found, expected)


def _known(found: FileEstimate, expected: TrainingEstimate) -> dict[str, Any]:
    return {
        "object": "fine_tuning.job.estimate",
        "estimation_available": True,
        "allowed_to_proceed": expected.allowed,
        "estimated_train_token_count": found.train_tokens,
        "estimated_eval_token_count": found.validation_tokens,
        "estimated_seconds": None if found.seconds is None else round(found.seconds, 1),
        "n_epochs": found.epochs,
        "user_limit": expected.limit,
        "user_limit_remaining": expected.left,
        # How it was found: less than the whole file is taken to be like its beginning.
        "rows_counted": found.counted,
        "file_share_read": round(found.share, 4),
        "extrapolated": found.share < 1,
        "reason": None,
    }


def _unknown(error: ApplicationError, expected: TrainingEstimate) -> dict[str, Any]:
    return {
        "object": "fine_tuning.job.estimate",
        "estimation_available": False,
        "allowed_to_proceed": expected.allowed,
        "estimated_train_token_count": None,
        "estimated_eval_token_count": None,
        "estimated_seconds": None,
        "n_epochs": None,
        "user_limit": expected.limit,
        "user_limit_remaining": expected.left,
        "rows_counted": 0,
        "file_share_read": 0,
        "extrapolated": False,
        "reason": error.code,
    }
