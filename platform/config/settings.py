"""Every setting of Parley, from the environment, in one file.

A variable that cannot be read stops the start with its name, what was found and what was expected.
`.env.example` lists them all; a test holds the two together.
"""

import re
from pathlib import Path

import environ
from celery.schedules import crontab
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

BASE_DIR = Path(__file__).resolve().parents[2]

env = environ.Env()
environ.Env.read_env(BASE_DIR / ".env")


def whole_number(name: str, default: int, *, least: int = 0) -> int:
    found = env.str(name, default=str(default))
    if not found.lstrip("-").isdigit() or int(found) < least:
        raise ImproperlyConfigured(
            f"{name}={found!r}: expected a whole number of at least {least}, such as {default}."
        )
    return int(found)


def yes_or_no(name: str, default: bool) -> bool:
    found = env.str(name, default="true" if default else "false").lower()
    if found not in {"true", "false", "1", "0", "yes", "no", "on", "off"}:
        raise ImproperlyConfigured(f"{name}={found!r}: expected true or false.")
    return found in {"true", "1", "yes", "on"}


# --- The place and the secrets ---------------------------------------------------------------

DEBUG = yes_or_no("PARLEY_DEBUG", False)
PARLEY_HOME = Path(env.str("PARLEY_HOME", default=str(BASE_DIR / "var"))).resolve()
PARLEY_HOME.mkdir(parents=True, exist_ok=True)


def local_secret(name: str) -> str:
    """A secret from the environment, or one made once for this machine and kept in PARLEY_HOME."""
    given = env.str(name, default="")
    if given:
        return given
    kept = PARLEY_HOME / "secrets" / name.lower()
    if not kept.exists():
        import os
        import secrets

        kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        aside = kept.with_name(f"{kept.name}.{os.getpid()}")
        aside.touch(mode=0o600)
        aside.write_text(secrets.token_urlsafe(48))
        # link() refuses to replace: of several processes starting at once, the first one's
        # secret stays and the others read it.
        try:
            os.link(aside, kept)
        except FileExistsError:
            pass
        finally:
            aside.unlink()
    return kept.read_text()


SECRET_KEY = local_secret("PARLEY_SECRET_KEY")
ALLOWED_HOSTS = env.list("PARLEY_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("PARLEY_ORIGINS", default=[])
HTTPS = yes_or_no("PARLEY_HTTPS", False)

# --- Django ----------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "accounts.admin_site.PlatformAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "config",
    "tenancy",
    "tenancy.webhooks",
    "accounts",
    "labeling",
    "gpt_core",
    "apps.chatbot",
    "apps.portal",
]

MIDDLEWARE = [
    "config.request_log.log_requests",
    "django.middleware.security.SecurityMiddleware",
    "common.api.refuse_nul",
    "apps.chatbot.uploads_host.keep_uploads_apart",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "config.private_pages.keep_out_of_caches",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "config.admin_host.keep_hosts_apart",
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "django.template.context_processors.i18n",
            ],
        },
    }
]

# --- Database: SQLite for one machine, PostgreSQL in production ---------------------------------


def database(url: str) -> dict[str, object]:
    try:
        found = environ.Env.db_url_config(url)
    except Exception as error:
        raise ImproperlyConfigured(
            f"DATABASE_URL: expected sqlite:///PATH or postgres://USER:PASSWORD@HOST/NAME ({error})."
        ) from error
    if found["ENGINE"].endswith("sqlite3"):
        # IMMEDIATE: a transaction that will write takes the lock at its start and waits its turn,
        # instead of failing in the middle when another process wrote first.
        found["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 30,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
    elif found["ENGINE"].endswith("postgresql"):
        # Under ASGI each request has a thread of its own: a connection that outlives it is found by
        # nobody again, and a hundred of them are all that PostgreSQL has. Where connecting is slow,
        # PgBouncer keeps them (by transaction: the tenant travels with each statement).
        found["CONN_MAX_AGE"] = 0
        # The tenant is set in front of each statement (tenancy.scope); a named cursor cannot carry it.
        found["DISABLE_SERVER_SIDE_CURSORS"] = True
    else:
        raise ImproperlyConfigured(f"DATABASE_URL: {found['ENGINE']} is not supported.")
    return found


DATABASES = {
    "default": database(env.str("DATABASE_URL", default=f"sqlite:///{PARLEY_HOME}/db.sqlite3"))
}
# Migrations run as the owner of the tables; everything else as a role that owns nothing.
DATABASE_OWNER_URL = env.str("DATABASE_OWNER_URL", default="")

# --- People ----------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {
        "NAME": "django.contrib.auth.password_validation.MinimumLengthValidator",
        "OPTIONS": {"min_length": 10},
    },
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "accounts.adapters.AccountAdapter"
ACCOUNT_PREVENT_ENUMERATION = True
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
# Whether somebody who belongs to a tenant already may open another one.
PARLEY_OPEN_SIGNUP = yes_or_no("PARLEY_OPEN_SIGNUP", False)

