#!/usr/bin/env bash
# The fresh-machine proof: a minimal Debian 12 (debootstrap --variant=minbase) that holds nothing of this machine.
# In it, from a clean clone of HEAD: `make run` to its first answer, twice; `make test`, twice. Needs root and
# debootstrap. fresh_machine.sh [--test-only | --run-only] [--keep] [FOLDER]; writes bench/results/fresh_machine.md.
#
# Copied from this machine at run time: apt's sources and settings, ~/.npmrc, the CA bundle, /etc/resolv.conf:
# how a machine reaches its package mirrors is its own business. Nothing else. Mounts live in a mount namespace of
# their own, so that removing the folder can never reach this machine's /dev.
set -euo pipefail
cd "$(dirname "$0")/.."
parts="run test"
keep=no
while [[ "${1:-}" == --* ]]; do
  case "$1" in
    --test-only) parts=test ;;
    --run-only) parts=run ;;
    --keep) keep=yes ;;
    *) echo "fresh_machine: unknown option $1" >&2; exit 2 ;;
  esac
  shift
done
root=${1:-/tmp/hadal-fresh}
port=18321
log=/tmp/hadal-fresh.log
[ "$(id -u)" -eq 0 ] || { echo "fresh_machine: needs root" >&2; exit 1; }
command -v debootstrap >/dev/null || { echo "fresh_machine: needs debootstrap" >&2; exit 1; }
[ ! -e "$root" ] || { echo "fresh_machine: $root exists; remove it or name another folder" >&2; exit 1; }
clean_up() {
  [ "$keep" = yes ] && return
  if awk -v r="$root/" 'index($2, r) == 1 {found = 1} END {exit !found}' /proc/mounts; then
    echo "fresh_machine: something is mounted below $root; left as it is" >&2
  else
    rm -rf --one-file-system "$root"
  fi
}
trap clean_up EXIT

mirror=$(cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null |
  awk '/^URIs:/ {print $2; exit} /^deb / {for (i = 2; i <= NF; i++) if ($i ~ /:\/\//) {print $i; exit}}') || true  # one of the files may be missing
[ -n "$mirror" ] || { echo "fresh_machine: no package mirror in /etc/apt" >&2; exit 1; }
echo "fresh_machine: making a minimal Debian 12 in $root (log: $log)"
SECONDS=0
debootstrap --variant=minbase bookworm "$root" "$mirror" >"$log" 2>&1
bootstrap_seconds=$SECONDS

