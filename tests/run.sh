#!/usr/bin/env bash
# Builds modelfs and tests it.
#
#   tests/run.sh             what the tests need, a Release build in build/, unit + contract + e2e
#   tests/run.sh PART...     only these parts, whole:
#     unit contract e2e      in build/
#     asan tsan              unit, contract, e2e and fault under ASan+UBSan or TSan, in build-asan/, build-tsan/
#     tidy                   clang 19: thread-safety analysis and clang-tidy; compiles nothing
#     lint                   format, shell scripts, layering, file sizes, house rules
#     bench                  the benchmarks: a bar that is not met is a failure; tables, build/bench.{json,md,svg}
#     fuzz                   the fuzz targets with clang 19, 60 s each, in build-fuzz/
#     fault                  the batteries of tests/fault, on build/; MODELFS_BATTERY=whole: all of each, hours
#     guest                  what only Debian's own kernel has, NFS among it, in qemu; by KVM where a guest comes up by it
#     soak                   the batteries of fault and fuzz again and again, with other seeds each time,
#                            until something fails, or for MODELFS_SOAK_MINUTES
#
# Every run ends with `N passed, N failed, N skipped` and fails when something failed.
# MODELFS_JOBS sets the number of jobs (default: all cores).
set -euo pipefail
cd "$(dirname "$0")/.."

jobs=${MODELFS_JOBS:-$(nproc)}
export MODELFS_TOOLS=${MODELFS_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/modelfs-tools}
# Trees and clones share what they compiled: paths below this folder count as relative to it.
export CCACHE_BASEDIR=$PWD CCACHE_NOHASHDIR=true
passed=0 failed=0 skipped=0
scratch=$(mktemp -d "${TMPDIR:-/tmp}/modelfs-tests-XXXXXX")
trap 'rm -rf "$scratch"' EXIT

say() { printf '[%4ds] %s\n' "$SECONDS" "$*"; }

# The first number before the word $1 in the text of $2, or 0.
number_before() { sed -n "s/.*[^0-9]\([0-9][0-9]*\) $1.*/\1/p;s/^\([0-9][0-9]*\) $1.*/\1/p" <<<"$2" | head -n 1 | grep . || echo 0; }

count() { passed=$((passed + $1)) failed=$((failed + $2)) skipped=$((skipped + $3)); }

# Configures and builds the tree $1 with the CMake arguments that follow.
build() {
  local tree=$1
  shift
  say "building $tree"
  # A cache from a folder that was copied or moved is of no use.
  if [ -f "$tree/CMakeCache.txt" ] && ! grep -qFx "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" "$tree/CMakeCache.txt"; then rm -rf "$tree"; fi
  cmake -S . -B "$tree" -G Ninja "$@" >"$scratch/cmake.log" || { cat "$scratch/cmake.log"; return 1; }
  cmake --build "$tree" -j "$jobs" >"$scratch/build.log" 2>&1 || { grep -vE '^\[[0-9]+/[0-9]+\] (Building|Linking)' "$scratch/build.log" | head -n 200; return 1; }
}

# Runs the GoogleTest programs of tree $1 whose names match $2, with the wrapper that follows.
run_gtests() {
  local tree=$1 pattern=$2 program summary code
  shift 2
  for program in "$tree"/bin/$pattern; do
    [ -x "$program" ] || { say "$program was not built"; count 0 1 0; continue; }
    say "running $program"
    code=0
    timeout "${gtest_seconds:-600}" "$@" "$program" --gtest_brief=1 >"$scratch/gtest.log" 2>&1 || code=$?
    # What the program logged is of interest only where it failed.
    [ "$code" = 0 ] || grep -vE '^\[ +PASSED' "$scratch/gtest.log" || true
    summary=$(grep -E '^\[ +(PASSED|FAILED|SKIPPED) +\] [0-9]+ test' "$scratch/gtest.log" || true)
    if ! grep -q PASSED <<<"$summary"; then # it crashed, or hung
      say "$program ended with status $code before its summary"
      count 0 1 0
      continue
    fi
    local bad
    bad=$(number_before test "$(grep FAILED <<<"$summary" || true)")
    [ "$code" = 0 ] || [ "$bad" != 0 ] || bad=1 # a sanitizer's report after the last test
    count "$(number_before test "$(grep PASSED <<<"$summary")")" "$bad" "$(number_before test "$(grep SKIPPED <<<"$summary" || true)")"
  done
}

# Runs the pytest suite tests/$2 on the programs of tree $1, with the wrapper that follows.
run_pytest() {
  local tree=$1 suite=tests/$2 code=0 summary
  shift 2
  say "running $suite on $tree/bin"
  MODELFS_BIN_DIR=$PWD/$tree/bin "$@" "$MODELFS_TOOLS/venv/bin/python" -m pytest "$suite" -q \
    -p no:cacheprovider --tb=short --durations=10 2>&1 | tee "$scratch/pytest.log" || code=$?
  summary=$(grep -E ' in [0-9.]+s' "$scratch/pytest.log" | tail -n 1)
  if [ -z "$summary" ]; then
    say "pytest ended with status $code before its summary"
    count 0 1 0
    return
  fi
  count "$(number_before passed "$summary")" \
    "$(($(number_before failed "$summary") + $(number_before error "$summary")))" "$(number_before skipped "$summary")"
}

# Each part is called where `set -e` does not reach: steps that must not fail end with `|| return`.

part_release() {
  [ -n "${release_built:-}" ] || build build -DCMAKE_BUILD_TYPE=Release || return
  release_built=yes
}

part_unit() { deploy/deps.sh test && part_release && run_gtests build 'unit-*'; }
part_contract() { deploy/deps.sh test && part_release && run_gtests build contract; }
part_e2e() { deploy/deps.sh test && part_release && run_pytest build e2e; }

# The batteries on the tree $1, with the wrapper that follows.
run_fault() {
  local tree=$1
  shift
  if [ "${MODELFS_BATTERY:-}" = whole ]; then
    local -x MODELFS_DISK_CASES=0 MODELFS_BIT_FLIPS=2000 MODELFS_POWER_LOSSES=300 MODELFS_INDEX_SEQUENCES=20000
    local gtest_seconds=21600
  fi
  run_gtests "$tree" 'fault-*' "$@"
  run_pytest "$tree" fault "$@"
}

part_guest() { deploy/deps.sh guest && part_release && run_pytest build guest; }
part_fault() { deploy/deps.sh test && part_release && run_fault build; }

# Unit, contract, e2e and fault in a tree of their own. $1: its name, $2: sanitizers. e2e reads fewer
# random positions there: instrumented code is several times slower.
sanitized() {
  local reads=${MODELFS_READS:-20000} big=${MODELFS_BIG_SIZE:-$((512 << 20))}
  deploy/deps.sh test || return
  say "e2e makes $reads random reads here instead of 200000, on a file of $((big >> 20)) MiB instead of 2048"
  build "build-$1" -DCMAKE_BUILD_TYPE=RelWithDebInfo -DMODELFS_SANITIZE="$2" || return
  # Fixed addresses: the shadow memory of g++ 12's sanitizers collides with much randomisation.
  run_gtests "build-$1" 'unit-*' setarch -R
  run_gtests "build-$1" contract setarch -R
  [ "${MODELFS_E2E_SLICE:-}" != none ] || { say "e2e and fault are left out"; return; }
  local -x MODELFS_READS="$reads" MODELFS_BIG_SIZE="$big" MODELFS_SANITIZER="$1"
  run_pytest "build-$1" e2e setarch -R
  run_fault "build-$1" setarch -R
}

part_asan() {
  local -x ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1:check_initialization_order=1:strict_string_checks=1
  local -x UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
  sanitized asan address,undefined
}

part_tsan() {
  local -x TSAN_OPTIONS=halt_on_error=0:second_deadlock_stack=1:history_size=4
  [ ! -f tests/tsan.supp ] || TSAN_OPTIONS+=:suppressions=$PWD/tests/tsan.supp
  sanitized tsan thread
}