# --- Mail ------------------------------------------------------------------------------------

EMAIL_BACKEND = env.str(
    "PARLEY_EMAIL_BACKEND", default="django.core.mail.backends.console.EmailBackend"
)
DEFAULT_FROM_EMAIL = env.str("PARLEY_EMAIL_FROM", default="Parley <parley@localhost>")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
# An invitation is mailed while somebody waits for the page.
EMAIL_TIMEOUT = 10
_mail_server = env.str("PARLEY_EMAIL_URL", default="")
if _mail_server:
    try:
        _mail = environ.Env.email_url_config(_mail_server)
    except Exception as error:
        raise ImproperlyConfigured(
            f"PARLEY_EMAIL_URL: expected smtp+tls://USER:PASSWORD@HOST:587 ({error})."
        ) from error
    EMAIL_BACKEND = _mail["EMAIL_BACKEND"]
    EMAIL_HOST, EMAIL_PORT = _mail["EMAIL_HOST"], _mail["EMAIL_PORT"]
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_USER"], _mail["EMAIL_HOST_PASSWORD"]
    EMAIL_USE_TLS, EMAIL_USE_SSL = (
        bool(_mail.get("EMAIL_USE_TLS")),
        bool(_mail.get("EMAIL_USE_SSL")),
    )

# --- Languages -------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "platform" / "config" / "locale"]
# Where a language writes figures otherwise than Django thinks.
FORMAT_MODULE_PATH = ["config.formats"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# --- Files -----------------------------------------------------------------------------------

STATIC_URL = "static/"
STATIC_ROOT = Path(env.str("PARLEY_STATIC", default=str(PARLEY_HOME / "static")))
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = True
DATA_UPLOAD_MAX_MEMORY_SIZE = 5 * 1024 * 1024
FILE_UPLOAD_TEMP_DIR = None
# The largest file that /v1/files takes.
FILE_MOST_BYTES = whole_number("PARLEY_FILE_MOST_MB", 512, least=1) << 20

# --- Safety ----------------------------------------------------------------------------------

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "base-uri": ["'none'"],
        "connect-src": ["'self'"],
        "font-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "frame-src": ["'none'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
    }
}
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = HTTPS
CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
# Asked from inside, past the proxy that ends TLS.
SECURE_REDIRECT_EXEMPT = [r"^health/", r"^metrics$"]
SECURE_HSTS_SECONDS = 31536000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"

# --- The administration ------------------------------------------------------------------------

# The host that serves the administration and nothing else; empty: every host serves it at /admin/.
ADMIN_HOST = env.str("PARLEY_ADMIN_HOST", default="").lower()
if ADMIN_HOST:
    ALLOWED_HOSTS.append(ADMIN_HOST.partition(":")[0])

UNFOLD = {
    "SITE_TITLE": "Parley",
    "SITE_HEADER": "Parley",
    "SITE_SUBHEADER": _("Administration"),
    "SITE_URL": "/",
    "SITE_SYMBOL": "forum",
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_HISTORY": True,
    "DASHBOARD_CALLBACK": "config.dashboard.dashboard",
    "SIDEBAR": {"show_search": True, "navigation": "config.navigation.navigation"},
    "STYLES": ["config.navigation.stylesheet"],
    "BORDER_RADIUS": "6px",
    # The accent of the pages (static/css/tokens.css), in unfold's eleven steps.
    "COLORS": {
        "primary": {
            "50": "#edf1fd",
            "100": "#dce4fb",
            "200": "#bccaf7",
            "300": "#93a9f1",
            "400": "#6c88ea",
            "500": "#4a6ae2",
            "600": "#2c50d0",
            "700": "#2343b4",
            "800": "#1f3990",
            "900": "#1c3173",
            "950": "#131f48",
        }
    },
}

