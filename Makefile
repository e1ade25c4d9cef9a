# make install | demo | lab | test | compat | libraries | servers | common-tests | lint | docs        (Python 3.11; the virtual environment is made on first use)
WINDOWS := $(filter Windows_NT,$(OS))
PYTHON ?= $(if $(WINDOWS),python,python3)
VENV := .venv
BIN := $(VENV)/$(if $(WINDOWS),Scripts,bin)
# All, or those of a file, with a log of its own: make faults FAULTS=tests/test_readers.py FAULTS_LOG=readers.log
FAULTS :=
FAULTS_LOG := benchmarks/results/faults.log

.PHONY: install demo lab test test-slow faults compat common-tests libraries servers lint docs docs-serve

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# torch first: a CPU build given to pip by the user is then kept instead of the registry's CUDA build.
$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	touch $@

install: $(VENV)/.installed

demo: $(VENV)/.installed
	$(BIN)/hf-embeddings pretrain configs/pretraining/demo.yaml

lab: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[viz]'
	$(BIN)/hf-embeddings position-lab configs/pretraining/position-lab.yaml

# A worker for each core, with one thread each: the models of the tests are too small to share among threads.
test: $(VENV)/.tested
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --dist loadscope --no-loadscope-reorder

test-slow: $(VENV)/.tested
	$(BIN)/python -m pytest -m slow

faults: $(VENV)/.tested
	FAULTS_LOG=$(FAULTS_LOG) $(BIN)/python -m pytest -m '' $(FAULTS)

# Environments that know nothing of this package, on the torch of the first one, for each transformers that is tried.
TRANSFORMERS := 4.57.6 5.0.0 5.3.0 5.4.0 5.5.4 5.8.1 5.12.1 5.14.0 5.15.1 5.16.0 5.23.0 5.24.0
TOO_OLD := 4.52.4 4.53.3
pythons = $$(echo $(1:%=$(CURDIR)/$(VENV)/compat-%/bin/python) | tr ' ' ':')
$(VENV)/compat-%/.made: | $(VENV)/.tested
	@echo "installing transformers $*"
	$(PYTHON) -m venv $(@D)
	ls -d $(CURDIR)/$(VENV)/lib/python*/site-packages > $$(ls -d $(@D)/lib/python*/site-packages)/base.pth
	$(@D)/bin/pip install --quiet --disable-pip-version-check transformers==$*
	touch $@

compat: $(TRANSFORMERS:%=$(VENV)/compat-%/.made) $(TOO_OLD:%=$(VENV)/compat-%/.made)
	COMPAT_PYTHONS=$(call pythons,$(TRANSFORMERS)) COMPAT_TOO_OLD=$(call pythons,$(TOO_OLD)) \
		$(BIN)/python -m pytest -m compat tests/compat

# The tests that transformers has for each of its models, from its source distribution, on all our classes.
OWN_TESTS := $(VENV)/transformers-tests
$(OWN_TESTS)/.made: constraints.txt | $(VENV)/.tested
	rm -rf $(@D)
	$(BIN)/pip download --quiet --disable-pip-version-check --no-deps --no-binary transformers --dest $(@D) \
		$$(grep '^transformers==' constraints.txt)
	tar xzf $(@D)/transformers-*.tar.gz -C $(@D) --strip-components 1
	$(BIN)/pip install --quiet --disable-pip-version-check --target $(@D)/installed parameterized
	touch $@

common-tests: $(OWN_TESTS)/.made
	TRANSFORMERS_TESTS=$(CURDIR)/$(OWN_TESTS)/tests PYTHONPATH=$(CURDIR)/$(OWN_TESTS)/installed OMP_NUM_THREADS=1 \
		$(BIN)/python -m pytest -o addopts= -W ignore -m common -n logical --dist loadscope \
		tests/compat/test_transformers_own_tests.py

# Libraries that take a transformers model, in environments on top of the first one; the page says with which releases.
install := pip install --quiet --disable-pip-version-check
layer = $(PYTHON) -m venv $(@D) && \
	ls -d $(CURDIR)/$(VENV)/lib/python*/site-packages > $$(ls -d $(@D)/lib/python*/site-packages)/base.pth
$(VENV)/libraries/.made: tests/libraries/requirements.txt tests/libraries/requirements-unresolved.txt | $(VENV)/.tested
	$(layer)
	$(@D)/bin/$(install) -c constraints.txt -r tests/libraries/requirements.txt
	$(@D)/bin/$(install) --no-deps -r tests/libraries/requirements-unresolved.txt
	touch $@

$(VENV)/libraries-pylate/.made: tests/libraries/requirements-pylate.txt | $(VENV)/.tested
	$(layer)
	$(@D)/bin/$(install) --no-deps -r tests/libraries/requirements-pylate.txt
	touch $@

libraries: $(VENV)/libraries/.made $(VENV)/libraries-pylate/.made
	$(BIN)/python -m tests.libraries.matrix $(VENV)/libraries/bin/python --pylate $(VENV)/libraries-pylate/bin/python

# What loads an export for servers, each with the releases that it asks for: packages in folders, without their own torch.
# sentence-transformers' onnx backend needs optimum, which asks for transformers 4.57 or older.
SERVERS := $(CURDIR)/$(VENV)/servers
$(VENV)/servers/.made: $(wildcard tests/exporting/engines/*.txt) | $(VENV)/.tested
	$(BIN)/$(install) --target $(@D)/fastembed --upgrade --no-deps -r tests/exporting/engines/fastembed.txt
	$(BIN)/$(install) --target $(@D)/optimum --upgrade --no-deps -r tests/exporting/engines/optimum.txt
	mkdir -p $(@D)/node
	-cd $(@D)/node && npm install --silent --no-audit --no-fund --ignore-scripts @huggingface/transformers@4.3.2
	touch $@

servers: $(VENV)/servers/.made
	SERVERS=$(SERVERS) $(BIN)/python -m pytest -m servers tests/exporting

# mypy reads the package as it is installed, with its rooms from all over the checkout in their places.
TYPED := $(VENV)/typed
$(VENV)/.tools: $(VENV)/.tested
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

lint: $(VENV)/.tools
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf $(TYPED) && mkdir -p $(TYPED)
	cp -Rp hf_embeddings $(TYPED)/
	cp -Rp conversion configs $(TYPED)/hf_embeddings/
	cd $(TYPED) && $(CURDIR)/$(BIN)/mypy --config-file ../../pyproject.toml --cache-dir ../mypy -p hf_embeddings

# The site, in site/. A broken link or a page that the navigation lacks stops it.
docs: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(BIN)/python -m docs.generator.reference
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

docs-serve: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve
