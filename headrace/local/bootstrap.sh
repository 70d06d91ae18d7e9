#!/bin/sh
# From a machine with nothing but Python 3.11, JDK 17 and Maven to an installed Headrace. Quick when all is there.
#   sh headrace/local/bootstrap.sh [platform|flink|airflow|dashboards …]      default: what `make run` needs
# On Debian as root it installs what is missing by apt-get; HEADRACE_NO_APT=1 forbids that.
set -eu
cd "$(dirname "$0")/../.."
UV=0.13.8
PYTHON=${PYTHON:-python3.11}

say() { printf '%s\n' "$*" >&2; }

# need WHAT PACKAGES CHECK: installs the packages when CHECK fails and we may; else one message.
need() {
    eval "$3" >/dev/null 2>&1 && return 0
    if [ "$(id -u)" = 0 ] && [ -z "${HEADRACE_NO_APT:-}" ] && command -v apt-get >/dev/null 2>&1; then
        say "installing $1 by apt-get ($2)"
        # shellcheck disable=SC2086 # several packages
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $2; } >/dev/null 2>&1 || true
        eval "$3" >/dev/null 2>&1 && return 0
    fi
    missing="${missing:-}
  $1 is missing.
  hint: install it, on Debian or Ubuntu: sudo apt-get install $2"
}

# The version is in the first line: openjdk version "17.0.15" …
java_is_17() { [ "$(java -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1)" -ge 17 ]; }

need "Python 3.11 ($PYTHON)" "python3.11 python3.11-venv" "$PYTHON -c 'import ensurepip, venv, sys; assert sys.version_info[:2] == (3, 11)'"
need "a JDK, 17 or later (java)" "openjdk-17-jdk-headless" "java_is_17"
need "Maven (mvn)" "maven" "mvn -v"
if [ -n "${missing:-}" ]; then
    say "${missing#?}"
    exit 1
fi

# uv, at the version that wrote the lock file, in a tiny environment of its own; moved into place when it is whole.
if [ "$(.tools/uv/bin/uv --version 2>/dev/null | cut -d' ' -f2)" != "$UV" ]; then
    rm -rf .tools/uv.part
    mkdir -p .tools
    if ! said=$({ "$PYTHON" -m venv .tools/uv.part && .tools/uv.part/bin/pip install -q "uv==$UV"; } 2>&1); then
        say "  uv $UV could not be installed from the package index"
        say "$(printf '%s\n' "$said" | tail -n 4 | sed 's/^/  hint: /')"
        exit 1
    fi
    rm -rf .tools/uv
    mv .tools/uv.part .tools/uv
fi

exec "$PYTHON" -m headrace.local.install "$@"