# --- REST ------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.ApiKeyAuthentication",
        "accounts.authentication.TenantSessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.permissions.DenyByDefault"],
    "DEFAULT_PARSER_CLASSES": ["common.api.StrictJSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PAGINATION_CLASS": "common.api.Pages",
    "DEFAULT_SCHEMA_CLASS": "accounts.api.schema.NativeSchema",
    "EXCEPTION_HANDLER": "common.api.problem",
    "UNAUTHENTICATED_USER": None,
}

# --- The widget --------------------------------------------------------------------------------------

# Where its panel is served from, if that is an origin of its own; otherwise from the site itself.
WIDGET_ORIGINS = env.list("PARLEY_WIDGET_ORIGINS", default=[])
# Where what visitors send is given out, and nothing else; empty: the site itself gives it out.
UPLOADS_ORIGIN = env.str("PARLEY_UPLOADS_ORIGIN", default="")
if UPLOADS_ORIGIN:
    _uploads = re.fullmatch(r"https?://([a-z0-9.-]+)(:[0-9]{1,5})?", UPLOADS_ORIGIN)
    if _uploads is None:
        raise ImproperlyConfigured(
            f"PARLEY_UPLOADS_ORIGIN={UPLOADS_ORIGIN!r}: expected one origin, such as "
            "https://files.example.com."
        )
    if not (WIDGET_ORIGINS or CSRF_TRUSTED_ORIGINS):
        raise ImproperlyConfigured(
            "PARLEY_UPLOADS_ORIGIN: name the panel's origin as well, in PARLEY_WIDGET_ORIGINS, or in "
            "PARLEY_ORIGINS where it is the site's."
        )
    ALLOWED_HOSTS.append(_uploads[1])
    # The desk's form is led on from the site to there.
    CONTENT_SECURITY_POLICY["DIRECTIVES"]["form-action"].append(UPLOADS_ORIGIN)

# The description of the native API is made from its views, committed, and served as committed.
SPECTACULAR_SETTINGS = {
    "TITLE": "Parley",
    "DESCRIPTION": "Everything a company has here: datasets, jobs, models and who may use them.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "PREPROCESSING_HOOKS": ["accounts.api.schema.native_alone"],
    "POSTPROCESSING_HOOKS": ["accounts.api.schema.with_refusals"],
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
}