part_tidy() {
  local files good
  deploy/deps.sh lint || return
  # Nothing is compiled: clang-tidy sees the warnings of its compiler, -Wthread-safety among them,
  # and -Werror makes each an error. Precompiled headers would have to be built first.
  say "configuring build-tidy"
  cmake -S . -B build-tidy -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_COMPILER=clang++-19 \
    -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON -DCMAKE_EXPORT_COMPILE_COMMANDS=ON -DMODELFS_FUZZ=ON >"$scratch/cmake.log" \
    || { cat "$scratch/cmake.log"; return 1; }
  cmake --build build-tidy --target modelfs_csi_proto_files >/dev/null || return
  mapfile -t files < <(git ls-files '*.cc')
  say "clang-tidy-19 on ${#files[@]} files"
  printf '%s\n' "${files[@]}" | xargs -P "$jobs" -I{} tests/lint/tidy_one.sh {} build-tidy "$scratch/tidy-good" || true
  good=$(wc -l <"$scratch/tidy-good" || echo 0)
  count "$good" "$((${#files[@]} - good))" 0
}

part_lint() {
  local summary
  deploy/deps.sh lint || return
  tests/lint/lint.sh >"$scratch/lint.log" || true
  sed "\$d" "$scratch/lint.log"
  summary=$(tail -n 1 "$scratch/lint.log")
  count "$(number_before passed "$summary")" "$(number_before failed "$summary")" 0
}

part_bench() {
  local summary
  deploy/deps.sh bench && part_release || return
  say "the index, with ten million chunks"
  if build/bin/index-bench >build/index-bench.json; then count 1 0 0; else count 0 1 0; fi
  cat build/index-bench.json
  say "benchmarks: about two hours; MODELFS_BENCH=--quick makes one round"
  # shellcheck disable=SC2086 # several words
  MODELFS_BIN_DIR=$PWD/build/bin "$MODELFS_TOOLS/venv/bin/python" tests/bench/bench.py --json build/bench.json \
    --merge index=build/index-bench.json ${MODELFS_BENCH:-} | tee "$scratch/bench.log" || true
  summary=$(tail -n 1 "$scratch/bench.log")
  grep -q ' passed, ' <<<"$summary" || return # it ended before its last line
  count "$(number_before passed "$summary")" "$(number_before failed "$summary")" "$(number_before skipped "$summary")"
}

part_fuzz() {
  deploy/deps.sh test || return
  deploy/deps.sh lint || return
  build build-fuzz -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_CXX_COMPILER=clang++-19 -DMODELFS_FUZZ=ON -DMODELFS_TESTS=OFF \
    -DMODELFS_CSI=OFF -DMODELFS_SANITIZE=address,undefined || return
  say "running the fuzz targets, ${MODELFS_FUZZ_SECONDS:-60} s each"
  python3 tests/fuzz/run.py build-fuzz | tee "$scratch/fuzz.log" || true
  count "$(number_before passed "$(tail -n 1 "$scratch/fuzz.log")")" "$(number_before failed "$(tail -n 1 "$scratch/fuzz.log")")" 0
}

# The failure's own output names the seed; so does the line of its round.
part_soak() {
  local round=0 end=$((SECONDS + ${MODELFS_SOAK_MINUTES:-525600} * 60))
  local -x MODELFS_SEED MODELFS_FAULT_SEEDS
  deploy/deps.sh test && part_release || return
  while [ "$failed" = 0 ] && [ "$SECONDS" -lt "$end" ]; do
    round=$((round + 1)) MODELFS_SEED=$((RANDOM << 15 | RANDOM)) MODELFS_FAULT_SEEDS=$((RANDOM))
    say "soak: round $round, MODELFS_SEED=$MODELFS_SEED MODELFS_FAULT_SEEDS=$MODELFS_FAULT_SEEDS"
    run_fault build
    part_fuzz || return
  done
}

parts=("$@")
[ $# -gt 0 ] || parts=(unit contract e2e)
for part in "${parts[@]}"; do
  case $part in
    unit | contract | e2e | asan | tsan | tidy | lint | bench | fuzz | fault | guest | soak)
      say "part $part"
      # In this shell, so that counts add up; a failure of any step ends it and counts as one.
      if ! "part_$part"; then count 0 1 0; say "part $part: could not be run"; fi
      ;;
    *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
  esac
done
say "done: ${parts[*]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
