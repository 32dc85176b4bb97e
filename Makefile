# Everything a developer types. Each target sets up what it needs first; nothing has to be installed by hand.

# The project's own tools (scripts/setup puts them there) come first.
export PATH := $(CURDIR)/target/tools/bin:$(PATH)

.PHONY: help
help: ## this list
	@sed -nE 's/^([a-z]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: build
build: ## the program: target/release/reprise
	@scripts/setup build
	cargo build --release --bin reprise

.PHONY: demo
demo: ## a shop in Docker, backed up, damaged, restored, rolled back (needs root or sudo)
	@scripts/setup demo
	@scripts/images & images=$$!; cargo build --release --bin reprise; built=$$?; wait $$images && exit $$built
	@demo/run

.PHONY: test
test: ## all checks and all tests (needs root or sudo)
	@scripts/test

.PHONY: check
check: ## formatting, lints, licences, scripts, sizes
	@scripts/setup test
	@scripts/check

.PHONY: sizes
sizes: ## lines per source file: past 400 warns, past 600 fails
	@scripts/sizes

.PHONY: reliability
reliability: ## every fault at every step of a restore, and docs/reliability.md (an hour and a half; needs root or sudo)
	@scripts/reliability

.PHONY: bench
bench: ## Reprise beside the programs it competes with
	@scripts/bench

.PHONY: fuzz
fuzz: ## random inputs for every parser of the Borg reader; see scripts/fuzz
	@scripts/fuzz

.PHONY: images
images: ## the Docker images that the demo and the tests use
	@scripts/setup demo
	@scripts/images

.PHONY: clean
clean: ## what was built, but not the tools (target/tools) and not the images
	@[ ! -d target ] || find target -mindepth 1 -maxdepth 1 ! -name tools -exec rm -rf {} +
