#!/usr/bin/env python3
"""Training throughput against PyTorch: `hadal bench train` and peers/torch_model.py take turns on one machine.

train_vs_torch.py [--rounds N] [--hadal PATH]; writes bench/results/train.json and train.md. The peer's figure is
the best of 1 and 2 threads; medians over the rounds. Run it on an idle machine.
"""
import argparse
import json
import statistics
import subprocess
from pathlib import Path

from machine import machine, machine_line

BENCH = Path(__file__).resolve().parent


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed: {done.stderr.strip()}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--hadal", default=str(BENCH.parent / "build/release/hadal"))
    parser.add_argument("--out", type=Path, default=BENCH / "results", help="folder for train.json and train.md")
    arguments = parser.parse_args()
    ours = [arguments.hadal, "--log-level", "warn", "bench", "train", "--json"]
    # Debian's Python holds Debian's torch; another python3 may come first on the PATH.
    peers = {f"PyTorch, {t} thread{'s' if t > 1 else ''}": [
        "/usr/bin/python3", str(BENCH / "peers/torch_model.py"), "--threads", str(t), "--steps", "3", "--warmup", "1"]
        for t in (1, 2)}
    facts = machine()
    runs = {"hadal": [], **{name: [] for name in peers}}
    for number in range(arguments.rounds):
        runs["hadal"].append(run(ours))
        for name, command in peers.items():
            runs[name].append(run(command))
        print(f"round {number + 1}: " + ", ".join(f"{n} {r[-1]['tokens_per_s']:.0f}" for n, r in runs.items()))
    median = {name: statistics.median(r["tokens_per_s"] for r in rows) for name, rows in runs.items()}
    best_peer = max(peers, key=lambda name: median[name])
    fraction = statistics.median(r["fraction_of_fma_peak"] for r in runs["hadal"])
    gflop = statistics.median(r["gflop_per_s"] for r in runs["hadal"])
    ratio = median["hadal"] / median[best_peer]
    result = {"machine": facts, "rounds": arguments.rounds, "tokens_per_s": median, "best_peer": best_peer,
              "ratio": round(ratio, 2), "gflop_per_s": round(gflop, 1), "fraction_of_fma_peak": round(fraction, 3),
              "targets": {"ratio": 3, "fraction_of_fma_peak": 0.55}, "runs": runs}
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "train.json").write_text(json.dumps(result, indent=1) + "\n")
    lines = ["# Training throughput against PyTorch", "", machine_line(facts), "",
             "One optimizer step (forward, backward, clipping, AdamW) in FP32: vocab 4096, hidden 256, 6 layers (1 dense,",
             "intermediate 704), 8 heads (nope 32, rope 16, v 32), kv_lora 64, 32 routed experts top-4 x 128 + 1 shared,",
             f"batch 8 x 256 tokens. The programs took turns, {arguments.rounds} rounds; medians.", "",
             "| program | tokens/s | of best peer |", "|---|---|---|"]
    lines += [f"| {name} | {value:,.0f} | {value / median[best_peer]:.2f} x |" for name, value in median.items()]
    lines += ["", f"- Ratio to the best peer: **{ratio:.2f}** (target: at least 3).",
              f"- Counting 6 x active matmul parameters per token: {gflop:.1f} GFLOP/s, **{100 * fraction:.1f} %** of the",
              "  FP32 FMA peak measured in turns with the steps (target: at least 55 %).", "",
              "Again: `python3 bench/train_vs_torch.py` (needs python3-torch: `setup/install.sh bench`).", ""]
    (arguments.out / "train.md").write_text("\n".join(lines))
    print(f"ratio {ratio:.2f}, {100 * fraction:.1f} % of the FMA peak")


if __name__ == "__main__":
    main()
