"""What every log line carries, and what none may: JSON for machines, plain lines for a terminal.

The product logs through `logging`; what is bound to the request or the task (structlog's context
variables) and the scope of the moment join each line here, and secrets and people's words leave it.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from tenancy.scope import current_tenant_id

Event = MutableMapping[str, Any]

HIDDEN = "[redacted]"
# Names under which secrets, and what people and models wrote, travel. Compared in lower case.
SECRET_NAMES = re.compile(
    r"authorization|cookie|password|passwd|secret|token$|api_?key|^key$|credential|private|csrf"
)
WORDS_NAMES = re.compile(
    r"^(prompt|messages?_content|content|completions?|messages|question|answer|text|payload|body)$"
)
# Secrets by their shape, wherever they stand in a sentence or a traceback.
SECRETS = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {HIDDEN}"),
    (re.compile(r"\b(parley_|whsec_|sk-)[A-Za-z0-9_+/=-]{16,}"), rf"\1{HIDDEN}"),
    (re.compile(r"(\w+://[^\s:/@]+):[^\s/@]+@"), rf"\1:{HIDDEN}@"),
    # The query of an address: invitations, resets and sign-ins carry their token there.
    (re.compile(r"(?<=[\w/])\?[\w.~%\[\]-]+=[^\s'\"<>]*"), f"?{HIDDEN}"),
    # A link that lets in carries its token in the path; ids and names stand.
    (re.compile(r"(?<=/)(?![0-9a-f]{8}-[0-9a-f]{4}-)[A-Za-z0-9_-]{24,}(?=[/?'\"\s]|$)"), HIDDEN),
    (re.compile(r"(?i)\b(password|passwd|secret|token|api_?key)(['\"]?\s*[=:]\s*)[^\s,;)}]+"),
     rf"\1\2{HIDDEN}"),
)  # fmt: skip
LONGEST = 8_000


def formatter(form: str = "auto") -> logging.Formatter:
    """The formatter of the settings' LOGGING. `auto`: plain on a terminal, JSON elsewhere."""
    plain = form == "plain" or (form == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        add_scope,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    last: list[Any] = (
        [redact, structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
        if plain
        else [
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
        ]
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )


def add_scope(_logger: Any, _name: str, event: Event) -> Event:
    """Whose rows are being touched, wherever the scope was entered. The doors bind the actor."""
    tenant_id = current_tenant_id()
    if tenant_id is not None:
        event["tenant"] = str(tenant_id)
    return event


def redact(_logger: Any, _name: str, event: Event) -> Event:
    """The last processor before the line is written: nothing secret and nobody's words."""
    for name, value in event.items():
        event[name] = _clean(name, value)
    return event


def _clean(name: str, value: Any) -> Any:
    lower = name.lower()
    if name not in ("event", "exc_info") and (
        SECRET_NAMES.search(lower) or WORDS_NAMES.match(lower)
    ):
        return HIDDEN
    if isinstance(value, str):
        return without_secrets(value)
    if isinstance(value, dict):
        return {key: _clean(str(key), one) for key, one in value.items()}
    if isinstance(value, list | tuple) and name != "exc_info":
        return [_clean("", one) for one in value]
    if value is None or isinstance(value, bool | int | float) or name == "exc_info":
        return value
    return without_secrets(str(value))


def without_secrets(text: str) -> str:
    for shape, instead in SECRETS:
        text = shape.sub(instead, text)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… {len(text)} characters"
