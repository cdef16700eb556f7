# Two commands: `make run` and `make test`. Everything else is a part of them.
#
# Stamps under .venv remember what is installed, so that a second `make run` asks no registry and starts at once.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PACKAGES := sfu signaling captioning recorder community benchmarks
WEB_SOURCES := $(shell find web/src web/public -type f 2>/dev/null) web/index.html web/vite.config.ts web/svelte.config.js web/tsconfig.json

.DEFAULT_GOAL := help
.PHONY: help run test check test-python test-native test-web web tools lock fmt bench fuzz clean

help: ## This list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

run: $(VENV)/run.stamp build/native.stamp web/static/index.html ## Install what is missing and start the server with its demo room
	@exec $(BIN)/consilium serve --demo

test: check test-web test-native test-python ## Install what the tests need, then run every check and test

check: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test-web: web/static/index.html
	cd web && npm run --silent check && npm run --silent test

# Journeys in browsers mostly wait, so the other tests run beside them; those that recognise speech come last, for both
# would want every core then.
JOURNEYS := tests/e2e tests/recorder/test_browsers.py
OTHERS := $(filter-out tests/e2e %__pycache__ tests/assets tests/captioning,$(patsubst %/,%,$(wildcard tests/*/))) \
	$(wildcard tests/test_*.py) tests/captioning
test-python: $(VENV)/dev.stamp build/native.stamp web/static/index.html tools
	@mkdir -p build; $(BIN)/python -m pytest $(JOURNEYS) >build/journeys.txt 2>&1 & journeys=$$!; \
	trap 'kill $$journeys 2>/dev/null' INT TERM; \
	$(BIN)/python -m pytest $(OTHERS) $(addprefix --ignore=,$(filter %.py,$(JOURNEYS))); others=$$?; \
	wait $$journeys; seen=$$?; cat build/journeys.txt; exit $$((others || seen))

# The vectors of RFC 3711 and RFC 7714, and what needs no Python.
test-native:
	@if ! command -v cargo >/dev/null; then echo "Rust is not installed: the tests of the native plane's own parts are left out"; \
	else CARGO_TARGET_DIR=build/native cargo test --locked --release --quiet --no-default-features --manifest-path sfu/plane/native/Cargo.toml; fi

web: web/static/index.html ## Build the browser client

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Consilium needs Python 3.11 or newer; set PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/run.stamp: requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes --no-deps -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# The native media plane, again where its sources changed; without cargo the Python plane serves.
build/native.stamp: $(shell find sfu/plane/native -type f) hatch_build.py | $(VENV)/run.stamp
	@$(BIN)/python hatch_build.py && mkdir -p build && touch $@

$(VENV)/fuzz.stamp: fuzz/requirements.lock $(VENV)/dev.stamp
	$(PIP) install --require-hashes --no-deps -r fuzz/requirements.lock
	@touch $@

$(VENV)/dev.stamp: requirements-dev.lock $(VENV)/run.stamp
	$(PIP) install --require-hashes --no-deps -r requirements-dev.lock
	@touch $@

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	cd web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# Without Node a build that is already there still serves.
web/static/index.html: $(WEB_SOURCES) $(if $(shell command -v npm),web/node_modules/.package-lock.json)
	@if command -v npm >/dev/null; then cd web && npm run --silent build && touch static/index.html; \
	elif [ -f $@ ]; then echo "Node is not installed: serving the pages built earlier"; \
	else echo "The pages must be built once: install Node 20 or newer (Debian: nodejs npm) and run make again"; exit 1; fi

# Browsers and servers that the tests run against, from Debian's packages.
TOOLS := chromium:chromium firefox-esr:firefox-esr redis-server:redis-server ffprobe:ffmpeg strace:strace turnserver:coturn nginx:nginx pg_lsclusters:postgresql
tools:
	@missing=; for pair in $(TOOLS); do command -v $${pair%%:*} >/dev/null || missing="$$missing $${pair##*:}"; done; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing$$missing"; export DEBIAN_FRONTEND=noninteractive; \
	  apt-get install -y -qq --no-install-recommends $$missing >/dev/null 2>&1 || \
	  { apt-get update -qq && apt-get install -y -qq --no-install-recommends $$missing >/dev/null; }; \
	else echo "The tests need:$$missing. On Debian, as root: apt-get install$$missing"; exit 1; fi

# The dev lock repeats the run lock's versions and adds the tools.
LOCK := $(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
	--no-emit-index-url --no-emit-find-links --no-emit-options
lock: ## Pin the newest versions that pyproject.toml allows
	$(LOCK) --upgrade --extra build --output-file requirements.lock pyproject.toml
	$(LOCK) --extra build --extra dev --constraint requirements.lock --output-file requirements-dev.lock pyproject.toml
	$(LOCK) --upgrade --output-file fuzz/requirements.lock fuzz/requirements.in

fmt: $(VENV)/dev.stamp ## Format the Python code
	$(BIN)/ruff check --fix . && $(BIN)/ruff format .

bench: $(VENV)/dev.stamp build/native.stamp web/static/index.html tools ## Run every benchmark
	@for name in start join room captions captions-load silence forwarding fanout threads tcp network recording broadcast; do echo "== $$name"; $(BIN)/python -m benchmarks $$name --json || exit 1; done

# cargo-fuzz comes from crates.io; without cargo the Python targets alone run.
FUZZ_SECONDS ?= 10
fuzz: $(VENV)/fuzz.stamp build/native.stamp ## Look for bytes that break a parser: FUZZ_SECONDS (10) for each target and language
	@if command -v cargo >/dev/null && ! command -v cargo-fuzz >/dev/null; then cargo install --quiet --locked cargo-fuzz; fi
	@$(BIN)/python -m fuzz --seconds $(FUZZ_SECONDS)

clean: ## Forget everything that was installed or built (not your data)
	rm -rf $(VENV) build sfu/plane/_native*.so web/node_modules web/static .mypy_cache .ruff_cache .pytest_cache .hypothesis
