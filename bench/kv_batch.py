#!/usr/bin/env python3
"""Many streams at once: total decode speed of 16 against one, beside llama.cpp's parallel sequences; and the time between
tokens of running streams while a long prompt is read, in pieces (the default) against whole (--max-itl-ms 0).

kv_batch.py --model FILE.gguf [--streams 16] [--prompt N] [--decode N] [--long 4096] [--rounds N] [--threads N] [--no-peer]
writes bench/results/kv_batch.json and .md. Medians over the rounds; every stream has its own random prompt.
"""
import threading
import time

from kv_common import (LlamaCpp, Server, Stream, arguments, median, percentile, random_prompt, steady_rate, summary_of,
                       warm_up, write_results)


def hadal_rates(flags, context):
    """Tokens per second, one stream and all; pages stay in memory only, so that the disk has no part in it."""
    rates = {"one": [], "all": []}
    with Server(flags, "--max-running", max(32, flags.streams), context=context) as server:
        vocabulary = server.vocabulary()
        warm_up(server, vocabulary)
        for number in range(flags.rounds):
            for name, count in (("one", 1), ("all", flags.streams)):
                streams = [Stream(server, random_prompt(1000 * number + count + i, flags.prompt, vocabulary), flags.decode)
                           for i in range(count)]
                rates[name].append(steady_rate([stream.done().times for stream in streams]))
        samples = server.metrics()
        server.stop()
    rates["bookkeeping_share"] = samples["hadal_bookkeeping_seconds_total"] / samples["hadal_step_seconds_total"]
    return rates


def peer_rates(flags, vocabulary):
    rates = {"one": [], "all": []}
    with LlamaCpp(flags, flags.prompt + flags.decode + 32, flags.streams) as peer:
        peer.ask(op="first", prompt=random_prompt(7, flags.prompt, vocabulary))
        for number in range(flags.rounds):
            for name, count in (("one", 1), ("all", flags.streams)):
                prompts = [random_prompt(1000 * number + count + i, flags.prompt, vocabulary) for i in range(count)]
                rates[name].append(steady_rate(peer.ask(op="parallel", prompts=prompts, tokens=flags.decode)["times"]))
    return rates


class Talker(threading.Thread):
    """One stream after another, each with a prompt of its own: a random model says its end token at any time."""

    def __init__(self, server, seed, vocabulary, tokens):
        super().__init__(daemon=True)
        self.server, self.seed, self.vocabulary, self.tokens = server, seed, vocabulary, tokens
        self.streams, self.leave = [], threading.Event()
        self.start()

    def run(self):
        while not self.leave.is_set():
            prompt = random_prompt(self.seed + 10_000 * len(self.streams), 64, self.vocabulary)
            self.streams.append(Stream(self.server, prompt, self.tokens))
            while self.streams[-1].is_alive():
                self.streams[-1].join(0.05)
                if self.leave.is_set():
                    self.streams[-1].leave.set()
            if self.streams[-1].error:
                raise SystemExit(f"a stream failed: {self.streams[-1].error}")

    def tokens_so_far(self):
        return sum(len(stream.times) for stream in self.streams)

    def gaps(self, begin, end):
        return [gap for stream in self.streams for gap in stream.gaps(begin, end)]


def gaps_during_prefill(flags, context, *more):
    """Time between tokens of --talkers streams: alone, and while a long prompt is read."""
    result = {"alone": [], "during": [], "long_ttft_s": [], "tokens_during": []}
    with Server(flags, *more, context=context) as server:
        vocabulary = server.vocabulary()
        warm_up(server, vocabulary)
        for number in range(flags.rounds):
            talkers = [Talker(server, 50 * number + i, vocabulary, context - 128) for i in range(flags.talkers)]
            while any(talker.tokens_so_far() < 8 and talker.is_alive() for talker in talkers):
                time.sleep(0.01)
            began = time.perf_counter()
            time.sleep(flags.alone)
            long = Stream(server, random_prompt(90_000 + number, flags.long, vocabulary), 1).done()
            ended = long.times[0]
            time.sleep(0.2)
            for talker in talkers:
                result["alone"] += talker.gaps(began, long.sent)
                during = talker.gaps(long.sent, ended)
                result["during"] += during
                result["tokens_during"].append(len(during))
                talker.leave.set()
            result["long_ttft_s"].append(long.ttft())
            for talker in talkers:
                talker.join()
        server.stop()
    return result


