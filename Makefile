# Every command of the project. `make help` lists them.

.DEFAULT_GOAL := help
.PHONY: help run run-lambda build-tested test prove lint fmt build-aws bench-call bench-peers bench-cold bench-discover bench-history bench-isolation bench-search eval-auto eval-schemas install clean-run

# Options of `sam build`: make build-aws SAM='--config-env prod'
SAM ?=

# Read by scripts/run.sh and by the benchmarks.
export ONCE LISTEN
# But not passed on to the make that builds the allocator: cargo appends its own flags, and make 4.4 takes what comes
# behind a variable for a target.
MAKEOVERRIDES =

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 18

run: ## a sample clinic on both databases, a server, and the story of a call; ONCE=1 ends after the story
	@scripts/run.sh

run-lambda: ## the same story, told to the endpoints as functions on emulators of AWS; ONCE=1 ends after it
	@scripts/run_lambda.sh

# cargo builds no binaries for tests of another package, and tests run these: the server, and all functions in one
# program. None of the functions' own programs is linked.
TESTED := --workspace --bin bindery --bin lambda --example subscriber

build-tested: ## the programs that tests run
	cargo build --locked $(TESTED)

test: install build-tested ## all tests, on a PostgreSQL and a MariaDB of their own and emulators of AWS
	cargo test --workspace --locked --tests

prove: install ## the same tests with many more generated statements, replays, duplicates, broken ways and rounds of kill -9
	cargo build --locked --release $(TESTED)
	BINDERY_PROVE=1 PROPTEST_CASES=20000 cargo test --workspace --locked --release --tests

# Tests build both backends into one; the second and the third line see what is deployed, and the server, without the
# other's.
lint: ## formatting, clippy, and what SAM and cfn-lint say of the template, as CI sees them
	cargo fmt --all --check
	cargo clippy --workspace --locked --all-targets -- -D warnings
	cargo clippy --package functions --locked --bin lambda -- -D warnings
	cargo clippy --package functions --locked --no-default-features --features embedded --bin bindery -- -D warnings
	scripts/check_template.sh

fmt: ## format the code
	cargo fmt --all

# The release profile is the local server's. Smaller functions start faster: docs/deploy.md has what was measured. This
# is the profile lambda-small, which `sam build` has no option for.
build-aws: ## what `sam deploy` takes to AWS: all functions in one small program; needs sam and cargo-lambda
	CARGO_PROFILE_RELEASE_LTO=fat CARGO_PROFILE_RELEASE_OPT_LEVEL=z CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1 sam build $(SAM)

bench-call: ## a live call against the same statement in the engine's own benchmark
	@scripts/bench_call.sh

bench-peers: ## a live call and its MCP twin beside MCP Toolbox for Databases and DBHub, on a million rows
	@scripts/bench_peers.sh

bench-cold: ## what a function costs to start, to keep and to ship, in each way to build it
	@scripts/bench_cold.sh

bench-history: ## verifying 100,000 events, and telling what was true at any point of them
	@scripts/bench_history.sh

bench-discover: ## discovery of 10,000 tables on PostgreSQL and of 2,000 on MariaDB
	@scripts/bench_discover.sh

bench-isolation: ## calls beside a database that is out of reach, and five times more calls than one can serve
	@scripts/install.sh
	cargo run --release --locked --package tests --no-default-features --bin bench_isolation

bench-search: ## the search index and the drafter on 10,000 tables of 20 columns
	cargo run --release --locked --package tests --no-default-features --bin bench_search

# Data of others, not part of the project: goals with known answers, and the schemas that they are about.
QUESTIONS ?= ../shared/questions
SCHEMAS ?= ../shared/schemas

eval-auto: ## what the embedded drafter makes of goals with known answers: QUESTIONS=dir SCHEMAS=dir
	@scripts/install.sh
	cargo run --locked --package tests --bin eval_auto -- "$(QUESTIONS)" "$(SCHEMAS)"

eval-schemas: ## discover every schema of SCHEMAS=dir (dir/postgresql/*.sql, dir/mysql/*.sql) and compare with the engine
	@scripts/eval_schemas.sh "$(SCHEMAS)"

install: ## look for what is needed, and install missing database servers, a pooler, a plugin, and what stands in for AWS or judges MCP
	@scripts/install.sh pgbouncer
	@scripts/mariadb_plugins.sh
	@scripts/aws_tools.sh
	@scripts/mcp_tools.sh

clean-run: ## end what `make run` or a benchmark left behind, and remove its data
	@scripts/clean_run.sh
