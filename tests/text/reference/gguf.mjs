// The tokenizer in a GGUF file's metadata, as a tokenizer.json for Hugging Face's library. The pre_tokenizers are those
// of the models' own tokenizer.json files: a GGUF file only names them.
import { readFileSync } from "node:fs";

const SCALARS = {
  0: (d, o) => [d.readUInt8(o), 1], 1: (d, o) => [d.readInt8(o), 1], 2: (d, o) => [d.readUInt16LE(o), 2], 3: (d, o) => [d.readInt16LE(o), 2],
  4: (d, o) => [d.readUInt32LE(o), 4], 5: (d, o) => [d.readInt32LE(o), 4], 6: (d, o) => [d.readFloatLE(o), 4], 7: (d, o) => [d.readUInt8(o) !== 0, 1],
  10: (d, o) => [Number(d.readBigUInt64LE(o)), 8], 11: (d, o) => [Number(d.readBigInt64LE(o)), 8], 12: (d, o) => [d.readDoubleLE(o), 8],
};

export function readMetadata(path) {
  const data = readFileSync(path);
  let at = 4;
  const scalar = (type) => {
    const [value, size] = SCALARS[type](data, at);
    at += size;
    return value;
  };
  const text = () => {
    const length = scalar(10);
    at += length;
    return data.toString("utf8", at - length, at);
  };
  const value = (type) => {
    if (type === 8) return text();
    if (type !== 9) return scalar(type);
    const of = scalar(4);
    return Array.from({ length: scalar(10) }, () => value(of));
  };
  if (data.toString("latin1", 0, 4) !== "GGUF" || scalar(4) !== 3) throw new Error(`${path} is not GGUF 3`);
  scalar(10);
  const count = scalar(10);
  return Object.fromEntries(Array.from({ length: count }, () => [text(), value(scalar(4))]));
}

const split = (regex) => ({ type: "Split", pattern: { Regex: regex }, behavior: "Isolated", invert: false });
const BYTES = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false };
// Letters of scripts with case, spelled as ranges in DeepSeek-LLM's file.
const CASED =
  "A-Za-z\u00B5\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u01BA\u01BC-\u01BF\u01C4-\u0293\u0295-\u02AF\u0370-\u0373\u0376\u0377\u037B-\u037D" +
  "\u037F\u0386\u0388-\u038A\u038C\u038E-\u03A1\u03A3-\u03F5\u03F7-\u0481\u048A-\u052F\u0531-\u0556\u10A0-\u10C5\u13A0-\u13F5\u13F8-" +
  "\u13FD\u1C90-\u1CBA\u1CBD-\u1CBF\u1D00-\u1D2B\u1D6B-\u1D77\u1D79-\u1D9A\u1E00-\u1F15\u1F18-\u1F1D\u1F20-\u1F45\u1F48-\u1F4D\u1F50-" +
  "\u1F57\u1F59\u1F5B\u1F5D\u1F5F-\u1F7D\u1F80-\u1FB4\u1FB6-\u1FBC\u1FBE\u1FC2-\u1FC4\u1FC6-\u1FCC\u1FD0-\u1FD3\u1FD6-\u1FDB\u1FE0-" +
  "\u1FEC\u1FF2-\u1FF4\u1FF6-\u1FFC\u2102\u2107\u210A-\u2113\u2115\u2119-\u211D\u2124\u2126\u2128\u212A-\u212D\u212F-\u2134\u2139" +
  "\u213C-\u213F\u2145-\u2149\u214E\u2183\u2184\u2C00-\u2C7B\u2C7E-\u2CE4\u2CEB-\u2CEE\u2CF2\u2CF3\uA640-\uA66D\uA680-\uA69B\uA722-" +
  "\uA76F\uA771-\uA787\uA78B-\uA78E\uAB70-\uABBF\uFB00-\uFB06\uFB13-\uFB17\uFF21-\uFF3A\uFF41-\uFF5A\u{10400}-\u{1044F}\u{104B0}-" +
  "\u{104D3}\u{104D8}-\u{104FB}\u{10C80}-\u{10CB2}\u{10CC0}-\u{10CF2}\u{118A0}-\u{118DF}\u{1E900}-\u{1E943}";
const DIGITS = { type: "Digits", individual_digits: true };
const PRE_TOKENIZERS = {
  "deepseek-llm": [split("[\r\n]"), split(`\\s?[${CASED}]+`), split("\\s?[!-/:-~\uFF01-\uFF0F\uFF1A-\uFF5E\u2018-\u201F\u3000-\u3002]+"), split("\\s+$"), split("[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+"), DIGITS, BYTES],
  "deepseek-coder": [split("[\r\n]"), split("\\s?\\p{L}+"), split("\\s?\\p{P}+"), split("[\u4E00-\u9FA5\u0800-\u4E00\uAC00-\uD7FF]+"), DIGITS, BYTES],
};

export function tokenizerJson(metadata) {
  const vocab = {};
  const added_tokens = [];
  metadata["tokenizer.ggml.tokens"].forEach((content, id) => {
    const type = metadata["tokenizer.ggml.token_type"][id];
    if (type === 1) vocab[content] = id;
    else if (content !== `[PAD${id}]`)
      added_tokens.push({ id, content, single_word: false, lstrip: false, rstrip: false, normalized: type !== 3, special: type === 3 });
  });
  const pretokenizers = PRE_TOKENIZERS[metadata["tokenizer.ggml.pre"]];
  if (!pretokenizers) throw new Error(`no pre_tokenizer for ${metadata["tokenizer.ggml.pre"]}`);
  return {
    version: "1.0", truncation: null, padding: null, added_tokens, normalizer: null, pre_tokenizer: { type: "Sequence", pretokenizers },
    post_processor: null, decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: { type: "BPE", dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null, fuse_unk: false,
             byte_fallback: false, vocab, merges: metadata["tokenizer.ggml.merges"] },
  };
}
