#!/usr/bin/env bash
# From a fresh clone to a mounted model, in one command.
#
#   deploy/quickstart.sh [--keep]
#
# Installs what is missing, builds modelfs, starts an S3 server of its own with a sample model behind
# a slow link (400 Mbit/s, 20 ms), mounts it, and shows what a load costs while the model is not there
# yet, and what it costs afterwards. Takes everything down again, or leaves it up with --keep.
# Touches nothing but build/ and a temporary folder.
set -euo pipefail
cd "$(dirname "$0")/.."

keep=no
case "${1:-}" in
  --keep) keep=yes ;;
  "") ;;
  *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
esac

tensors=64
tensor_mib=8
model_mib=$((tensors * tensor_mib))
work=$(mktemp -d "${TMPDIR:-/tmp}/modelfs-quickstart-XXXXXX")
mountpoint=$work/mnt
modelfs=build/bin/modelfs
origin_pid=

say() { printf '\n== %s\n' "$*"; }
die() { printf 'quickstart: %s\n' "$*" >&2; exit 1; }

clean_up() {
  local status=$?
  [ "$keep" = yes ] && [ "$status" = 0 ] && return
  if mountpoint -q "$mountpoint"; then "$modelfs" umount "$mountpoint" || true; fi
  [ -z "$origin_pid" ] || kill "$origin_pid" 2>/dev/null || true
  # Never through a mount that would not go.
  mountpoint -q "$mountpoint" || rm -rf "$work"
}
trap clean_up EXIT

