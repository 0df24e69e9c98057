"""Every setting of Parley, from the environment, in one file.

A variable that cannot be read stops the start with its name, what was found and what was expected.
`.env.example` lists them all; a test holds the two together.
"""

from pathlib import Path

import environ
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
    "django_htmx",
    "csp",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "config",
    "tenancy",
    "accounts",
    "labeling",
    "gpt_core",
    "apps.portal",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "common.api.refuse_nul",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
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
        found["CONN_MAX_AGE"] = 60
        found["CONN_HEALTH_CHECKS"] = True
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
EMAIL_BACKEND = env.str(
    "PARLEY_EMAIL_BACKEND", default="django.core.mail.backends.console.EmailBackend"
)

# --- Languages -------------------------------------------------------------------------------

LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("zh-hans", _("Simplified Chinese"))]
LOCALE_PATHS = [BASE_DIR / "platform" / "config" / "locale"]
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
SECURE_HSTS_SECONDS = 31536000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_REFERRER_POLICY = "same-origin"

# --- The administration ------------------------------------------------------------------------

UNFOLD = {
    "SITE_TITLE": "Parley",
    "SITE_HEADER": "Parley",
    "SITE_SUBHEADER": _("Administration"),
    "SITE_URL": "/",
    "SITE_SYMBOL": "forum",
    "SHOW_VIEW_ON_SITE": False,
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
    "EXCEPTION_HANDLER": "common.api.problem",
    "UNAUTHENTICATED_USER": None,
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
}
CELERY_BEAT_SCHEDULE_FILENAME = str(PARLEY_HOME / "beat-schedule")

JOB_LEASE_SECONDS = whole_number("PARLEY_JOB_LEASE_SECONDS", 60, least=5)
JOB_HEARTBEAT_SECONDS = whole_number("PARLEY_JOB_HEARTBEAT_SECONDS", 5, least=1)
# How often a training saves what it would resume from, and how long a failed attempt waits for the next.
JOB_CHECKPOINT_SECONDS = whole_number("PARLEY_JOB_CHECKPOINT_SECONDS", 60)
JOB_RETRY_SECONDS = whole_number("PARLEY_JOB_RETRY_SECONDS", 5)

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
DEFAULT_BASE_MODEL = env.str("PARLEY_BASE_MODEL", default="smollm2-135m-instruct")
ENGINE_TIMEOUT_SECONDS = whole_number("PARLEY_ENGINE_TIMEOUT", 120, least=1)

# --- Logs ------------------------------------------------------------------------------------

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": env.str("PARLEY_LOG_LEVEL", default="INFO")},
}
