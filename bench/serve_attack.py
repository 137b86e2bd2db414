#!/usr/bin/env python3
"""What attackers do to those who mean well. A stub engine (bench/serve/stub_engine.cpp) behind the real transport and API;
legitimate requests at a steady rate, in turns without and with an attack from other addresses; the p99 of both. Everything
runs on this machine, over loopback: attackers take processor time from server and clients as well.

serve_attack.py [--kinds a,b] [--rounds N] [--seconds S]; writes bench/results/serve_attack.md; --from LOG... makes it of
what several runs printed. The stub server knows no keys, so
bad_keys needs a real one: serve_attack.py --kinds bad_keys --server-pid PID --server-port P --key sk-... --total 100000
"""
import json
import time

from machine import machine, machine_line
from serve_common import ROOT, Client, RunningServer, StubServer, arguments, median, raise_file_limit

# What each does, connections at once, and requests (or new connections) a second at most.
KINDS = {
    "slow_headers": ("a byte of a header each second", 1000, 500),
    "slow_bodies": ("a byte of a body each half second", 1000, 500),
    "slow_reads": ("asks for endless streams and reads nothing", 300, 300),
    "half_open": ("connects and says nothing", 5000, 2000),
    "oversized": ("bodies of 9 MB", 8, 10),
    "large": ("bodies of 8 MB, just within the limit, that are not JSON", 4, 2),
    "deep": ("1 MB of [", 4, 10),
    "utf8": ("100 KB of broken UTF-8", 8, 100),
    "smuggling": ("eight shapes of ambiguous requests", 50, 1000),
    "bad_keys": ("a new key with each request", 32, 5000),
}


def measure(flags, port, kind=None):
    """The legitimate clients' result and the attackers', of one turn."""
    attack = None
    key = ["--key", flags.key] if flags.key else []
    if kind is not None:
        _, count, rate = KINDS[kind]
        total = ["--total", flags.total // flags.rounds] if flags.total else []
        attack = Client(flags.build, port, "attack", "--kind", kind, "--count", count, "--rate", rate, "--seconds", flags.seconds + 2, *total,
                        nice=5, options=["--sources", 100])
        time.sleep(1)
    legitimate = Client(flags.build, port, "legitimate", "--rate", flags.rate, "--tokens", flags.tokens, "--seconds", flags.seconds,
                        options=["--sources", 1, *key]).result()
    return legitimate, attack.result() if attack else None


def pair(values, digits):
    return "-" if values is None else f"{values[0]:.{digits}f}, {values[1]:.{digits}f}"


def turns(flags):
    """Each kind's rounds, printed as they come: a later run can make the page of several (--from)."""
    for kind in flags.kinds.split(","):
        with (RunningServer(flags.server_port, flags.server_pid) if flags.server_port else
              StubServer(flags.build, "--step-ms", flags.step_ms)) as server:
            for _ in range(flags.rounds):
                calm, _none = measure(flags, server.port)
                under, attack = measure(flags, server.port, kind)
                turn = {"kind": kind, "calm": calm, "under": under, "attack": attack, "peak_mb": server.status("VmHWM") / 1024}
                print(json.dumps(turn), flush=True)
                yield turn


def row_of(kind, rounds):
    row = {"kind": kind, "rounds": len(rounds), "peak_mb": max(turn["peak_mb"] for turn in rounds),
           "requests": sum(turn["attack"]["requests"] for turn in rounds),
           "errors": sum(turn["under"]["errors"] for turn in rounds), "sent": sum(turn["under"]["sent"] for turn in rounds)}
    statuses = {}
    for turn in rounds:
        for status, count in turn["attack"]["answers"].items():
            statuses[status] = statuses.get(status, 0) + count
    row["answers"] = ", ".join(f"{count} x {status}" for status, count in sorted(statuses.items())) or "none"
    for name, key in (("whole", "ms"), ("first", "first_token_ms"), ("age", "token_age_ms")):
        # A real server's tokens do not say when they were made.
        measured = all(turn[when][key] for turn in rounds for when in ("calm", "under"))
        row[name] = tuple(median([turn[when][key]["p99"] for turn in rounds]) for when in ("calm", "under")) if measured else None
    return row


def main():
    parser = arguments(__doc__)
    parser.add_argument("--kinds", default=",".join(kind for kind in KINDS if kind != "bad_keys"))
    parser.add_argument("--from", dest="logs", nargs="*", help="what earlier runs printed: the page is made of these, nothing is run")
    parser.add_argument("--server-port", type=int, help="of a server that runs already, instead of the stub")
    parser.add_argument("--server-pid", type=int)
    parser.add_argument("--key", help="of the legitimate clients")
    parser.add_argument("--total", type=int, default=0, help="requests of an attack in all, at most")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--rate", type=float, default=40, help="legitimate requests a second")
    parser.add_argument("--tokens", type=int, default=8, help="of each legitimate stream")
    parser.add_argument("--step-ms", type=float, default=20, help="of the stub engine, a token")
    flags = parser.parse_args()
    facts = machine()
    raise_file_limit()
    if flags.logs:
        all_turns = [json.loads(line) for log in flags.logs for line in open(log) if line.startswith("{")]
    else:
        all_turns = list(turns(flags))
    rows = [row_of(kind, [turn for turn in all_turns if turn["kind"] == kind])
            for kind in KINDS if any(turn["kind"] == kind for turn in all_turns)]
    lines = ["# The HTTP layer under attack", "", machine_line(facts), "",
             f"`python3 bench/serve_attack.py`. Legitimate clients ask for {flags.rate:.0f} streams a second of {flags.tokens} tokens, "
             f"one each {flags.step_ms:.0f} ms. Rounds of {flags.seconds:.0f} s without and with each attack in turn; medians of "
             "the rounds' p99, in ms. Attackers come from 100 other addresses, and share the two cores with server and clients.", "",
             "| attack | at once | rounds | requests | answers | whole request: calm, attacked | ratio | first token | a token's age | errors | memory at most |",
             "|---|---|---|---|---|---|---|---|---|---|---|"]
    for row in rows:
        about, count, _ = KINDS[row["kind"]]
        lines.append(f"| {about} | {count} | {row['rounds']} | {row['requests']} | {row['answers']} | {pair(row['whole'], 0)} | "
                     f"**{row['whole'][1] / row['whole'][0]:.2f}** | {pair(row['first'], 1)} | {pair(row['age'], 2)} | "
                     f"{row['errors']} of {row['sent']} | {row['peak_mb']:.0f} MB |")
    lines += ["", "The goal is a ratio of at most 2, and no errors.", ""]
    out = flags.out or ROOT / "bench/results/serve_attack.md"
    out.write_text("\n".join(lines))
    print("\n".join(lines))
    failed = [row["kind"] for row in rows if row["whole"][1] > 2 * row["whole"][0] or row["errors"]]
    if failed:
        raise SystemExit("over the goal: " + ", ".join(failed))


if __name__ == "__main__":
    main()
