#!/usr/bin/env bash
# The house rules that a program can check. Prints one line per place that breaks one, and last
# `N passed, N failed`, counting rules.
set -euo pipefail
cd "$(dirname "$0")/../.."

passed=0 failed=0

# Counts rule $1 as kept or broken; standard input holds the places that break it, one a line.
rule() {
  local places
  places=$(sort -u)
  if [ -z "$places" ]; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf '%s\n' "$places" | sed "s|^|lint: $1: |"
  fi
}

# Our C++ files below the given folders (default: all), less those that are deleted but not committed.
sources() {
  git ls-files -- "${@:-.}" | while read -r file; do
    case $file in *.cc | *.h) [ ! -f "$file" ] || printf '%s\n' "$file" ;; esac
  done
}

# Prints `file:line: text` where pattern $1 matches in the files named on standard input.
matches() { xargs -r grep -HnE "$1" || true; }

badly_formatted() {
  sources | { xargs -r clang-format-19 --dry-run -Werror 2>&1 || true; } |
    sed -n "s/:[0-9]*:[0-9]*: error:.*//p"
}

shell_complaints() {
  git ls-files | while read -r file; do
    if [ -f "$file" ] && head -n 1 "$file" | grep -qaE '^#!.*\b(bash|sh)$'; then printf '%s\n' "$file"; fi
  done | { xargs -r shellcheck -f gcc || true; }
}

upward_includes() {
  sources fetch | matches '#include "(index|fs|tests)/'
  sources index | matches '#include "(fs|tests)/'
  sources fs | matches '#include "tests/'
}

sleeps() {
  sources tests | matches '\b(sleep_for|sleep_until|usleep|nanosleep|sleep) *\('
  git ls-files 'tests/*.py' | matches '\bsleep\('
}

# CMake globs tests/unit/PROGRAM, tests/contract, tests/fuzz and tests/support; pytest collects test_*.py.
orphans() {
  sources tests | grep '\.cc$' | grep -vE '^tests/(unit/(fetch|index|fs|support)|contract|support|bench|fuzz|fault)/' || true
  git ls-files 'tests/*.py' | { xargs -r grep -lE '^ *def test_' || true; } | grep -vE '/test_[^/]*\.py$' || true
}

rule 'not formatted (clang-format-19 -i)' < <(badly_formatted)
rule 'shellcheck' < <(shell_complaints)
rule 'includes upward (fs -> index -> fetch)' < <(upward_includes)
rule 'longer than 400 lines' < <(sources | xargs -r wc -l | awk '$2 != "total" && $1 > 400 {print $2 ": " $1}')
# A child between fork and exec may be given one.
rule 'reads the environment outside fs/config' < <(sources fetch index fs | grep -vE '^fs/config(/|\.cc)' |
  matches '\b(secure_)?getenv *\(|\bsetenv *\(|\benviron\b')
rule 'a test sleeps (wait for a condition, with a limit)' < <(sleeps)
rule 'a test that nobody builds or runs' < <(orphans)
# A skip must say on its line which component cannot be had.
rule 'a test that is switched off' < <(git grep -nE 'DISABLED_|GTEST_SKIP|pytest\.skip|mark\.skip|mark\.xfail' -- 'tests/*.cc' 'tests/*.py' |
  grep -vE '(pytest\.skip\(|reason=)"[^"]*cannot be had|GTEST_SKIP\(\) << "[^"]*(no io_uring|O_DIRECT is refused|not installed)' || true)
rule 'a construct that the style rules out' < <(sources fetch index fs |
  matches '^[^/]*\b(throw |co_await|co_return|std::future|std::promise|std::format|std::mutex)\b' | grep -v '^fetch/base/mutex\.h' || true)
rule 'header without #pragma once' < <(sources | grep '\.h$' | xargs -r grep -L '^#pragma once' || true)

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
