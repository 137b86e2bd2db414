#!/usr/bin/env python3
"""Golden logits and gradients: what `hadal logits` and `hadal grads` differ by from DeepSeek's own code.

  bench/golden.py [--hadal build/release/hadal] [--golden tests/golden]

Writes bench/results/golden.md and golden.json. Limits: logits 5e-4 absolute, gradients 2e-3 relative L2 per tensor.
"""
import argparse
import array
import json
import math
import pathlib
import struct
import subprocess
import sys
import tempfile

from machine import machine, machine_line

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOGIT_LIMIT, GRADIENT_LIMIT = 5e-4, 2e-3


def read_f32(path):
    """The F32 tensors of a safetensors file, by name."""
    data = path.read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    tensors = {}
    for name, entry in json.loads(data[8 : 8 + length]).items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "F32", f"{path}: {name} is {entry['dtype']}"
        begin, end = entry["data_offsets"]
        tensors[name] = array.array("f", data[8 + length + begin : 8 + length + end])
    return tensors


def largest_difference(ours, reference):
    assert len(ours) == len(reference), f"{len(ours)} values, {len(reference)} in the reference"
    return max(abs(a - b) for a, b in zip(ours, reference))


def relative_l2(ours, reference):
    assert len(ours) == len(reference)
    error = math.sqrt(sum((a - b) ** 2 for a, b in zip(ours, reference)))
    norm = math.sqrt(sum(b * b for b in reference))
    return error / norm if norm > 0 else error


def measure(hadal, model, folder):
    def run(command, *more):
        out = folder / f"{command}.safetensors"
        subprocess.run([hadal, "--log-level", "error", command, "--model", model, "--tokens", model / "tokens.json",
                        "--out", out, *more], check=True)
        return read_f32(out)

    reference = read_f32(model / "logits.safetensors")
    row = {"prefill": 0.0, "decode": 0.0, "mtp": None, "gradient": None, "gradient_tensor": None}
    for threads in ("1", "2"):
        prefill = run("logits", "--threads", threads)
        row["prefill"] = max(row["prefill"], largest_difference(prefill["logits"], reference["logits"]))
        decode = run("logits", "--decode", "--threads", threads)
        row["decode"] = max(row["decode"], largest_difference(decode["logits"], reference["logits"]))
        if "mtp_logits" in reference:
            mtp = largest_difference(prefill["mtp_logits"], reference["mtp_logits"])
            row["mtp"] = max(row["mtp"] or 0.0, mtp)
        if (model / "grads.safetensors").exists():
            expected = read_f32(model / "grads.safetensors")
            ours = run("grads", "--threads", threads)
            for name, values in expected.items():
                error = relative_l2(ours[name], values)
                if error > (row["gradient"] or 0.0):
                    row["gradient"], row["gradient_tensor"] = error, name
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hadal", default=ROOT / "build/release/hadal", type=pathlib.Path)
    parser.add_argument("--golden", default=ROOT / "tests/golden", type=pathlib.Path)
    options = parser.parse_args()
    models = sorted(p.parent for p in options.golden.glob("*/logits.safetensors"))
    if not models:
        sys.exit(f"bench/golden.py: no golden model below {options.golden}")
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        for model in models:
            rows[model.name] = measure(options.hadal, model, pathlib.Path(folder))
            print(model.name, rows[model.name])

    def cell(value):
        return "-" if value is None else f"{value:.1e}"

    facts = machine()
    lines = [
        "# Golden logits and gradients",
        "",
        "Against DeepSeek's own code (`tests/golden/`, computed in FP32); the worst of 1 and 2 threads. Logits: largest absolute",
        f"difference over every position, limit {LOGIT_LIMIT:g}. Gradients: largest relative L2 error over the tensors, limit"
        f" {GRADIENT_LIMIT:g}.",
        "",
        "| model | prefill | decode | MTP | gradient |",
        "|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        lines.append(f"| {name} | {cell(row['prefill'])} | {cell(row['decode'])} | {cell(row['mtp'])} |"
                     f" {cell(row['gradient'])} |")
    lines += ["", f"Machine: {machine_line(facts)}", "", "Command: `bench/golden.py`", ""]
    results = ROOT / "bench/results"
    (results / "golden.md").write_text("\n".join(lines))
    (results / "golden.json").write_text(json.dumps({"machine": facts, "models": rows}, indent=1) + "\n")
    bad = [name for name, row in rows.items()
           if max(row["prefill"], row["decode"], row["mtp"] or 0) > LOGIT_LIMIT or (row["gradient"] or 0) > GRADIENT_LIMIT]
    if bad:
        sys.exit(f"bench/golden.py: over the limit: {', '.join(bad)}")


if __name__ == "__main__":
    main()