# --- Work: the database is the truth, the broker a doorbell -------------------------------------

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="filesystem://localhost")
if CELERY_BROKER_URL.startswith("filesystem:"):
    _doorbell = PARLEY_HOME / "broker"
    # The transport writes into folders that it expects to find.
    for _folder in ("queue", "control"):
        (_doorbell / _folder).mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(_doorbell / "queue"),
        "data_folder_out": str(_doorbell / "queue"),
        "control_folder": str(_doorbell / "control"),
        "polling_interval": 0.25,
    }
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ROUTES = {
    "gpt_core.tasks.supervise_next": {"queue": "training"},
    "apps.chatbot.tasks.write_answers": {"queue": "answers"},
    "gpt_core.tasks.suggest_ahead": {"queue": "answers"},
    # What takes minutes has a worker of its own, so that answers and beat wait for nothing.
    "gpt_core.tasks.admit_files": {"queue": "long"},
    "apps.chatbot.tasks.read_passages": {"queue": "long"},
    "apps.chatbot.tasks.learn_from_conversations": {"queue": "long"},
    "apps.chatbot.tasks.close_answered_gaps": {"queue": "long"},
}
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "reap": {"task": "gpt_core.tasks.reap", "schedule": 10.0},
    "reconcile": {"task": "gpt_core.tasks.reconcile_engines", "schedule": 15.0},
    "reap-work": {"task": "labeling.tasks.reap_work", "schedule": 10.0},
    "write-answers": {
        "task": "apps.chatbot.tasks.write_answers",
        "schedule": 5.0,
        "options": {"queue": "answers", "expires": 5},
    },
    "read-passages": {
        "task": "apps.chatbot.tasks.read_passages",
        "schedule": 5.0,
        "options": {"queue": "long", "expires": 5},
    },
    "give-out-conversations": {
        "task": "apps.chatbot.tasks.give_out_conversations",
        "schedule": 20.0,
        "options": {"expires": 15},
    },
    "note-overdue": {
        "task": "apps.chatbot.tasks.note_overdue",
        "schedule": 20.0,
        "options": {"expires": 15},
    },
    "check-attachments": {
        "task": "apps.chatbot.tasks.check_attachments",
        "schedule": 10.0,
        "options": {"expires": 8},
    },
    "forget-attachments": {
        "task": "apps.chatbot.tasks.forget_attachments",
        "schedule": 60.0,
        "options": {"expires": 50},
    },
    "send-mails": {
        "task": "apps.chatbot.tasks.send_mails",
        "schedule": 20.0,
        "options": {"expires": 15},
    },
    "wake-conversations": {
        "task": "apps.chatbot.tasks.wake_conversations",
        "schedule": 20.0,
        "options": {"expires": 15},
    },
    "learn-from-conversations": {
        "task": "apps.chatbot.tasks.learn_from_conversations",
        "schedule": 60.0,
        "options": {"queue": "long", "expires": 50},
    },
    "resolve-quiet-conversations": {
        "task": "apps.chatbot.tasks.resolve_quiet_conversations",
        "schedule": 300.0,
        "options": {"expires": 280},
    },
    "start-regression-runs": {
        "task": "apps.chatbot.tasks.start_regression_runs",
        "schedule": 30.0,
        "options": {"expires": 25},
    },
    "judge-trials": {
        "task": "apps.chatbot.tasks.judge_trials",
        "schedule": 30.0,
        "options": {"expires": 25},
    },
    "close-answered-gaps": {
        "task": "apps.chatbot.tasks.close_answered_gaps",
        "schedule": 20.0,
        "options": {"queue": "long", "expires": 15},
    },
    "forget-questions": {"task": "apps.chatbot.tasks.forget_questions", "schedule": 3600.0},
    "build-queues": {"task": "labeling.tasks.build_waiting_queues", "schedule": 20.0},
    "measure-agreement": {"task": "labeling.tasks.measure_agreement", "schedule": 300.0},
    "suggest": {"task": "gpt_core.tasks.suggest_where_needed", "schedule": 20.0},
    "sweep-exports": {"task": "gpt_core.tasks.sweep_exports", "schedule": 3600.0},
    "expire-files": {"task": "labeling.tasks.delete_expired_files", "schedule": 600.0},
    "deliver-webhooks": {"task": "tenancy.webhooks.tasks.look", "schedule": 10.0},
    "forget-webhooks": {"task": "tenancy.webhooks.tasks.forget_old", "schedule": 3600.0},
    "forget-answers": {"task": "accounts.tasks.forget_old_answers", "schedule": 3600.0},
    "forget-usage": {"task": "tenancy.tasks.forget_old_usage", "schedule": 3600.0},
}
CELERY_BEAT_SCHEDULE |= {
    "close": {"task": "gpt_core.tasks.close_what_is_due", "schedule": 60.0},
    "measure-storage": {"task": "gpt_core.tasks.measure_storage", "schedule": 600.0},
    # By night where the platform's clock says so (UTC).
    "collect-checkpoints": {
        "task": "gpt_core.tasks.collect_checkpoints",
        "schedule": crontab(hour=2, minute=30),
    },
}
# Who is at work: whoever hears its queue's bell is written down (gpt_core.sightings).
CELERY_BEAT_SCHEDULE |= {
    f"hear-{queue}": {
        "task": "gpt_core.tasks.hear",
        "schedule": 30.0,
        "kwargs": {"queue": queue},
        "options": {"queue": queue, "expires": 25},
    }
    for queue in ("default", "long", "answers", "training")
}
CELERY_BEAT_SCHEDULE_FILENAME = str(PARLEY_HOME / "beat-schedule")

JOB_LEASE_SECONDS = whole_number("PARLEY_JOB_LEASE_SECONDS", 60, least=5)
JOB_HEARTBEAT_SECONDS = whole_number("PARLEY_JOB_HEARTBEAT_SECONDS", 5, least=1)
# How often a training saves what it would resume from, and how long a failed attempt waits for the next.
JOB_CHECKPOINT_SECONDS = whole_number("PARLEY_JOB_CHECKPOINT_SECONDS", 60)
# An export can be made again at any time from its checkpoint; its file is kept for so long.
EXPORT_DAYS = whole_number("PARLEY_EXPORT_DAYS", 7, least=1)
JOB_RETRY_SECONDS = whole_number("PARLEY_JOB_RETRY_SECONDS", 5)
# How many trainers run, all machines together: what the times are estimated by that people are told.
TRAINERS = whole_number("PARLEY_TRAINERS", 1)

# --- Quotas: what a tenant may use where the operator has said nothing else ------------------------