# Writes a valid safetensors file: 8 bytes of header length, a JSON header, the tensors' bytes.
make_sample_model() { # $1: path
  local header='{' i bytes=$((tensor_mib << 20)) length
  for ((i = 0; i < tensors; i++)); do
    header+="\"layers.$i.weight\":{\"dtype\":\"F16\",\"shape\":[$((bytes / 4096)),2048],\"data_offsets\":[$((i * bytes)),$(((i + 1) * bytes))]},"
  done
  header="${header%,}}"
  while [ $(((${#header} + 8) % 4096)) != 0 ]; do header+=' '; done # tensors begin on a page
  length=${#header}
  for ((i = 0; i < 8; i++)); do
    # shellcheck disable=SC2059  # the format is the byte
    printf "\\x$(printf %02x $(((length >> (8 * i)) & 255)))"
  done >"$1"
  printf '%s' "$header" >>"$1"
  head -c "$((tensors * bytes))" /dev/urandom >>"$1"
}

# Prints bytes [$2, $2+$3) of file $1.
part_of() { dd if="$1" iflag=skip_bytes,count_bytes skip="$2" count="$3" bs=1M status=none; }

# Reads the header of safetensors file $1 and the first tensor, as a loader does.
read_first_tensor() {
  local length
  length=$(part_of "$1" 0 8 | od -An -t u8 | tr -d ' ')
  [[ $(part_of "$1" 8 "$length") == *'"layers.0.weight"'* ]]
  part_of "$1" $((8 + length)) $((tensor_mib << 20))
}

forget_pages() { dd if="$1" iflag=nocache count=0 status=none; }

now_us() { local now=$EPOCHREALTIME; printf '%s' "${now/[.,]/}"; }

# Runs the command that follows and sets `took_us`.
timed() {
  local begun
  begun=$(now_us)
  "$@" >/dev/null
  took_us=$(($(now_us) - begun))
}

seconds() { printf '%d.%02d s' $(($1 / 1000000)) $(($1 % 1000000 / 10000)); }
mib_per_s() { printf '%d MiB/s' $((model_mib * 1000000 / ($1 > 0 ? $1 : 1))); }
row() { printf '| %-46s | %10s | %12s | %-38s |\n' "$@"; }

mount_it() {
  "$modelfs" mount --source "models=s3://models" --endpoint "$url" --anonymous --cache "$work/cache" "$mountpoint"
}

# Prints the number $1 of the daemon's status.
status_of() { "$modelfs" status --json "$mountpoint" | sed -n "s/.*\"$1\": *\([0-9]*\).*/\1/p" | head -n 1; }

say "installing what is missing"
deploy/deps.sh build
[ -e /dev/fuse ] || die "there is no /dev/fuse here: run 'modprobe fuse', or give the container that device"

say "building (a few minutes the first time)"
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=Release >"$work/cmake.log" || { cat "$work/cmake.log"; die "cmake failed"; }
cmake --build build --target modelfs modelfs-origin

say "making a sample model of $model_mib MiB and serving it over 400 Mbit/s with 20 ms latency"
mkdir -p "$work/origin/models/sample" "$mountpoint"
model=$work/origin/models/sample/model.safetensors
make_sample_model "$model"
printf '{"model_type": "sample"}\n' >"$work/origin/models/sample/config.json"
: >"$work/origin.out"
build/bin/modelfs-origin --root "$work/origin" --port 0 --latency 20ms --total-rate 400Mbit/s >"$work/origin.out" 2>&1 &
origin_pid=$!
for ((i = 0; i < 100; i++)); do
  url=$(sed -n 's/.*listening \(http[^ ]*\).*/\1/p' "$work/origin.out")
  [ -z "$url" ] || break
  kill -0 "$origin_pid" 2>/dev/null || die "the S3 server did not start: $(cat "$work/origin.out")"
  read -rt 0.1 <> <(:) || true
done
[ -n "$url" ] || die "the S3 server does not answer"

say "mounting"
timed mount_it
mount_us=$took_us
file=$mountpoint/models/sample/model.safetensors
timed ls -lR "$mountpoint/models"
list_us=$took_us

begun=$(now_us)
timed read_first_tensor "$file"
first_us=$took_us
here_by_then=$(($(status_of fetched_bytes) >> 20))
cat "$file" >/dev/null
whole_us=$(($(now_us) - begun))
cmp "$file" "$model" || die "the mount shows other bytes than the origin has"
timed cat "$file"
again_us=$took_us
forget_pages "$file"
timed cat "$file"
disk_us=$took_us

"$modelfs" umount "$mountpoint"
timed mount_it
remount_us=$took_us
timed read_first_tensor "$file"
first_again_us=$took_us
timed cat "$file"
whole_again_us=$took_us
asked=$(status_of fetch_requests)

say "what it cost"
row "step" "time" "throughput" "note"
row "----------------------------------------------" "---------:" "-----------:" "--------------------------------------"
row "mount" "$(seconds "$mount_us")" "" "cold: nothing is here"
row "ls -lR" "$(seconds "$list_us")" "" "no object is read"
row "first tensor ($tensor_mib MiB) usable" "$(seconds "$first_us")" "" "$here_by_then of $model_mib MiB had arrived"
row "whole model here (download ended)" "$(seconds "$whole_us")" "$(mib_per_s "$whole_us")" "a download-first start waits for this"
row "second read" "$(seconds "$again_us")" "$(mib_per_s "$again_us")" "from the page cache"
row "third read, pages forgotten" "$(seconds "$disk_us")" "$(mib_per_s "$disk_us")" "from the chunk cache"
row "unmounted and mounted again" "$(seconds "$remount_us")" "" ""
row "first tensor usable" "$(seconds "$first_again_us")" "" "from the chunk cache"
row "whole model read" "$(seconds "$whole_again_us")" "$(mib_per_s "$whole_again_us")" "$asked requests to the origin"

cat <<END

The first tensor was usable $(seconds $((whole_us - first_us))) before the download ended.

Your own bucket (credentials as for the AWS command line: environment, or a profile of ~/.aws):

  mkdir -p ~/models
  $PWD/$modelfs mount --source s3://BUCKET/PREFIX ~/models
  ls -l ~/models/BUCKET
  $PWD/$modelfs status ~/models
  $PWD/$modelfs umount ~/models

MinIO and the like: add --endpoint https://HOST:PORT. A public bucket: add --anonymous.
END

if [ "$keep" = yes ]; then
  cat <<END

Left up: $mountpoint. To take it down:

  $PWD/$modelfs umount $mountpoint; kill $origin_pid; rm -rf $work
END
fi
