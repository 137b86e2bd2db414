#!/usr/bin/env python3
"""Runs build/release/bench_gemm_libraries and bench_gemm_threads and writes bench/results/gemm.json and gemm.md.

    bench/gemm.py [--build build/release] [--seconds 1]
"""
import argparse
import json
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(__file__))
from machine import machine, machine_line  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))

# Each run names the instruction set for all contenders. BLIS 0.9 does not know newer Intel processors and would take
# its AVX2 kernels there: 0 is its AVX-512 configuration (skx), 3 is haswell.
RUNS = [
    ("AVX-512, one thread", {"HADAL_SIMD": "avx512", "BLIS_ARCH_TYPE": "0"}, 1),
    ("AVX2, one thread", {"HADAL_SIMD": "avx2", "OPENBLAS_CORETYPE": "Haswell", "BLIS_ARCH_TYPE": "3",
                          "ONEDNN_MAX_CPU_ISA": "AVX2", "DNNL_MAX_CPU_ISA": "AVX2", "LIBXSMM_TARGET": "hsw"}, 1),
    ("best instruction set, two threads", {"BLIS_ARCH_TYPE": "0"}, 2),
]


def run(build, seconds, extra, threads):
    env = {**os.environ, **extra}
    done = subprocess.run([f"{build}/bench_gemm_libraries", "--threads", str(threads), "--seconds", str(seconds),
                           "--json"], env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(done.stderr, file=sys.stderr)
        return None
    return json.loads(done.stdout)


def table(result):
    names = list(dict.fromkeys(name for row in result["shapes"] for name in row["gflop_per_s"]))
    peak = result["fma_peak_gflop_per_s"]
    lines = ["| product | m x n x k | " + " | ".join(names) + " | hadal, % of peak |",
             "|---|---|" + "---|" * (len(names) + 1)]
    for row in result["shapes"]:
        size = f"{row['m']} x {row['n']} x {row['k']}" + (f", {row['group']} of them" if row["group"] > 1 else "")
        cells = [f"{row['gflop_per_s'][n]:.1f}" if n in row["gflop_per_s"] else "" for n in names]
        share = 100 * row["gflop_per_s"]["hadal"] / peak
        lines.append(f"| {row['shape']} | {size} | " + " | ".join(cells) + f" | {share:.0f} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", default=os.path.join(HERE, "..", "build", "release"))
    parser.add_argument("--seconds", default="1")
    options = parser.parse_args()
    facts = machine()
    results = []
    for title, extra, threads in RUNS:
        result = run(options.build, options.seconds, extra, threads)
        if result is not None and (result["simd"] == extra.get("HADAL_SIMD", result["simd"])):
            results.append({"title": title, **result})
    threads_program = f"{options.build}/bench_gemm_threads"
    threads_text = ""
    if os.path.exists(threads_program):
        threads_text = subprocess.run([threads_program], capture_output=True, text=True, check=True).stdout
    with open(os.path.join(HERE, "results", "gemm.json"), "w") as f:
        json.dump({"machine": facts, "runs": results, "threads": threads_text.splitlines()}, f, indent=1)
        f.write("\n")
    with open(os.path.join(HERE, "results", "gemm.md"), "w") as f:
        f.write("# Matrix products beside the libraries\n\n" + machine_line(facts) + "\n\n"
                "`bench/gemm.py`: all contenders take turns on the same data in one process; the best round of each, in "
                "GFLOP/s.\nOne thread: processor time of that thread. More: wall time. The FMA peak is measured between "
                "the shapes.\nOn a busy machine (see the load) read the columns beside each other, not alone: memory "
                "and the last cache are shared\nwith the other work; with two threads, wall times there say little.\n")
        for result in results:
            f.write(f"\n## {result['title']}\n\nFMA peak {result['fma_peak_gflop_per_s']:.1f} GFLOP/s.\n\n{table(result)}\n")
        if threads_text:
            f.write(f"\n## Thread pool beside OpenMP (libgomp)\n\n```\n{threads_text}```\n")


if __name__ == "__main__":
    main()
