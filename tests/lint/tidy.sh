#!/usr/bin/env bash
# clang-tidy (.clang-tidy: every check an error): tidy.sh BUILD [--all | FILE...]. Without --all or files: the
# .cpp files that differ from main, or that the last commit changed when nothing does.
set -euo pipefail
cd "$(dirname "$0")/../.."
build=$1
shift
if [ "${1:-}" = --all ]; then
  mapfile -t sources < <(find src -name '*.cpp' | sort)
elif [ $# -gt 0 ]; then
  sources=("$@")
else
  mapfile -t sources < <({ git diff --name-only main --diff-filter=d -- 'src/*.cpp' 2>/dev/null
    git ls-files --others --exclude-standard -- 'src/*.cpp'; } | sort -u)
  [ ${#sources[@]} -gt 0 ] || mapfile -t sources < <(git diff --name-only --diff-filter=d HEAD~1 -- 'src/*.cpp')
fi
if [ ${#sources[@]} -eq 0 ]; then
  echo "clang-tidy: no changed file"
  exit 0
fi
echo "clang-tidy: ${#sources[@]} files"
printf '%s\0' "${sources[@]}" | xargs -0 -P "${JOBS:-$(nproc)}" -n 1 clang-tidy --quiet -p "$build" 2>&1 |
  { grep -v -E '^[0-9]+ warnings? (generated|treated)|^Suppressed|^Use -header-filter|^$' || true; }
