// Hugging Face's tokenizers library (Rust, from npm) on the same text, in the same chunks. One JSON line.
//   node library.mjs NODE_MODULES encode TOKENIZER.json TEXT
//   node library.mjs NODE_MODULES train TOKENIZER.json TEXT      (its npm binding always makes 30,000 tokens)
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [modules, mode, tokenizerPath, textPath] = process.argv.slice(2);
const { Tokenizer } = createRequire(join(resolve(modules), "x.js"))("@anush008/tokenizers");
const CHUNK_BYTES = 8192;

function clocks() {
  const cpu = process.cpuUsage();
  return { cpu: (cpu.user + cpu.system) / 1e6, wall: performance.now() / 1e3 };
}

const json = readFileSync(tokenizerPath, "utf8");
let start;
let result;
if (mode === "encode") {
  const library = Tokenizer.fromString(json);
  const content = readFileSync(textPath);
  const chunks = [];
  for (let begin = 0; begin < content.length; ) {
    let end = begin + CHUNK_BYTES;
    if (end < content.length) end = content.indexOf(10, end);
    end = end < 0 || end >= content.length ? content.length : end + 1;
    chunks.push(content.toString("utf8", begin, end));
    begin = end;
  }
  start = clocks();
  let tokens = 0;
  for (const chunk of chunks) tokens += (await library.encode(chunk, null, { addSpecialTokens: false })).getLength();
  result = { bytes: content.length, tokens };
} else {
  const trained = JSON.parse(json);
  const empty = { ...trained, added_tokens: [], model: { ...trained.model, vocab: {}, merges: [] } };
  const library = Tokenizer.fromString(JSON.stringify(empty));
  start = clocks();
  library.train([textPath]);
  result = { tokens: library.getVocabSize() };
}
const end = clocks();
console.log(JSON.stringify({ ...result, cpu_s: end.cpu - start.cpu, wall_s: end.wall - start.wall }));
