#!/usr/bin/env bash
# Runs clang-tidy on source $1 with the compile commands of tree $2; says only what it complains
# of, in one piece. Appends the file's name to $3 when it is clean.
set -euo pipefail
if complaints=$(clang-tidy-19 -p "$2" --quiet "$1" 2>/dev/null); then
  printf '%s\n' "$1" >>"$3"
else
  printf '%s\n' "$complaints"
fi
