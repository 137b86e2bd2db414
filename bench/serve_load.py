#!/usr/bin/env python3
"""What the HTTP layer costs and bears, with an engine behind it that computes nothing (bench/serve/stub_engine.cpp):
1,000 open streams, 10,000 idle connections, the age of a token when the client has it, and requests per second beside
nginx, which answers a static body of the same size. Client and server share this machine; the client's own delays count.
The ages are measured in turns with a floor: the same engine and client without the HTTP layer (bench/serve/bare_server.h).

serve_load.py [--rounds N] [--streams N] [--idle N] [--parts ages,many,idle,rates]; writes bench/results/serve_load.md.
Needs nginx. On a machine that others use too: each turn of the ages waits for a quiet moment, at most --wait seconds, and
turns in which others had more than --quiet of the processors are left out where enough are left.
"""
import json
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path

from machine import machine, machine_line
from serve_common import ROOT, Client, OtherWork, StubServer, arguments, median, raise_file_limit


class Nginx:
    """nginx on `port`, which answers everything with `body`."""

    def __init__(self, port, body):
        self.port = port
        self.folder = tempfile.TemporaryDirectory()
        home = self.folder.name
        temp = " ".join(f"{kind}_temp_path {home}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        text = body.replace("\\", "\\\\").replace("'", "\\'").replace("$", "")
        Path(home, "nginx.conf").write_text(
            f"daemon off; pid {home}/pid; error_log stderr crit; worker_processes 2;\n"
            f"events {{ worker_connections 4096; }}\n"
            f"http {{ access_log off; keepalive_requests 1000000; {temp}\n"
            f" server {{ listen 127.0.0.1:{port}; location / {{ default_type application/json; return 200 '{text}'; }} }} }}\n")

    def __enter__(self):
        self.process = subprocess.Popen(["nginx", "-p", self.folder.name, "-c", f"{self.folder.name}/nginx.conf"])
        for _ in range(100):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=1).read()
                return self
            except OSError:
                time.sleep(0.05)
        raise RuntimeError("nginx does not answer")

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
        self.folder.cleanup()


def streams(flags, count, tokens, step_ms, together=False, bare=False):
    server_flags = ["--step-ms", step_ms, "--max-connections-per-address", 0] + (["--together"] if together else []) + \
        (["--bare", tokens] if bare else [])
    with StubServer(flags.build, *server_flags) as server:
        before = server.status("VmRSS")
        client = Client(flags.build, server.port, "streams", "--count", count, "--tokens", tokens, "--seconds", 60)
        result = client.result()
        result.update(peak_kb=server.status("VmHWM"), before_kb=before, cpu_seconds=server.cpu_seconds(), step_ms=step_ms)
    result["handler_us"] = server.handler["handler_us"]
    return result


# A model's pace: one stream; a batch whose tokens come together; and spread ones.
PACES = ((1, 200, 20, False), (32, 32, 100, True), (100, 32, 100, False), (1000, 6, 1000, False))


def ages(flags):
    """Each pace's rounds: {"bare": result, "ours": result}, one after the other, with the others' share of the machine."""
    rounds = []
    for _ in range(flags.age_rounds):
        for count, tokens, step, together in PACES:
            turn = {"count": count, "step": step, "together": together}
            for name in ("bare", "ours"):
                others = OtherWork()
                others.wait_for_quiet(flags.quiet, flags.wait)
                others.begin()
                turn[name] = streams(flags, count, tokens, step, together, bare=name == "bare")
                turn[name]["others"] = others.share()
            print(json.dumps(turn), flush=True)
            rounds.append(turn)
    return rounds


