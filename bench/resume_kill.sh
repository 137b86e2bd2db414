#!/bin/sh
# Question: does a training run that is killed with kill -9 at a random instant and resumed end with the same bits as an
# uninterrupted one? Ten times out of ten, on the recipe of the small model (MLA, experts, MTP, BF16 moments), shortened.
#   bench/resume_kill.sh [HADAL] [DATASET] [ROUNDS] [PAGE]      writes PAGE, bench/results/resume.md if not given
set -eu
hadal=${1:-build/release/hadal}
dataset=${2:-data/nano}
rounds=${3:-10}
root=$(cd "$(dirname "$0")/.." && pwd)
page=${4:-$root/bench/results/resume.md}
if [ ! -f "$dataset/train.bin" ]; then
  echo "resume_kill: $dataset/train.bin is missing: $hadal data build recipes/nano/data.toml" >&2
  exit 2
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
steps=40

train() { # name, further arguments
  name=$1
  shift
  exec "$hadal" pretrain "$root/recipes/nano/nano.toml" --out "$work/$name" --quiet --set data.dataset="\"$dataset\"" \
    --set data.sequence_tokens=128 --set data.batch_sequences=4 --set data.micro_batches=2 \
    --set schedule.tokens=$((steps * 512)) --set schedule.warmup_steps=5 --set checkpoint.every_steps=6 \
    --set eval.every_steps=0 --set eval.sequences=4 --set eval.final_sequences=4 "$@" >>"$work/$name.log" 2>&1
}
# FP32 master weights and both moments; the exported model; step and loss of every line of metrics.
fingerprint() {
  sha256sum <"$work/$1/checkpoints/step-$(printf %08d $steps)/state/state.safetensors" | cut -c1-16
  sha256sum <"$work/$1/model/model.safetensors" | cut -c1-16
  sed 's/.*"loss":\([^,]*\),.*"step":\([0-9]*\),.*/\2 \1/' "$work/$1/metrics.jsonl" | sha256sum | cut -c1-16
}
count() { if [ -f "$1" ]; then wc -l <"$1"; else echo 0; fi; }

(train whole)
expected=$(fingerprint whole)
same=0
table=""
round=1
while [ "$round" -le "$rounds" ]; do
  name=killed$round
  random=$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')
  target=$((1 + random % (steps - 1)))
  (train "$name") &
  pid=$!
  while kill -0 $pid 2>/dev/null && [ "$(count "$work/$name/metrics.jsonl")" -lt $target ]; do sleep 0.005; done
  sleep 0.0$((random / 1000 % 90 + 10))
  kill -9 $pid 2>/dev/null || true
  wait $pid 2>/dev/null || true
  killed=$(count "$work/$name/metrics.jsonl")
  (train "$name" --resume)
  from=$(sed -n 's/.*resuming from .*step-0*\([0-9]*\)$/\1/p' "$work/$name.log")
  actual=$(fingerprint "$name")
  if [ "$actual" = "$expected" ]; then verdict=same && same=$((same + 1)); else verdict=DIFFERENT; fi
  table="$table| $round | $killed | ${from:-0} | $verdict |
"
  echo "round $round: killed after step $killed, resumed from ${from:-0}: $verdict"
  rm -rf "${work:?}/$name"
  round=$((round + 1))
done
mkdir -p "$(dirname "$page")"
{
  echo "# Kill and resume"
  echo
  echo "\`bench/resume_kill.sh\`, $(date -u +%Y-%m-%d), $(nproc) processors, commit $(git -C "$root" rev-parse --short HEAD)."
  echo
  echo "A shortened \`recipes/nano/nano.toml\` ($steps steps of 512 tokens, a checkpoint every 6) is killed with \`kill -9\` at a"
  echo "random instant and resumed with \`--resume\`. Compared with an uninterrupted run, byte for byte: FP32 master weights with"
  echo "both moments, the exported model, and step and loss of every line of \`metrics.jsonl\`."
  echo
  echo "**$same of $rounds identical.**"
  echo
  echo "| round | killed after step | resumed from step | result |"
  echo "|---|---|---|---|"
  printf %s "$table"
} >"$page"
[ "$same" -eq "$rounds" ]