rm -f "$root/etc/apt/sources.list"
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.sources /etc/apt/sources.list.d/*.list; do
  [ ! -f "$file" ] || install -D -m 644 "$file" "$root$file"
done
for file in /etc/apt/apt.conf.d/99*; do [ ! -f "$file" ] || install -D -m 644 "$file" "$root$file"; done
cp /etc/resolv.conf "$root/etc/resolv.conf"
[ ! -f ~/.npmrc ] || install -m 600 ~/.npmrc "$root/root/.npmrc"
install -D -m 644 /etc/ssl/certs/ca-certificates.crt "$root/root/ca-bundle.crt"
git clone -q --bare . "$root/root/origin.git"
cat >"$root/root/prove.sh" <<'INSIDE'
#!/bin/bash
# Runs inside the new machine. Prints "name value" lines on descriptor 3.
set -euo pipefail
parts=$1 port=$2
export HOME=/root LANG=C.UTF-8 NODE_EXTRA_CA_CERTS=/root/ca-bundle.crt CI=true
cd /root
apt-get update -qq
# What README asks for before the first command.
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends git make ca-certificates </dev/null
packages_before=$(dpkg-query -W | wc -l)
git clone -q origin.git hadal
cd hadal
now() { date +%s.%N; }
since() { awk -v a="$1" -v b="$(now)" 'BEGIN {printf "%.1f", b - a}'; }
first_answer() {  # NAME: starts make run, waits for one chat answer, stops it
  local start server answer
  start=$(now)
  setsid make run PORT="$port" >"/root/$1.log" 2>&1 </dev/null &
  server=$!
  until answer=$(curl -sf --max-time 60 "http://127.0.0.1:$port/v1/chat/completions" \
    -H 'content-type: application/json' \
    -d '{"messages":[{"role":"user","content":"What is the opposite of hot?"}],"max_tokens":40,"temperature":0}' \
    2>/dev/null); do
    kill -0 "$server" 2>/dev/null || { tail -50 "/root/$1.log" >&2; echo "make run ended before it answered" >&2; exit 1; }
    sleep 0.2
  done
  echo "$1 $(since "$start")" >&3
  echo "$1_answer $answer" >&3
  echo "$1_page $(curl -sf "http://127.0.0.1:$port/" | wc -c)" >&3
  kill -TERM -- "-$server"
  wait "$server" || true
  while curl -s -o /dev/null "http://127.0.0.1:$port/health"; do sleep 0.2; done
}
run_tests() {  # NAME
  local start
  start=$(now)
  if ! make test WERROR=ON >"/root/$1.log" 2>&1 </dev/null; then
    grep -E 'tests passed|Failed|Error|error' "/root/$1.log" | tail -40 >&2
    tail -40 "/root/$1.log" >&2
    exit 1
  fi
  echo "$1 $(since "$start")" >&3
  echo "$1_closing $(grep -E 'tests passed' "/root/$1.log" | tail -1)" >&3
}
case " $parts " in *" run "*) first_answer run_first; first_answer run_second ;; esac
case " $parts " in *" test "*) run_tests test_first; run_tests test_second ;; esac
echo "packages $packages_before -> $(dpkg-query -W | wc -l)" >&3
echo "node $(node --version)" >&3
INSIDE

echo "fresh_machine: proving ($parts)"
# New mount and process namespaces: mounts and left-over processes end with it.
unshare --mount --pid --fork --kill-child bash -euo pipefail -c '
  mount --make-rprivate /
  mount --rbind /dev "$1/dev"
  mount -t proc proc "$1/proc"
  exec chroot "$1" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin TERM=dumb \
    bash /root/prove.sh "$2" "$3"' _ "$root" "$parts" "$port" 3>"$root/facts" >>"$log" 2>&1 ||
  { tail -60 "$log" >&2; echo "fresh_machine: FAILED; the whole log is $log" >&2; exit 1; }

python3 - "$root/facts" "$bootstrap_seconds" <<'REPORT'
import sys
sys.path.insert(0, "bench")
from machine import machine, machine_line
facts = dict(line.rstrip("\n").split(" ", 1) for line in open(sys.argv[1]))
lines = ["# Fresh machine", "", machine_line(machine()), "",
         f"A minimal Debian 12 (`debootstrap --variant=minbase`, {sys.argv[2]} s to make), `git`, `make` and CA",
         "certificates, a clean clone, then (wall time; the packages are downloaded and installed in the first one):", "",
         "| command | first | second |", "|---|---|---|"]
for name, title in (("run", "`make run` to the first answer of `/v1/chat/completions`"), ("test", "`make test`")):
    if f"{name}_first" in facts:
        lines.append(f"| {title} | {facts[f'{name}_first']} s | {facts[f'{name}_second']} s |")
lines += ["", f"Packages: {facts['packages']}. Node: {facts['node']}."]
if "run_first_answer" in facts:
    lines += [f"The page is {facts['run_first_page']} bytes. The first answer:", "", "```json",
              facts["run_first_answer"], "```"]
if "test_first_closing" in facts:
    lines += ["", f"ctest closed with: `{facts['test_first_closing']}` and, again, `{facts['test_second_closing']}`."]
lines += ["", "Again: `make fresh-machine` (root, debootstrap).", ""]
text = "\n".join(lines)
print(text)
if "run_first" in facts and "test_first" in facts:
    open("bench/results/fresh_machine.md", "w").write(text)
REPORT
