# What people and CI call. Anything with an `if` is Rust, in xtask/.

# With another HOME than the one rustup was installed in (CI), its cargo still finds the toolchains.
export RUSTUP_HOME ?= $(or $(wildcard $(dir $(shell command -v cargo 2>/dev/null))../../.rustup),$(HOME)/.rustup)

.PHONY: help demo test fuzz bench requirements pages doc lint fmt clean
help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /make \1\t/p' Makefile | expand -t 20
demo: ## the whole life of a Trusted Component on loopback (V=1 decodes every message, KEEP=1 leaves it running)
	cargo xtask setup && cargo xtask ta && cargo run --package teep-cli -- demo
test: ## install what the tests need, check the format, lint, run every test
	cargo xtask test
fuzz: ## look for inputs that break what reads bytes from outside, SECONDS=60 long
	cargo xtask fuzz --seconds $(or $(SECONDS),60)
bench: ## what a SUIT manifest costs beyond its cryptography, and a flood of empty POSTs; fails over the bounds
	cargo bench --package suit --bench cost && cargo bench --package teep-server --bench first_contact
requirements: ## each requirement with the tests that prove it; fails where none does; writes docs/requirements.txt
	cargo xtask requirements
pages: ## run the commands that the book shows, and renew what they print
	cargo xtask pages --write
doc: ## the documentation of every crate, in target/doc
	RUSTDOCFLAGS="--deny warnings" cargo doc --workspace --no-deps
lint: ## clippy, warnings are errors
	cargo clippy --workspace --all-targets -- --deny warnings
fmt: ## format the code
	cargo fmt --all && cargo fmt --all --manifest-path examples/Cargo.toml && cargo fmt --all --manifest-path fuzz/Cargo.toml
clean: ## remove everything that was built
	cargo clean