def age_lines(flags, rounds):
    lines = ["## Added latency of a token", "",
             "From the engine's event to the client's having read it. *Bare*: the stub engine's thread writes ready bytes to the socket, "
             "and the same client reads them: the kernel's loopback and the client's own wake-up, without any of Hadal. "
             "*Added*: the difference, median of the rounds'. *Handler*: what an event has of the engine's thread (JSON, the event's "
             "frame, most often the write itself).", "",
             "| streams | tokens of each | | p50 ms | p99 ms | p99.9 ms | most ms | added p50 | added p99 | handler p50, p99 µs | rounds |",
             "|---|---|---|---|---|---|---|---|---|---|---|"]
    for count, _, step, together in PACES:
        turns = [turn for turn in rounds if (turn["count"], turn["step"]) == (count, step)]
        calm = [turn for turn in turns if max(turn["bare"]["others"], turn["ours"]["others"]) <= flags.quiet]
        used = calm if len(calm) >= 3 else turns
        how = f"every {step} ms" + (", all together, as a batch makes them" if together else ", spread" if count > 1 else "")
        for name in ("bare", "ours"):
            def middle(of):
                return median([of(turn) for turn in used])
            age = [middle(lambda turn: turn[name]["age_ms"][key]) for key in ("p50", "p99", "p999", "max")]
            added = ["", ""] if name == "bare" else [
                f"{middle(lambda turn: turn['ours']['age_ms'][key] - turn['bare']['age_ms'][key]):.3f}" for key in ("p50", "p99")]
            handler = [middle(lambda turn: turn[name]["handler_us"][key]) for key in ("p50", "p99")]
            lines.append(f"| {count} | {how} | {name} | {age[0]:.3f} | {age[1]:.3f} | {age[2]:.3f} | {age[3]:.2f} | {added[0]} | "
                         f"{added[1]} | {handler[0]:.1f}, {handler[1]:.1f} | {len(used)} of {len(turns)}"
                         f"{'' if used is calm else ', not quiet'} |")
    return [*lines, "", f"A round counts as quiet when other processes had at most {flags.quiet:.0%} of the processors. "
            "The goal is an added p99 under 0.2 ms.", ""]


def idle(flags):
    with StubServer(flags.build, "--max-connections-per-address", 0, "--idle-timeout", 300) as server:
        before = server.status("VmRSS")
        client = Client(flags.build, server.port, "idle", "--count", flags.idle, "--seconds", flags.idle_seconds)
        time.sleep(flags.idle_seconds * 0.7)
        resting = server.status("VmRSS")
        result = client.result()
        result.update(before_kb=before, resting_kb=resting, peak_kb=server.status("VmHWM"))
        return result


def rates(flags):
    """[[ours, ours GET, nginx] per round], one after the other."""
    rounds = []
    with StubServer(flags.build, "--step-ms", 0, "--max-connections-per-address", 0) as server:
        body = b'{"messages": [{"role": "user", "content": "What is the deepest part of the sea?"}], "max_tokens": 1}'
        answer = urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{server.port}/v1/chat/completions", data=body,
                                                               headers={"Content-Type": "application/json"})).read().decode()
        with Nginx(server.port + 1 if server.port < 65000 else server.port - 1, answer) as nginx:
            load = ["rate", "--count", 32, "--seconds", flags.rate_seconds]
            for _ in range(flags.rounds):
                entry = {}
                for name, port, extra, options in (("chat", server.port, [], []), ("nginx", nginx.port, [], []),
                                                   ("models", server.port, ["--get"], ["--path", "/v1/models"])):
                    cpu = server.cpu_seconds()
                    result = Client(flags.build, port, *load, *extra, options=options).result()
                    result["server_cpu_us"] = (server.cpu_seconds() - cpu) * 1e6 / max(1, result["requests_per_second"] * flags.rate_seconds)
                    entry[name] = result
                rounds.append(entry)
    return rounds, len(answer)


