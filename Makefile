# The commands of the house. `make help` lists them.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

MODEL ?= models/hadal-nano
HOST ?= 127.0.0.1
PORT ?= 8080
WERROR ?= OFF
JOBS ?= $(shell nproc)
CTEST_ARGS ?=
TEXT ?= data/nano/work/corpus.docs
HADAL := build/release/hadal

.PHONY: help install build run test test-slow lint format tidy bench asan tsan fuzz fresh-machine clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z -]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' Makefile
	@echo "  variables: MODEL=$(MODEL) HOST=$(HOST) PORT=$(PORT) (run), ALL=1 (lint: every file), CTEST_ARGS='-R name' (test)"

install:  ## the Debian packages that building and running need
	@setup/install.sh build run

# cmake --preset runs once; later, ninja itself notices what changed.
build/%/build.ninja:
	cmake --preset $* $(if $(filter release,$*),-DHADAL_WERROR=$(WERROR)) $(CMAKE_ARGS)

build: install build/release/build.ninja  ## the program, at build/release/hadal
	@cmake --build --preset release --target hadal -j $(JOBS)

run: build  ## build, then serve MODEL: a page for the browser, an API for clients
	@if [ ! -f "$(MODEL)/config.json" ]; then \
	  echo "make run: $(MODEL) holds no model (config.json is missing); name one with MODEL=folder" >&2; exit 2; fi
	@exec $(HADAL) serve --model "$(MODEL)" --host "$(HOST)" --port "$(PORT)"

test:  ## install, build, and run every test that CI runs
	@setup/install.sh build run test
	@$(MAKE) --no-print-directory build/release/build.ninja
	@cmake -S . -B build/release -DHADAL_WERROR=$(WERROR) >/dev/null
	@cmake --build --preset release -j $(JOBS)
	ctest --preset release -j $(JOBS) -LE slow --no-tests=error $(CTEST_ARGS)

test-slow:  ## the tests that are too long for CI (label slow)
	@setup/install.sh build run test
	@$(MAKE) --no-print-directory build/release/build.ninja
	@cmake --build --preset release -j $(JOBS)
	ctest --preset release -L slow --no-tests=error $(CTEST_ARGS)

lint:  ## layers, file sizes, format, and clang-tidy on what changed since main (ALL=1: on every file)
	@setup/install.sh build test lint
	@python3 tests/lint/self_test.py
	@python3 tests/lint/hadal_lint.py all
	@tests/lint/format.sh
	@$(MAKE) --no-print-directory build/release/build.ninja
	@tests/lint/tidy.sh build/release $(if $(ALL),--all)

format:  ## write the house's format into every C++ file
	@setup/install.sh test
	@tests/lint/format.sh --fix

bench:  ## every benchmark, with its peers; results go to bench/results/
	@setup/install.sh build run bench
	@$(MAKE) --no-print-directory build/release/build.ninja
	@cmake --build --preset release -j $(JOBS)
	$(HADAL) bench limits
	bench/golden.py
	bench/train_vs_torch.py
	@if [ -d data/nano ]; then set -x; sh bench/resume_kill.sh; \
	  ctest --preset release -R text.reference_install && python3 bench/tokenizer.py --text $(TEXT); \
	else echo "bench: kill-and-resume and the tokenizer need data/nano: $(HADAL) data build recipes/nano/data.toml"; fi

# The fuzz targets' corpora are replayed by ctest; the browser and the pages are not what sanitizers look for.
asan tsan:  ## build with AddressSanitizer + UBSan (asan) or ThreadSanitizer (tsan) and run the tests
	@setup/install.sh build run test
	@$(MAKE) --no-print-directory build/$@/build.ninja CMAKE_ARGS=-DHADAL_WEB=OFF
	@cmake --build --preset $@ -j $(JOBS)
	ctest --preset $@ -j $(JOBS) -LE 'slow|e2e|lint' $(CTEST_ARGS)

fuzz:  ## build the libFuzzer targets with clang and give each FUZZ_SECONDS (default 30)
	@setup/install.sh build fuzz
	@cmake -S . -B build/fuzz -G Ninja -DCMAKE_CXX_COMPILER=clang++ -DCMAKE_C_COMPILER=clang -DHADAL_FUZZ=ON \
	  -DHADAL_WEB=OFF -DCMAKE_BUILD_TYPE=RelWithDebInfo
	@cmake --build build/fuzz -j $(JOBS)
	@for target in build/fuzz/*_fuzz; do [ -x "$$target" ] && [ -f "$$target" ] || continue; \
	  echo "== $$target"; name=$$(basename $$target _fuzz); mkdir -p build/fuzz/corpus/$$name; \
	  "$$target" -max_total_time=$${FUZZ_SECONDS:-30} -rss_limit_mb=4096 build/fuzz/corpus/$$name tests/fuzz/corpus/$$name || exit 1; done

fresh-machine:  ## prove `make run` and `make test` in a minimal Debian 12 (needs root and debootstrap)
	@bash bench/fresh_machine.sh

clean:  ## remove the builds
	rm -rf build
