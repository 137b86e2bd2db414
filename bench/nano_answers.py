#!/usr/bin/env python3
"""What share of the questions that its dialogues are about does a small model answer rightly?

  bench/nano_answers.py HADAL MODEL [DATASET]        DATASET (data/nano) has validation_dialogues.jsonl

Asks at temperature 0 and prints a table. Taught: the everyday words of the dialogues, and sums that have to be known by
heart. Held out: the first questions of the dialogues that validation sees; their words, sums and lists never occur in
training. Right means word for word as the rules answer, so questions with several good answers are left out.
"""
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
KINDS = [  # the first that matches the expected answer or the question
    ("say it again", r"^(repeat|say|please repeat|write|here are some words: .*again)", "question"),
    ("which word is first, last", r"^The \w+ word is", "answer"),
    ("look up in the question", r" has an? \w+\.$|^The \w+ is (red|blue|green|black|white|brown|yellow|gray|pink|orange)\.$"
                                r"| is in the \w+\.$|^Your \w+ is called", "answer"),
    ("spelling", r" is spelled |^The letters ", "answer"),
    ("sums and differences", r"\d [-+] \d", "answer"),
    ("products and quotients", r"\d [*/] \d", "answer"),
    ("compare two numbers", r"(bigger|smaller) than \d", "answer"),
    ("words that do not exist", r"^I do not know the word", "answer"),
    ("meaning", r"^(The word .* means|To \w+ means|An? [\w ]+ is (?!a kind))", "answer"),
]


def main():
    hadal, model = sys.argv[1:3]
    dataset = pathlib.Path(sys.argv[3] if len(sys.argv) > 3 else "data/nano")
    counts = {}

    def ask(question):
        command = [hadal, "--log-level", "error", "generate", "--model", model, "--chat", "--prompt", question,
                   "--temperature", "0", "--max-tokens", "120", "--threads", "1"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def count(kind, right):
        row = counts.setdefault(kind, [0, 0])
        row[0] += bool(right)
        row[1] += 1

    source = (ROOT / "src/train/corpus/everyday_words.cpp").read_text(encoding="utf-8")
    for number, (word, meaning) in enumerate(re.findall(r'\{"(\w+)", k\w+, ".*?", "(.*?)"\}', source)):
        if number % 3 == 0:
            count("taught: the meaning of an everyday word", meaning in ask(f"What does the word {word} mean?"))
            count("taught: its spelling", f"is spelled {' '.join(word)}." in ask(f"Spell the word {word}."))
    for a in range(10):
        for b in range(10):
            count("taught: the sum of two digits", ask(f"What is {a} + {b}?") == f"{a} + {b} = {a + b}.")

    for line in (dataset / "validation_dialogues.jsonl").read_text(encoding="utf-8").splitlines()[:500]:
        messages = [m for m in json.loads(line)["messages"] if m["role"] != "system"]
        question, expected = messages[0]["content"], messages[1]["content"]
        kind = next((name for name, pattern, where in KINDS
                     if (re.search(pattern, question, re.IGNORECASE) if where == "question"
                         else re.search(pattern, expected))), None)
        if kind is None:
            continue
        answer = ask(question)
        count("held out: " + kind, answer.removesuffix(" Is it a real word?") == expected.removesuffix(" Is it a real word?"))
        word = re.match(r'The word ("?\w+"?) ', expected)
        if word:
            count("held out: the answer begins with the word that was asked for", answer.startswith(word.group(0)))

    print("| question | right | asked |\n|---|---|---|")
    for name, (right, asked) in sorted(counts.items(), key=lambda row: not row[0].startswith("taught")):
        print(f"| {name} | {right} | {asked} |")


main()
