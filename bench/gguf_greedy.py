#!/usr/bin/env python3
"""Our models in llama.cpp: 20 greedy continuations by Hadal and by llama.cpp (npm's node-llama-cpp) of one exported GGUF.

gguf_greedy.py [--model DIR] [--types f16,q8_0] [--tokens N] [--hadal PROGRAM]; writes bench/results/gguf_greedy.md.
Both get the same token ids. Where they part, the page says at which token, and how far apart the two choices' exact
logits are: llama.cpp keeps its cache and its F16 activations in 16 bits, so near ties fall either way.
"""
import argparse
import json
import struct
import subprocess
import tempfile
from pathlib import Path

from machine import machine, machine_line
from model_vs_llama import BENCH, PACKAGES, ROOT, Peer, install

PROMPTS = [
    "It was a truth that", "And the LORD said unto Moses,", "The function returns", "The king of the city", "She looked at him and",
    "In the beginning", "The whale was", "My fellow citizens,", "To create a table", "A kind of small bird", "He was a man who",
    "The word of the Lord", "If the file does not exist", "They went down to the sea", "The President of the United States",
    "Elizabeth could not", "The second argument", "Blessed is the man", "an animal of the family", "When the day came",
]


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


def last_logits(hadal, model, ids, folder):
    """The exact logits behind the last of `ids`."""
    tokens, out = Path(folder) / "tokens.json", Path(folder) / "logits.safetensors"
    tokens.write_text(json.dumps(ids))
    run(hadal, "logits", "--model", model, "--tokens", tokens, "--out", out)
    data = out.read_bytes()
    header = int.from_bytes(data[:8], "little")
    begin, end = json.loads(data[8:8 + header])["logits"]["data_offsets"]
    row = (end - begin) // len(ids)
    return struct.unpack(f"<{row // 4}f", data[8 + header + end - row:8 + header + end])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(ROOT / "models/hadal-nano"))
    parser.add_argument("--types", default="f16,q8_0")
    parser.add_argument("--tokens", type=int, default=24)
    parser.add_argument("--hadal", default=str(ROOT / "build/release/hadal"))
    arguments = parser.parse_args()
    install()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for weight_type in arguments.types.split(","):
            file = Path(folder) / f"model-{weight_type}.gguf"
            run(arguments.hadal, "convert", "--model", arguments.model, "--out", file, "--type", weight_type)
            peer = Peer(file, 1, 256)
            same, parted = 0, []
            for prompt in PROMPTS:
                ours = json.loads(run(arguments.hadal, "generate", "--model", file, "--prompt", prompt, "--max-tokens",
                                      arguments.tokens, "--temperature", 0, "--json"))
                ids = json.loads(run(arguments.hadal, "tokenizer", "encode", "--tokenizer", arguments.model, "--text", prompt,
                                     "--json"))
                theirs = peer.ask(op="greedy", prompt=[0, *ids], tokens=arguments.tokens)["tokens"]
                theirs = theirs[:len(ours["tokens"])]
                if theirs == ours["tokens"]:
                    same += 1
                else:
                    at = next((i for i, (a, b) in enumerate(zip(ours["tokens"], theirs)) if a != b), len(theirs))
                    logits = last_logits(arguments.hadal, file, [0, *ids, *ours["tokens"][:at]], folder)
                    gap = abs(logits[ours["tokens"][at]] - logits[theirs[at]])
                    parted.append(f"\"{prompt}\" at token {at + 1}, where the two choices' logits are {gap:.3f} apart")
            peer.close()
            rows.append((weight_type, same, parted))
            print(f"{weight_type}: {same} of {len(PROMPTS)} the same", *parted, sep="\n  ", flush=True)
    page = ["# Our models in llama.cpp", "", machine_line(machine()), "",
            f"`bench/gguf_greedy.py`: `hadal convert` of {Path(arguments.model).name}, {len(PROMPTS)} prompts, {arguments.tokens} "
            f"greedy tokens each, 1 thread. Peer: {PACKAGES[0]}.", "",
            "| type | the same tokens | parted |", "|---|---|---|"]
    page += [f"| {t} | {same} of {len(PROMPTS)} | {'; '.join(parted) or '-'} |" for t, same, parted in rows]
    (BENCH / "results/gguf_greedy.md").write_text("\n".join(page) + "\n")


if __name__ == "__main__":
    main()
