#!/usr/bin/env python3
"""What a grammar costs for each token of a whole server: time between tokens with and without, in turns.
   bench/grammar/serve.py HADAL MODEL [ROUNDS] [TOKENS]
The schema is an array of free strings, which a model of random weights never leaves: every token has the widest mask."""
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from machine import machine, machine_line  # noqa: E402

binary, model = sys.argv[1:3]
rounds, tokens = int(sys.argv[3] if len(sys.argv) > 3 else 4), int(sys.argv[4] if len(sys.argv) > 4 else 48)
facts = machine()
server = subprocess.Popen([binary, "serve", "--model", model, "--port", "0", "--kv-dir", "none", "--chat-format", "deepseek-v3"],
                          stdout=subprocess.PIPE, text=True)
url = server.stdout.readline().split(" is at ")[1].split("/ ")[0]

strings = {"type": "object", "properties": {"items": {"type": "array", "items": {"type": "string"}}}, "required": ["items"],
           "additionalProperties": False}
kinds = {"none": None, "JSON mode": {"type": "json_object"},
         "JSON Schema": {"type": "json_schema", "json_schema": {"name": "x", "schema": strings}},
         "GBNF": {"type": "grammar", "grammar": 'root ::= (word " "){1,400}\nword ::= [a-z]+'}}


def ms_a_token(form, seed):
    """From the first piece of an answer to its last, over the tokens between; text may be held back until its UTF-8 is whole."""
    body = {"messages": [{"role": "user", "content": "Write."}], "max_tokens": tokens, "seed": seed, "stream": True, "temperature": 1,
            "stream_options": {"include_usage": True}}
    if form:
        body["response_format"] = form
    request = urllib.request.Request(url + "/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        chunks = [(time.monotonic(), json.loads(line[6:])) for line in answer if line.startswith(b"data: {")]
    count = chunks[-1][1]["usage"]["completion_tokens"]
    return (chunks[-1][0] - chunks[1][0]) * 1e3 / max(1, count - 1), count


try:
    ms_a_token(None, 0)
    seen = {kind: [] for kind in kinds}
    counts = {kind: 0 for kind in kinds}
    for turn in range(rounds):
        for kind, form in kinds.items():
            ms, count = ms_a_token(form, turn)
            seen[kind].append(ms)
            counts[kind] += count
finally:
    server.terminate()
    server.wait()
print(machine_line(facts))
print(f"\n{os.path.basename(model)}, {rounds} answers of {tokens} tokens each, one at a time, in turns.\n")
print("| grammar | tokens | ms a token, median of the answers | fastest | against none (median) | (fastest) |\n|---|---|---|---|---|---|")
base, best = statistics.median(seen["none"]), min(seen["none"])
for kind, found in seen.items():
    print(f"| {kind} | {counts[kind]} | {statistics.median(found):.2f} | {min(found):.2f} | "
          f"{100 * (statistics.median(found) / base - 1):+.1f} % | {100 * (min(found) / best - 1):+.1f} % |")
