#!/bin/sh
# R1-Zero in miniature, whole: corpus, base, three seeds of GRPO, the controls, the students, pass@k,
# rollout speed.
#   bench/r1_zero.sh HADAL OUT [STEPS]       results in OUT; the table: python3 bench/r1_zero.py OUT
# One thread throughout. What is there already is not made again, so an interrupted script goes on.
set -eu
hadal=$1 out=$2 steps=${3:-100}
mkdir -p "$out"
recipe=recipes/r1-zero/r1-zero.toml
[ -f "$out/data/train.bin" ] || "$hadal" data worked recipes/r1-zero/corpus.toml --out "$out/data"
base=$out/base/model
[ -d "$base" ] || "$hadal" pretrain recipes/r1-zero/base.toml --out "$out/base" --threads 1 --resume \
  --set data.dataset="$out/data"

grpo() {  # NAME SETTING...
  name=$1
  shift
  [ -f "$out/$name/summary.json" ] && return
  "$hadal" grpo "$recipe" --out "$out/$name" --threads 1 --resume --set model.base="$base" \
    --set schedule.steps="$steps" "$@"
}
grpo seed1 --set seed=1
grpo seed2 --set seed=2
grpo seed3 --set seed=3
grpo random --set "rewards.sum=random"
grpo constant --set "rewards.sum=constant"
grpo correct-only --set "rewards.sum=correct"
# As many of the base's samples as GRPO takes, filtered by the same verifier, learnt from by cross-entropy.
[ -f "$out/rejection/summary.json" ] || "$hadal" distill recipes/r1/fine-tune.toml --out "$out/rejection" \
  --threads 1 --resume --set model.teacher="$base" --set model.student="$base" \
  --set schedule.steps="$steps" --set samples.prompts=16 --set samples.answers=8
# A dense student: RL on it alone, the teacher's verified answers, KL to the teacher on its own answers.
[ -d "$out/student/model" ] || "$hadal" pretrain recipes/distill/student.toml --out "$out/student" --threads 1 \
  --resume --set data.dataset="$out/data"
student=$out/student/model
grpo student-rl --set model.base="$student"
for kind in samples on-policy; do
  [ -f "$out/student-$kind/summary.json" ] || "$hadal" distill "recipes/distill/$kind.toml" \
    --out "$out/student-$kind" --threads 1 --resume --set model.teacher="$out/seed1/model" \
    --set model.student="$student" --set schedule.steps="$steps"
done
for name in base seed1; do
  [ -f "$out/pass-$name.json" ] || "$hadal" eval tasks --model "$out/$name/model" --task sums:4 --prompt brief \
    --problems 100 --samples 64 --k 1,2,4,8,16,32,64 --max-tokens 80 --out "$out/pass-$name.json"
done
[ -f "$out/rollout.json" ] || "$hadal" bench rollout --model "$out/seed1/model" --task sums:4 --threads 1 --json \
  > "$out/rollout.json"
