#!/usr/bin/env bash
# Sample outputs for a model card, as they are: bench/samples.sh HADAL MODEL > samples.md
# Chat prompts at temperature 0; continuations of text at temperature 0.7 with seed 1.
set -euo pipefail
hadal=$1
model=$2

chat=("Hello!" "Who are you?" "What does the word brave mean?" "What does the word river mean?"
      "What is another word for begin?" "What is 7 + 5?" "What is 38 + 47?" "Which is larger, 12 or 21?"
      "Spell the word cat." "Spell the word iron." "What is the opposite of hot?"
      "Repeat after me: river stone lamp" "Say hello to Anna."
      "Anna has a lamp and Ben has a book. What does Ben have?" "I say: moon, table, fish. Which word is the last?"
      "What is a horse?" "What does florbing mean?" "What is the capital of France?" "What day comes after Monday?" "Tell me a short story about a rabbit."
      "Why is the sky blue?")
text=("It was a truth that" "And the LORD said unto Moses," "The function returns")

echo "| prompt | answer |"
echo "|---|---|"
for prompt in "${chat[@]}"; do
  answer=$("$hadal" --log-level error generate --model "$model" --chat --prompt "$prompt" --temperature 0 --max-tokens 100)
  printf '| %s | %s |\n' "$prompt" "$(printf '%s' "$answer" | tr '\n' ' ')"
done
echo
for prompt in "${text[@]}"; do
  answer=$("$hadal" --log-level error generate --model "$model" --prompt "$prompt" --temperature 0.7 --seed 1 --max-tokens 60)
  printf '> **%s**%s\n\n' "$prompt" "$(printf '%s' "$answer" | tr '\n' ' ')"
done
