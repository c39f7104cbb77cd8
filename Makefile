# One command shows it working, one command checks everything. Both set themselves up.
#
#   make demo     promote a good reviews v3 through a real Envoy, then take a bad one back
#   make test     format, lint, types, import contracts, unit, simulation and end-to-end tests
#   make lint     the first four of those
#   make bench    the load generator against its peers, interleaved (several minutes)
#   make montecarlo  the judge's promises, from simulated rollouts; writes docs/reference/judge-montecarlo.md (8 minutes)
#   make crds     generate deploy/crds from the models of the plan
#   make image-check  build the image's file system without Docker and start the daemon in it (as root; a minute or more)
#   make acceptance  20 releases of each kind on a real Envoy and Prometheus (three quarters of an hour)
#   make e2e-kube the cluster's tests on a real API server (KUBEBUILDER_ASSETS names it; see CONTRIBUTING.md)
#   make lock     resolve the pinned dependencies anew
#   make clean    remove the virtual environment and all scratch

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
# A new lock or a new interpreter means a new stamp, and so a new installation; otherwise set-up costs nothing.
STAMP  := $(VENV)/.ready-$(shell cat requirements/dev.txt pyproject.toml | cksum | cut -d' ' -f1)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PIP_ROOT_USER_ACTION := ignore

.PHONY: help demo test lint format bench montecarlo crds image-check lock clean setup acceptance e2e-kube

help:
	@sed -n 's/^#   //p' Makefile

setup: $(STAMP)
	@.ci/system-packages

$(STAMP): requirements/dev.txt pyproject.toml
	@.ci/virtual-environment "$(PYTHON)" "$(VENV)"
	@rm -f $(VENV)/.ready-*
	@touch $@

demo: setup
	@$(BIN)/python -m rollout demo $(DEMO)

test: setup lint
	@mkdir -p build
	$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup --no-loadscope-reorder --cov --cov-report=term $(TESTS)

lint: $(STAMP)
	@mkdir -p build
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy --no-error-summary
	$(BIN)/lint-imports > build/lint-imports.txt || { cat build/lint-imports.txt; exit 1; }

format: $(STAMP)
	$(BIN)/ruff check --quiet --fix .
	$(BIN)/ruff format .

bench: setup
	@mkdir -p build/bench
	$(BIN)/python -m tests.bench

montecarlo: setup
	$(BIN)/python -m tests.montecarlo

crds: $(STAMP)
	$(BIN)/rollout crds --write deploy/crds

image-check: $(STAMP)
	IMAGE_CHECK=1 $(BIN)/python -m pytest tests/deploy/test_image.py

acceptance: setup
	$(BIN)/python -m tests.acceptance.judge $(ACCEPTANCE)

e2e-kube: setup
	REQUIRE_REAL_KUBE=1 $(BIN)/python -m pytest tests/kube

lock:
	uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --no-header --no-emit-index-url --quiet --output-file requirements/dev.txt
	uv pip compile pyproject.toml --extra kubernetes --universal --python-version 3.11 --generate-hashes \
	  --no-annotate --no-header --no-emit-index-url --quiet --output-file requirements/run.txt
	echo hatchling | uv pip compile - --constraint requirements/dev.txt --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --no-header --no-emit-index-url --quiet --output-file requirements/build.txt

clean:
	rm -rf $(VENV) build .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