def many_lines(many, rest):
    lines = ["## Many connections", "", "| | begun | complete | broken | memory of the server |", "|---|---|---|---|---|"]
    if many:
        lines.append(f"| {many['streams']} streams at once, a token a second each | {many['begun']} | {many['done']} | {many['broken']} | "
                     f"{many['before_kb'] / 1024:.0f} MB before, {many['peak_kb'] / 1024:.0f} MB at most: "
                     f"{(many['peak_kb'] - many['before_kb']) / many['streams']:.1f} KB a stream |")
    if rest:
        lines.append(f"| {rest['connections']} idle connections, half of them after a request, then a request on each | "
                     f"{rest['open']} | {rest['answered_after_idling']} answered | {rest['errors']} | {rest['before_kb'] / 1024:.0f} MB before, "
                     f"{rest['resting_kb'] / 1024:.0f} MB idle: {(rest['resting_kb'] - rest['before_kb']) / rest['connections']:.1f} KB each; "
                     f"{rest['peak_kb'] / 1024:.0f} MB at most |")
    return [*lines, ""] if many or rest else []


def rate_lines(rounds, body_bytes):
    print(json.dumps(rounds), flush=True)
    of = {name: median([entry[name]["requests_per_second"] for entry in rounds]) for name in ("chat", "models", "nginx")}
    ratio = median([entry["chat"]["requests_per_second"] / entry["nginx"]["requests_per_second"] for entry in rounds])
    p99 = {name: median([entry[name]["ms"]["p99"] for entry in rounds]) for name in of}
    return [f"## Requests per second, {len(rounds)} rounds, interleaved, medians", "",
            f"32 connections, one request at a time on each; answers of {body_bytes} bytes.", "",
            "| | requests/s | p99 ms | server CPU a request |", "|---|---|---|---|",
            f"| `POST /v1/chat/completions`, one token from the stub | {of['chat']:.0f} | {p99['chat']:.2f} | "
            f"{median([e['chat']['server_cpu_us'] for e in rounds]):.0f} µs |",
            f"| `GET /v1/models` | {of['models']:.0f} | {p99['models']:.2f} | {median([e['models']['server_cpu_us'] for e in rounds]):.0f} µs |",
            f"| nginx, `return 200` with the chat answer's bytes | {of['nginx']:.0f} | {p99['nginx']:.2f} | |", "",
            f"Chat over nginx, median of the rounds' ratios: {ratio:.2f}. nginx parses no JSON, renders no template, counts no tokens.", ""]


def main():
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--idle", type=int, default=10000)
    parser.add_argument("--idle-seconds", type=float, default=10)
    parser.add_argument("--rate-seconds", type=float, default=2)
    parser.add_argument("--age-rounds", type=int, default=5)
    parser.add_argument("--quiet", type=float, default=0.1)
    parser.add_argument("--wait", type=float, default=20)
    parser.add_argument("--parts", default="ages,many,idle,rates")
    parser.add_argument("--note", action="append", default=[], help="a line for the page, about this run")
    flags = parser.parse_args()
    facts = machine()
    print(f"open files: {raise_file_limit()}", flush=True)
    parts = flags.parts.split(",")
    lines = ["# The HTTP layer under load", "", machine_line(facts), "",
             "`python3 bench/serve_load.py`. A stub in place of the engine (`bench/serve/`), behind the real transport and API; server and "
             "client share the machine's cores, over loopback.", *flags.note, ""]
    many = streams(flags, flags.streams, 15, 1000) if "many" in parts else None
    rest = idle(flags) if "idle" in parts else None
    print(json.dumps([many, rest]), flush=True)
    lines += many_lines(many, rest)
    if "ages" in parts:
        lines += age_lines(flags, ages(flags))
    if "rates" in parts:
        lines += rate_lines(*rates(flags))
    out = flags.out or ROOT / "bench/results/serve_load.md"
    out.write_text("\n".join(lines))
    print("\n".join(lines))
    if (many and (many["broken"] or many["done"] != many["streams"])) or (rest and (rest["errors"] or rest["open"] != rest["connections"])):
        raise SystemExit("there were errors")


if __name__ == "__main__":
    main()
