#!/usr/bin/env python3
"""The tables of R1-Zero in miniature, as Markdown, from the runs of bench/r1_zero.sh: r1_zero.py OUT"""
import json
import statistics
import sys
from pathlib import Path

OUT = Path(sys.argv[1])
ARMS = {"seed1": "GRPO, seed 1", "seed2": "GRPO, seed 2", "seed3": "GRPO, seed 3",
        "correct-only": "GRPO, the correct reward alone", "random": "GRPO, random rewards",
        "constant": "GRPO, constant rewards", "rejection": "SFT on the base's verified samples"}


def lines(name):
    path = OUT / name / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def percent(value):
    return f"{100 * value:.1f} %"


def arms():
    print("| arm | steps | held-out pass@1, before | after | well formed, after | tokens of an answer, before -> after "
          "| minutes |")
    print("|---|---|---|---|---|---|---|")
    finals = []
    for name, title in ARMS.items():
        run = lines(name)
        held = [line for line in run if "val_pass1" in line]
        if len(held) < 2:
            continue
        first, last = held[0], held[-1]
        minutes = sum(line.get("seconds", 0) for line in run) / 60
        if name.startswith("seed"):
            finals.append(last["val_pass1"])
        print(f"| {title} | {last['step']} | {percent(first['val_pass1'])} | {percent(last['val_pass1'])} "
              f"| {percent(last['val_format'])} | {first['val_length']:.1f} -> {last['val_length']:.1f} | {minutes:.1f} |")
    if finals:
        print(f"\nMedian of the seeds: **{percent(statistics.median(finals))}**.")


def parts():
    run = [line for line in lines("seed1") if line.get("step", 0) > 0]
    if not run:
        return
    total = sum(line["seconds"] for line in run)
    print("\n| part of a step | share of the time |\n|---|---|")
    for key, title in (("rollout_seconds", "rollouts"), ("reward_seconds", "rewards"),
                       ("reference_seconds", "reference's log-probabilities"), ("train_seconds", "forward, backward, AdamW"),
                       ("optimizer_seconds", "of that AdamW")):
        print(f"| {title} | {percent(sum(line[key] for line in run) / total)} |")
    mfu = [line["train_mfu"] for line in run if "train_mfu" in line]
    rate = [line["rollout_tokens_per_s"] for line in run]
    print(f"\nRollouts {statistics.median(rate):.0f} tokens/s, training "
          f"{statistics.median(line['train_tokens_per_s'] for line in run if 'train_tokens_per_s' in line):.0f} tokens/s, "
          f"{percent(statistics.median(mfu)) if mfu else '?'} of the machine's FMA peak in the training part (medians of steps).")
    diff = [line for line in run if "logprob_diff_max" in line]
    print(f"Sampler against trainer: mean |difference of ln p| {statistics.mean(line['logprob_diff_mean'] for line in diff):.1e}, "
          f"median of the steps' largest {statistics.median(line['logprob_diff_max'] for line in diff):.1e}, "
          f"largest of all {max(line['logprob_diff_max'] for line in diff):.1e}.")


def rollouts():
    path = OUT / "rollout.json"
    if not path.exists():
        return
    rows = json.loads(path.read_text())
    alone = rows[0]["tokens_per_s"]
    print("\n| answers at once | tokens/s | against one at a time |\n|---|---|---|")
    for row in rows:
        print(f"| {row['at_once']} | {row['tokens_per_s']:.0f} | {row['tokens_per_s'] / alone:.1f} x |")


arms()
parts()
rollouts()


def passes():
    found = [(name, OUT / f"pass-{name}.json") for name in ("base", "seed1")]
    found = [(name, json.loads(path.read_text())["tasks"][0]) for name, path in found if path.exists()]
    if not found:
        return
    ks = sorted(found[0][1]["pass_at"], key=int)
    print("\n| 100 held-out problems, 64 samples each | " + " | ".join(f"pass@{k}" for k in ks) + " | majority of 64 |")
    print("|---" * (len(ks) + 2) + "|")
    for name, task in found:
        print(f"| {name} | " + " | ".join(percent(task["pass_at"][k]["value"]) for k in ks)
              + f" | {percent(task['majority']['value'])} |")


def students():
    named = {"student-rl": "RL on the student alone", "student-samples": "the teacher's verified answers",
             "student-on-policy": "KL on the student's own answers"}
    print("\n| student | steps | held-out pass@1, before | after | minutes | rollout minutes | training minutes |")
    print("|---|---|---|---|---|---|---|")
    for name, title in named.items():
        held = [line for line in lines(name) if "val_pass1" in line]
        if len(held) < 2:
            continue
        run = lines(name)
        minutes = [sum(line.get(key, 0) for line in run) / 60 for key in ("seconds", "rollout_seconds", "train_seconds")]
        print(f"| {title} | {held[-1]['step']} | {percent(held[0]['val_pass1'])} | {percent(held[-1]['val_pass1'])} | "
              + " | ".join(f"{m:.1f}" for m in minutes) + " |")


passes()
students()