def gap_row(name, gaps, long_ttft=None, tokens=None):
    ms = [1000 * gap for gap in gaps]
    return (f"| {name} | {percentile(ms, 50):.1f} | {percentile(ms, 99):.1f} | {max(ms, default=float('nan')):.1f} | "
            f"{f'{median(long_ttft):.2f} s' if long_ttft else '-'} | {f'{median(tokens):.0f}' if tokens else '-'} |")


def main():
    parser = arguments(__doc__)
    parser.add_argument("--streams", type=int, default=16)
    parser.add_argument("--prompt", type=int, default=128, help="tokens of each stream's prompt")
    parser.add_argument("--decode", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--long", type=int, default=4096, help="tokens of the prompt that is read meanwhile")
    parser.add_argument("--talkers", type=int, default=4, help="streams that run meanwhile")
    parser.add_argument("--alone", type=float, default=4, help="seconds of these streams before the prompt comes")
    parser.add_argument("--context", type=int, default=0, help="default: the long prompt and 4096 tokens")
    flags = parser.parse_args()
    context = flags.context or flags.long + 4096
    ours = hadal_rates(flags, context)
    print(f"Hadal: {ours}", flush=True)
    with Server(flags, context=context) as server:
        vocabulary = server.vocabulary()
        server.stop()
    theirs = None if flags.no_peer else peer_rates(flags, vocabulary)
    print(f"peer: {theirs}", flush=True)
    chunked = gaps_during_prefill(flags, context)
    print(gap_row("in pieces", chunked["during"], chunked["long_ttft_s"], chunked["tokens_during"]), flush=True)
    whole = gaps_during_prefill(flags, context, "--max-itl-ms", 0)

    def rate_row(name, rates):
        one, many = median(rates["one"]), median(rates["all"])
        return f"| {name} | {one:.2f} | {many:.2f} | **{many / one:.2f}** |"

    summary = summary_of(flags, command=f"bench/kv_batch.py --model {flags.model.split('/')[-1]} --streams {flags.streams} "
                         f"--long {flags.long}", streams=flags.streams, prompt=flags.prompt, decode=flags.decode,
                         rounds=flags.rounds, hadal=ours, llama_cpp=theirs, chunked=chunked, whole=whole)
    lines = [
        f"`{summary['command']}`: {flags.threads} threads, pages of {flags.kv_type}, {flags.rounds} rounds, medians. Peer: {summary['peer']}, "
        "its parallel sequences in one context.", "",
        f"## Decode: {flags.streams} streams against one", "",
        f"Prompts of {flags.prompt} random tokens, {flags.decode} tokens each; tokens per second while all streams run.", "",
        f"| | one stream | {flags.streams} streams, total | ratio |", "|---|---|---|---|", rate_row("Hadal", ours)]
    if theirs:
        ratio = median(ours["all"]) / median(theirs["all"])
        lines += [rate_row("llama.cpp", theirs), "", f"Hadal against llama.cpp at {flags.streams} streams: **{ratio:.2f}** times."]
    lines += ["", f"Bookkeeping (scheduling, hashing, lookup): {100 * ours['bookkeeping_share']:.2f} % of the steps' time (goal < 1 %).", "",
              f"## Time between tokens while a prompt of {flags.long} tokens is read", "",
              f"{flags.talkers} running streams; milliseconds between tokens of one stream, at the client.", "",
              "| | p50 | p99 | longest | first token of the long prompt | tokens of a stream meanwhile |", "|---|---|---|---|---|---|",
              gap_row("no prompt, in pieces", chunked["alone"]),
              gap_row("prompt in pieces (default)", chunked["during"], chunked["long_ttft_s"], chunked["tokens_during"]),
              gap_row("prompt whole (--max-itl-ms 0)", whole["during"], whole["long_ttft_s"], whole["tokens_during"])]
    write_results(flags, "kv_batch", f"{summary['model']}: many streams at once", summary, lines)


if __name__ == "__main__":
    main()
