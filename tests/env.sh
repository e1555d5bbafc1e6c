# Sourced by tests/run, .ci/run and examples/quickstart: where caches are, and what must be there before anything starts.
# Caches live outside of the checkout, keyed by what they depend on, so that a fresh clone finds them warm.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/albsync"

say() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*" >&2; }
fail() { printf 'albsync: %s\n' "$*" >&2; exit 1; }

# need COMMAND PACKAGE…: installs Debian packages by name when the command is missing.
need() {
    local command=$1; shift
    command -v "$command" >/dev/null 2>&1 && return 0
    command -v apt-get >/dev/null 2>&1 || fail "$command is missing; install the package $1 of your system"
    [ "$(id -u)" = 0 ] || fail "$command is missing; install it with: apt-get install $*"
    say "installing $*"
    if [ -z "${APT_UPDATED:-}" ]; then apt-get update -qq >&2; APT_UPDATED=1; fi
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "$@" >&2
}

for command in cargo git python3 go; do
    command -v $command >/dev/null 2>&1 || fail "$command is missing (needed: a Rust toolchain, Go 1.21 or newer, Python 3, git, systemd's tools)"
done
need cc build-essential
need make make
need perl perl
need openssl openssl
need flock util-linux
python3 -c 'import ensurepip, venv' 2>/dev/null || need python3-venv-missing python3-venv

# One target directory for each compiler: dependencies are compiled once for all checkouts.
if [ -z "${CARGO_TARGET_DIR:-}" ]; then
    RUST_KEY=$(rustc -vV | sha256sum | cut -c1-12)
    export CARGO_TARGET_DIR="$CACHE/target/$RUST_KEY"
fi
mkdir -p "$CARGO_TARGET_DIR"
# Incremental files of checkouts that are gone would pile up there.
export CARGO_INCREMENTAL="${CARGO_INCREMENTAL:-1}"
