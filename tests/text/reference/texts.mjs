// The texts that both libraries encode: real ones that a machine has anyway, texts spelled by a vocabulary's own tokens,
// and random Unicode. The same for every run on the same machine.
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

const EDGES = [
  "", " ", "  ", "\n", "\r\n", " \n ", "a", " a", "  a", "a ", "a  ", "\ta", "don't  it's", "x=1;\n\n\n  y", "12345678", "3.14e-10",
  "１２３４", "Ⅷ½²", "٣٤٥٦", "中文 and English混合", "ひらがなカタカナ漢字", "한국어 텍스트", "naïve café", "e\u0301a\u0300 \u0301x",
  "👩‍👩‍👧‍👦 emoji 😀", "\u00a0\u2003\u3000wide", "\u180emongolian\u180e", "\u0085next", "a\u200db\u200cc", "\ufeffbom", "#include <x>\n\t{ }", "a_b$c^d`e~f|g",
  "https://example.org/path?q=1&r=2", "end of text 1  2", "   \n\n   \n", "<think>ok</think>", "<｜User｜>hi<｜Assistant｜>",
  "<｜begin▁of▁sentence｜><｜end▁of▁sentence｜><｜▁pad▁｜>", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜", "<<｜User｜>>", "<|EOT|>|>", "Zażółć gęślą jaźń",
  "العربية مرحبا", "שלום עולם", "ไทยภาษา", "नमस्ते दुनिया", "\u{1F1E9}\u{1F1EA}\u{1F468}", "\u{10ffff}\u{e000}", "a".repeat(300), "ab".repeat(200),
  "<|im_start|>user\n<|im_end|>", "<|begin_of_text|><|eot_id|><|start_header_id|>", "<tool_call>{}</tool_call>", "It's IT'S it\u2019s 'ſ 'S'RE'Ll",
  "\ufffd\ufffd\ufffd bytes that were not UTF-8 \ufffd", "\0\x01\x02\x1b[0m\x7f\x80\x9f", "smørrebrød ÀÁ ø ö ÿ þ", "\u1100\u1161\u11a8\uac00\u11a8", "か\u3099は\u309a",
  "a\u0323\u0301\u0300 q\u0307\u0323 \u0344 \u2126 \u212b \u1e9b\u0323", "\u{11935}\u{11930} \u{1e08f}x \u0898\u0323", "\u2f82c \u{2f82c} \ufa1e \uf900",
];

// A small deterministic generator (mulberry32).
export function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

// Any code point at all, with much white space, many marks, digits and signs: where the patterns differ.
export function randomUnicode(seed, bytes) {
  const next = random(seed);
  const below = (n) => Math.floor(next() * n);
  const tricky = [...EDGES.join("")];
  const point = (limit) => {
    const p = below(limit);
    return String.fromCodePoint(p >= 0xd800 && p < 0xe000 ? 0x4e2d : p);
  };
  const kinds = [
    () => tricky[below(tricky.length)], () => tricky[below(tricky.length)], () => point(0x80), () => point(0x500), () => point(0x3000), () => point(0x10000),
    () => point(0x20000), () => point(0x110000), () => " \n\t\r"[below(4)], () => String.fromCharCode(97 + below(26)), () => String.fromCodePoint(0x300 + below(0x50)),
    () => String.fromCodePoint(0xac00 + below(11172)) + String.fromCodePoint(0x11a7 + below(28)), () => " the and of 2026 (x)".slice(below(10)),
    () => String.fromCodePoint(0x4e00 + below(0x5200)), () => String(below(1e9)),
  ];
  const texts = [];
  for (let size = 0; size < bytes; ) {
    const text = Array.from({ length: below(60) }, () => kinds[below(kinds.length)]()).join("");
    texts.push(text);
    size += Buffer.byteLength(text);
  }
  return texts;
}

// Every code point once, a line of 64 at a time, each followed by a mark that normalization may move.
export function everyCodePoint() {
  const texts = [];
  for (let first = 0; first < 0x110000; first += 64) {
    if (first >= 0xd800 && first < 0xe000) continue;
    texts.push(Array.from({ length: 64 }, (_, i) => `a${String.fromCodePoint(first + i)}\u0323 `).join(""));
  }
  return texts;
}

// Words of all languages and code that a vocabulary knows, in an order nobody wrote.
export function spelledByTokens(tokens, seed, bytes) {
  const next = random(seed);
  const texts = [];
  for (let size = 0; size < bytes; ) {
    const ids = Array.from({ length: 20 + Math.floor(next() * 300) }, () => Math.floor(next() * tokens.length));
    const text = Buffer.concat(ids.map((id) => tokens[id])).toString("utf8");
    texts.push(text);
    size += Buffer.byteLength(text);
  }
  return texts;
}

// Files below `folders` in order of their paths, as text (bytes that are not UTF-8 become U+FFFD), to `bytes` in all.
export function realTexts(folders, bytes) {
  const texts = [];
  let size = 0;
  const walk = (folder) => {
    let entries = [];
    try {
      entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
    } catch {
      return;
    }
    for (const entry of entries) {
      if (size >= bytes) return;
      const path = join(folder, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (entry.isFile() && /\.(h|hpp|cpp|c|py|md|txt|rs|ts|mjs|jinja|inp|docs|po)$|copyright$|README/i.test(entry.name)) {
        if (statSync(path).size > 200e6) continue;
        const text = readFileSync(path).subarray(0, bytes).toString("utf8");
        for (let at = 0; at < text.length && size < bytes; at += 40000) {
          const part = text.slice(at, at + 40000);
          texts.push(part);
          size += Buffer.byteLength(part);
        }
      }
    }
  };
  folders.forEach(walk);
  return texts;
}

export const edges = EDGES;
