// Documents that a model of random weights writes under a schema through the whole server (API, engine, batches, stop by
// budget), each checked by an independent validator.
//   node engine.mjs WORK HADAL MODEL [COUNT]
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createRequire } from "node:module";
import { join } from "node:path";
import { schemas } from "./schemas.mjs";

const [work, binary, model, count = "10000"] = process.argv.slice(2);
const require = createRequire(join(work, "package.json"));
const Ajv = require("ajv/dist/2020").default;
const addFormats = require("ajv-formats").default;
const ajv = new Ajv({ strict: false, multipleOfPrecision: 9 });
addFormats(ajv);

const server = spawn(binary, ["serve", "--model", model, "--port", "0", "--kv-dir", "none", "--chat-format", "deepseek-v3.1"]);
server.stderr.pipe(process.stderr);
process.on("exit", () => server.kill("SIGKILL"));
let said = "";
server.stdout.on("data", (data) => (said += data));
while (!/http:\/\/[^/\s]+/.test(said)) {
  if (server.exitCode !== null) throw new Error("hadal serve ended at once");
  await new Promise((resolve) => setTimeout(resolve, 20));
}
const url = /http:\/\/[^/\s]+/.exec(said)[0];

// The vocabulary is small, a token a character or three: budgets are ample where a document has a least length.
const budgets = [64, 96, 128];
const jobs = Object.entries(schemas).flatMap(([name, schema]) => budgets.map((tokens) => ({ name, schema: schema === true ? {} : schema, tokens, validate: ajv.compile(schema) })));
jobs.push({ name: "JSON mode", tokens: 96, validate: (value) => value !== null && typeof value === "object" && !Array.isArray(value) });
const total = Math.ceil(Number(count) / jobs.length) * jobs.length;
let next = 0, documents = 0, tokens = 0, invalid = 0;
const distinct = new Set();
const started = Date.now();

async function ask({ name, schema, tokens: max_tokens, validate }, seed) {
  const response_format = schema === undefined ? { type: "json_object" } : { type: "json_schema", json_schema: { name: "x", schema } };
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ messages: [{ role: "user", content: "JSON." }], response_format, max_tokens, seed, temperature: 1 }),
  });
  const answer = await response.json();
  if (response.status !== 200) throw new Error(`${name}: ${response.status} ${JSON.stringify(answer)}`);
  const text = answer.choices[0].message.content;
  ++documents;
  tokens += answer.usage.completion_tokens;
  distinct.add(text);
  let why = answer.choices[0].finish_reason === "stop" ? "" : `ended by ${answer.choices[0].finish_reason}`;
  try {
    if (!validate(JSON.parse(text))) why ||= ajv.errorsText(validate.errors);
  } catch (error) {
    why ||= error.message;
  }
  if (why !== "" && ++invalid <= 20) console.log(`INVALID ${name}, ${max_tokens} tokens: ${why}: ${text.slice(0, 300)}`);
}

async function client() {
  while (next < total) {
    const at = next++;
    await ask(jobs[at % jobs.length], at);
  }
}
await Promise.all(Array.from({ length: 32 }, client));
server.kill("SIGTERM");
await once(server, "close");
console.log(`${documents} documents of ${jobs.length} kinds, ${distinct.size} of them distinct, ${tokens} tokens, ${invalid} invalid, ${((Date.now() - started) / 1000).toFixed(0)} s`);
process.exit(invalid === 0 && documents >= Number(count) ? 0 : 1);
