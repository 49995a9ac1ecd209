# `make run` and `make test` need Python 3.11 or later, git and make; everything else is set up in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TORCH ?= torch==2.13.0
ATHERIS ?= atheris==3.0.0
SECONDS_EACH ?= 60
PAGES := README.md CONTRIBUTING.md CHANGELOG.md docs benchmarks
OUTSIDE := '(<(script|img|iframe|source)[^>]* src=|<link[^>]*rel="?(stylesheet|icon|pre[a-z]*)[^>]* href=|url\(|@import ).?(https?:)?//[^ >)]*'
ALONE := not sft and not clients and not browser and not ray and not latex
BENCHMARKS := http_clients overhead grading scheduling makespan in_flight prefix_cache embedded resume hundred_thousand tuning

.PHONY: run test test-slow test-sft test-clients test-browser test-ray test-latex check docs examples notebook format fuzz bench student clean

run: $(VENV)/local  ## solve a problem, the trace live; MODEL=student for the small model, or another of `scale list models`
	@$(BIN)/scale example $(MODEL) || test $$? -eq 1

test: $(VENV)/dev $(VENV)/model  ## the quick tests that need no other service, 2 minutes
	$(BIN)/pytest -m 'not slow and $(ALONE)'

test-slow: $(VENV)/dev $(VENV)/model  ## the tests that wait, start processes or try every case; all examples of properties
	$(BIN)/pytest --hypothesis-profile=all -m '(slow or hypothesis) and $(ALONE)'

test-sft: $(VENV)/dev $(VENV)/model $(VENV)/sft  ## the tests that train and load checkpoints
	$(BIN)/pytest -m sft

test-clients: $(VENV)/clients  ## the proxy with clients that others wrote
	$(BIN)/pytest -m clients

test-browser: $(VENV)/browser  ## the viewer in Debian's Chromium
	$(BIN)/pytest -m browser

test-ray: $(VENV)/ray  ## runs on a Ray of this machine, its workers killed
	$(BIN)/pytest -m ray

test-latex: $(VENV)/latex  ## tables of reports set by Debian's pdfLaTeX
	$(BIN)/pytest -m latex

check: $(VENV)/dev  ## lint, format, types, directions of imports, links and anchors of pages, spelling
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports
	$(BIN)/rumdl check --quiet --no-cache --enable MD051,MD057 $(PAGES)
	$(BIN)/codespell $(PAGES) src examples student fuzz Makefile pyproject.toml mkdocs.yml

docs: $(VENV)/docs  ## the pages as a site in build/site, with the reference that is made from the code
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	@! grep -rnoE $(OUTSIDE) build/site --include='*.html' --include='*.css' || { echo "the site loads this from elsewhere"; exit 1; }
	@echo "build/site/index.html"

examples: $(VENV)/model  ## the programs of examples/, on the student and on its base model
	for program in examples/*.py; do $(BIN)/python $$program || exit 1; done

notebook: $(VENV)/notebook $(VENV)/model  ## examples/first_hour.ipynb from its first cell to its last, on the student
	$(BIN)/jupyter-execute examples/first_hour.ipynb

format: $(VENV)/dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

fuzz: $(VENV)/dev  ## everything that reads text, by coverage; SECONDS_EACH=600 make fuzz for longer
	$(BIN)/python -m pip install --quiet '$(ATHERIS)'
	$(BIN)/python fuzz/run.py $(SECONDS_EACH)

bench: $(VENV)/dev $(VENV)/model  ## what benchmarks/RESULTS.md has, 20 minutes; other programs there take longer or fetch more
	for name in $(BENCHMARKS); do echo "== $$name" && $(BIN)/python benchmarks/$$name.py || exit 1; done

$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or later is needed: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "no venv module: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade pip
	@touch $@

$(VENV)/local: $(VENV)/python pyproject.toml
	@echo "Installing SCALE and llama.cpp into $(VENV): about a minute, once."
	@$(BIN)/python -m pip install --quiet --editable '.[local]'
	@touch $@

$(VENV)/dev: $(VENV)/local
	@echo "Installing what the tests need into $(VENV), once."
	$(BIN)/python -m pip install --quiet --editable '.[local,view,plots,data]' --group dev
	@touch $@

$(VENV)/sft: $(VENV)/dev
	@echo "Installing PyTorch and what fine-tuning needs into $(VENV): some minutes, once."
	$(BIN)/python -m pip install --quiet '$(TORCH)' --editable '.[sft]'
	@touch $@

$(VENV)/ray: $(VENV)/dev
	$(BIN)/python -m pip install --quiet --editable '.[ray]'
	@touch $@

$(VENV)/docs: $(VENV)/dev
	$(BIN)/python -m pip install --quiet --group docs
	@touch $@

$(VENV)/notebook: $(VENV)/dev
	$(BIN)/python -m pip install --quiet --group notebook
	@touch $@

$(VENV)/clients: $(VENV)/dev
	$(BIN)/python -m pip install --quiet --group clients
	@touch $@

$(VENV)/browser: $(VENV)/dev
	@command -v chromium >/dev/null || { test "$$(id -u)" -eq 0 && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || { echo "no chromium: apt-get install chromium"; exit 1; }
	$(BIN)/python -m pip install --quiet --group browser
	@touch $@

$(VENV)/latex: $(VENV)/dev
	@kpsewhich booktabs.sty >/dev/null 2>&1 || { test "$$(id -u)" -eq 0 && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends texlive-latex-recommended >/dev/null; } || { echo "no LaTeX: apt-get install texlive-latex-recommended"; exit 1; }
	@touch $@

$(VENV)/model: $(VENV)/local  ## the student and its base model, which tests need; not the default model
	$(BIN)/scale fetch student
	@touch $@

student: $(VENV)/sft  ## make the student anew in OUT (student-run), and install it: three hours, nothing beside it
	$(BIN)/python -m student $(or $(OUT),student-run) --install

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