QUOTAS = {
    "requests_per_minute": whole_number("PARLEY_QUOTA_REQUESTS_PER_MINUTE", 6_000),
    "tokens_per_minute": whole_number("PARLEY_QUOTA_TOKENS_PER_MINUTE", 2_000_000),
    "tokens_per_month": whole_number("PARLEY_QUOTA_TOKENS_PER_MONTH", 10_000_000_000),
    "concurrent_generations": whole_number("PARLEY_QUOTA_CONCURRENT_GENERATIONS", 64),
    "training_tokens_per_month": whole_number(
        "PARLEY_QUOTA_TRAINING_TOKENS_PER_MONTH", 1_000_000_000
    ),
    "storage_bytes": whole_number("PARLEY_QUOTA_STORAGE_BYTES", 50 * 1024**3),
}

# --- Old checkpoints: what no rule keeps is collected by night ------------------------------------

KEEP_CHECKPOINTS = whole_number("PARLEY_KEEP_CHECKPOINTS", 5, least=1)
KEEP_CHECKPOINT_DAYS = whole_number("PARLEY_KEEP_CHECKPOINT_DAYS", 30)

# How long a closed company can be brought back.
CLOSING_GRACE_DAYS = whole_number("PARLEY_CLOSING_GRACE_DAYS", 30, least=1)

# --- Engines: a base model's name, and where the process that serves it listens -------------------

ENGINE_KEY = local_secret("PARLEY_ENGINE_KEY")
try:
    GPT_ENGINES: dict[str, str] = env.json(
        "GPT_ENGINES", default={"smollm2-135m-instruct": "http://127.0.0.1:8100"}
    )
except ValueError:
    GPT_ENGINES = {}
if not isinstance(GPT_ENGINES, dict) or not GPT_ENGINES:
    raise ImproperlyConfigured(
        'GPT_ENGINES: expected JSON such as {"smollm2-135m-instruct": "http://127.0.0.1:8100"}.'
    )
# The small model that texts are compared by, and where it is served: by an engine of ours or by vLLM.
# Without one, retrieval goes by words and spelling alone.
try:
    GPT_EMBEDDER: dict[str, str] = env.json("GPT_EMBEDDER", default={})
except ValueError:
    GPT_EMBEDDER = {"": ""}
if not isinstance(GPT_EMBEDDER, dict) or len(GPT_EMBEDDER) > 1 or "" in GPT_EMBEDDER:
    raise ImproperlyConfigured(
        "GPT_EMBEDDER: expected JSON that names one model, such as "
        '{"multilingual-e5-small": "http://127.0.0.1:8100"}, or {}.'
    )
DEFAULT_BASE_MODEL = env.str("PARLEY_BASE_MODEL", default="smollm2-135m-instruct")
ENGINE_TIMEOUT_SECONDS = whole_number("PARLEY_ENGINE_TIMEOUT", 120, least=1)

# --- Webhooks -------------------------------------------------------------------------------------

# For development and tests alone: http, and addresses that are not in the public internet.
WEBHOOK_ALLOW_PRIVATE = yes_or_no("PARLEY_WEBHOOK_ALLOW_PRIVATE", False)

# --- Logs ------------------------------------------------------------------------------------

LOG_FORMAT = env.str("PARLEY_LOG_FORMAT", default="auto")
if LOG_FORMAT not in {"auto", "json", "plain"}:
    raise ImproperlyConfigured(f"PARLEY_LOG_FORMAT={LOG_FORMAT!r}: expected auto, json or plain.")
# Only where a proxy of ours stands in front and sets the header itself.
TRUST_REQUEST_ID = yes_or_no("PARLEY_TRUST_REQUEST_ID", False)
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"lines": {"()": "config.logs.formatter", "form": LOG_FORMAT}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "lines"}},
    "root": {"handlers": ["console"], "level": env.str("PARLEY_LOG_LEVEL", default="INFO")},
    "loggers": {
        # Our own line for each request and task says what these would.
        "django.server": {"handlers": [], "level": "WARNING", "propagate": True},
        "django.request": {"level": "ERROR"},
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        "celery.beat": {"level": "WARNING"},
        "kombu": {"level": "WARNING"},
    },
}

# --- Looking at it from outside ------------------------------------------------------------------

# Who may read /metrics and the details of /health/ready; nobody while it is empty.
METRICS_TOKEN = env.str("PARLEY_METRICS_TOKEN", default="")
# Where several web processes of one machine add up their counters; prometheus-client reads it too.
METRICS_FOLDER = env.str("PROMETHEUS_MULTIPROC_DIR", default="")
if METRICS_FOLDER:
    Path(METRICS_FOLDER).mkdir(parents=True, exist_ok=True)
