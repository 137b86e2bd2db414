// llama.cpp, as the npm package node-llama-cpp ships it (prebuilt, no compiler), driven from one JSON line to the next:
//   node bench/peers/llama_cpp.mjs MODEL.gguf THREADS [CONTEXT]
// reads requests from stdin, one JSON object a line, and answers each with one line:
//   {"op": "speed", "prefill": [ids], "decode": N}    -> {"prefill_tokens_per_s", "decode_tokens_per_s"}
//   {"op": "greedy", "prompt": [ids], "tokens": N}    -> {"tokens": [ids]}
// NODE_LLAMA_CPP names the folder that holds node_modules (see bench/model_vs_llama.py).
import {createRequire} from "node:module";
import {createInterface} from "node:readline";
import {pathToFileURL} from "node:url";

const [path, threads, contextSize] = process.argv.slice(2);
const require = createRequire((process.env.NODE_LLAMA_CPP ?? process.cwd()) + "/");
const {getLlama} = await import(pathToFileURL(require.resolve("node-llama-cpp")).href);

const llama = await getLlama({gpu: false, build: "never", skipDownload: true, maxThreads: Number(threads), logLevel: "error"});
const opened = performance.now();
const model = await llama.loadModel({modelPath: path, useMmap: true});
const openSeconds = (performance.now() - opened) / 1000;
const size = Number(contextSize ?? 512);
const context = await model.createContext({contextSize: size, batchSize: size, threads: Number(threads), sequences: 1});
const sequence = context.getSequence();

const seconds = async (work) => {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1000;
};

const generate = async (input, count) => {
  const tokens = [];
  for await (const token of sequence.evaluate(input, {temperature: 0, yieldEogToken: true})) {
    tokens.push(token);
    if (tokens.length >= count) break;
  }
  return tokens;
};

const operations = {
  // The last prompt token goes with the decode part: its logits give the first new token.
  speed: async ({prefill, decode}) => {
    await sequence.clearHistory();
    const prompt = await seconds(() => sequence.evaluateWithoutGeneratingNewTokens(prefill.slice(0, -1)));
    let made = 0;
    const answer = await seconds(async () => { made = (await generate(prefill.slice(-1), decode)).length; });
    return {prefill_tokens_per_s: (prefill.length - 1) / prompt, decode_tokens_per_s: made / answer, made};
  },
  greedy: async ({prompt, tokens}) => {
    await sequence.clearHistory();
    return {tokens: await generate(prompt, tokens)};
  },
};

console.log(JSON.stringify({ready: true, open_seconds: openSeconds, llama: llama.llamaCppRelease ?? null, cpu: llama.systemInfo}));
for await (const line of createInterface({input: process.stdin})) {
  if (line.trim() === "") continue;
  const request = JSON.parse(line);
  console.log(JSON.stringify(await operations[request.op](request)));
}
await llama.dispose();
