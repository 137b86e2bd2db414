#!/usr/bin/env python3
"""What quantization and 8-bit arithmetic cost: perplexity of hadal-nano in every type, exact and fast, on held-out text.

quant_quality.py --text FILE [--model DIR] [--bytes N] [--types ...] [--hadal PROGRAM]; writes bench/results/quant_quality.md.
"""
import argparse
import json
import math
import subprocess
import tempfile
from pathlib import Path

from machine import machine, machine_line

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parent
TYPES = "f16 bf16 q8_0 q6_k q5_k q5_1 q5_0 q4_k q4_1 q4_0 iq4_nl iq4_xs q3_k q2_k"


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", required=True)
    parser.add_argument("--model", default=str(ROOT / "models/hadal-nano"))
    parser.add_argument("--bytes", type=int, default=100_000)
    parser.add_argument("--types", default=TYPES)
    parser.add_argument("--hadal", default=str(ROOT / "build/release/hadal"))
    arguments = parser.parse_args()

    def nats(model, *flags):
        return json.loads(run(arguments.hadal, "eval", "bpb", "--model", model, "--text", arguments.text, "--max-bytes",
                              arguments.bytes, "--json", *flags))["nats_per_token"]

    source = nats(arguments.model)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for weight_type in arguments.types.split():
            file = Path(folder) / f"{weight_type}.gguf"
            run(arguments.hadal, "convert", "--model", arguments.model, "--out", file, "--type", weight_type)
            exact, fast = nats(file, "--exact"), nats(file)
            rows.append((weight_type, file.stat().st_size, exact, fast))
            print(f"{weight_type}: exact {math.exp(exact):.3f}, fast {100 * math.expm1(fast - exact):+.2f} %", flush=True)
    page = ["# Quantized hadal-nano: perplexity per token, exact and fast", "", machine_line(machine()), "",
            f"`bench/quant_quality.py`: `hadal convert` of {Path(arguments.model).name} to each type, first {arguments.bytes:,} bytes of "
            f"{Path(arguments.text).name} (held out), windows of 512. The checkpoint itself (BF16): {math.exp(source):.3f}.",
            "Exact: FP32 arithmetic on the dequantized weights. Fast: 8-bit activations. nano's rows (192, 80) are not whole blocks of 256",
            "for the K types, whose rows then take a type of 32 (`hadal convert` names them).", "",
            "| type | file MB | perplexity, exact | against the checkpoint | fast against exact |", "|---|---|---|---|---|"]
    page += [f"| {t} | {size / 1e6:.1f} | {math.exp(e):.3f} | {100 * math.expm1(e - source):+.2f} % | {100 * math.expm1(f - e):+.3f} % |"
             for t, size, e, f in rows]
    (BENCH / "results/quant_quality.md").write_text("\n".join(page) + "\n")


if __name__ == "__main__":
    main()
