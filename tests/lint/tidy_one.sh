#!/usr/bin/env bash
# Runs clang-tidy on source $1 with the compile commands of tree $2; says only what it complains
# of, in one piece. Appends the file's name to $3 when it is clean.
#
# What was clean before is not looked at again: a stamp per hash of the source, all that it includes,
# its compile command and the configuration lies below ${XDG_CACHE_HOME:-~/.cache}/modelfs-tidy.
set -euo pipefail
stamps=${XDG_CACHE_HOME:-$HOME/.cache}/modelfs-tidy
mkdir -p "$stamps"

# Prints the hash, or nothing where the dependencies cannot be told.
hash_of() {
  local command dependencies
  command=$(jq -r --arg file "$PWD/$1" '.[] | select(.file == $file) | .command' "$2/compile_commands.json" | head -n 1)
  [ -n "$command" ] || return 0
  # The command as it is, but for the dependencies instead of an object.
  dependencies=$(cd "$2" && eval "${command/ -o * -c / -M -c }" 2>/dev/null | tr -d '\\\n' | cut -d: -f2-) || return 0
  {
    clang-tidy-19 --version
    printf '%s\n' "${command//$PWD/.}"
    cat .clang-tidy tests/.clang-tidy
    # shellcheck disable=SC2086 # a list
    (cd "$2" && cat $dependencies)
  } | sha256sum | cut -d' ' -f1
}

hash=$(hash_of "$1" "$2")
if [ -n "$hash" ] && [ -e "$stamps/$hash" ]; then
  printf '%s\n' "$1" >>"$3"
elif complaints=$(clang-tidy-19 -p "$2" --quiet "$1" 2>/dev/null); then
  printf '%s\n' "$1" >>"$3"
  [ -z "$hash" ] || : >"$stamps/$hash"
else
  printf '%s\n' "$complaints"
fi
