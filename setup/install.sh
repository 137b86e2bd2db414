#!/usr/bin/env bash
# Installs the Debian packages of the named sections of setup/packages.txt: setup/install.sh [SECTION...]
# (default: build run). Does nothing, quickly, when all are there. Runs as root, or with sudo.
set -euo pipefail
cd "$(dirname "$0")"
sections=("$@")
[ ${#sections[@]} -gt 0 ] || sections=(build run)

has_node() {
  command -v node >/dev/null && command -v npm >/dev/null &&
    [ "$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)" -ge 18 ]
}

wanted=()
for section in "${sections[@]}"; do
  if ! grep -q "^# \[$section\]" packages.txt; then
    echo "setup: no section [$section] in setup/packages.txt" >&2
    exit 2
  fi
  # The lines from "# [section]" to the next section's header, without comments.
  mapfile -t lines < <(awk -v want="[$section]" \
    '/^# \[/ {inside = ($2 == want)} inside && !/^#/ && NF {print $1}' packages.txt)
  wanted+=("${lines[@]}")
done
if has_node; then  # another distribution of node may be in place, which Debian's would break
  for i in "${!wanted[@]}"; do
    case "${wanted[$i]}" in nodejs | npm) unset "wanted[$i]" ;; esac
  done
fi

missing=()
installed=" $(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null |
  awk '$1 == "installed" {printf "%s ", $2}')"
for package in "${wanted[@]}"; do
  case "$installed" in *" $package "*) ;; *) missing+=("$package") ;; esac
done
[ ${#missing[@]} -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    echo "setup: these packages are missing and neither root nor sudo is at hand: ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo)
fi
export DEBIAN_FRONTEND=noninteractive
echo "setup: installing ${#missing[@]} Debian packages: ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
  -o Dpkg::Use-Pty=0 "${missing[@]}" </dev/null
