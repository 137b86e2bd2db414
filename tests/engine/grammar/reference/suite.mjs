// The public JSON Schema test suite (json-schema-org/JSON-Schema-Test-Suite, in Debian's
// libtest-json-schema-acceptance-perl): every schema is either refused with its place and reason, or compiled to a
// grammar that accepts the instances that the suite calls valid, and no others.
//   node suite.mjs WORK GRAMMAR_REFERENCE SUITE [--table]
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { run, tokenizerPath } from "./hadal.mjs";

const [work, binary, suite, flag] = process.argv.slice(2);
const drafts = ["draft2020-12", "draft7", "draft4"];
const skipped = {
  "format.json": "asks that formats be annotations alone; here they hold",
  "zeroTerminatedFloats.json": "draft 4 alone lets a validator take 1.0 for no integer; here it is JavaScript's 1",
};

// Valid by the suite, but not written here (docs/guide/structured_output.md): leap seconds, encoded host names, quoted or
// literal parts of e-mail addresses, numbers of more than 18 digits, and what a $schema with a vocabulary of its own lifts.
function narrower({ description, schema }, { data }) {
  if (typeof data === "number") return Math.abs(data) >= 1e18;
  if (["time", "date-time"].includes(schema.format)) return /:60(\.|Z|[+-])/.test(data);
  if (schema.format === "hostname") return data.includes("xn--");
  if (schema.format === "email") return /["[]/.test(data);
  return description.startsWith("schema that uses custom metaschema");
}

function* groups() {
  for (const draft of drafts) {
    for (const folder of ["", "optional", "optional/format"]) {
      for (const entry of readdirSync(join(suite, draft, folder), { withFileTypes: true })) {
        if (!entry.isFile() || (entry.name in skipped && folder !== "optional/format")) continue;
        const name = join(folder.replace("optional/format", "format").replace("optional", "opt"), entry.name.replace(".json", ""));
        for (const group of JSON.parse(readFileSync(join(suite, draft, folder, entry.name), "utf8"))) yield { draft, file: name, ...group };
      }
    }
  }
}

// Grammars write the keys of an object in the schema's order; JSON does not care. So a valid instance must be accepted in
// one order of its keys at least, and an invalid one in none.
function orders(value) {
  if (value === null || typeof value !== "object") return [JSON.stringify(value)];
  const parts = Array.isArray(value) ? value.map(orders)
    : Object.entries(value).map(([key, member]) => orders(member).map((text) => `${JSON.stringify(key)}:${text}`));
  let chosen = [[]];
  for (const part of parts) chosen = chosen.flatMap((begun) => part.map((text) => [...begun, text])).slice(0, 120);
  if (Array.isArray(value)) return chosen.map((texts) => `[${texts.join(",")}]`);
  return chosen.flatMap((texts) => permutations(texts)).slice(0, 120).map((texts) => `{${texts.join(",")}}`);
}
function permutations(items) {
  if (items.length <= 1) return [items];
  if (items.length > 5) return [items, [...items].reverse()];
  return items.flatMap((item, i) => permutations([...items.slice(0, i), ...items.slice(i + 1)]).map((rest) => [item, ...rest]));
}

const all = [...groups()].map((group) => ({ ...group, tests: group.tests.map((test) => ({ ...test, texts: orders(test.data) })) }));
const answers = await run(binary, ["check", tokenizerPath(work)], all.map((group) => ({
  schema: group.schema, texts: group.tests.flatMap((test) => test.texts),
})));

const reasons = {};
const rows = {};
let compiled = 0, instances = 0, narrow = 0;
const wrong = [];
all.forEach((group, i) => {
  const { error, accepted } = answers[i];
  const where = `${group.draft}/${group.file}: ${group.description}`;
  const row = (rows[group.file] ??= { schemas: 0, compiled: 0, instances: 0, narrower: 0 });
  ++row.schemas;
  if (error) {
    const [, reason] = /^\[schema\] #\S*: (.*)$/.exec(error) ?? /^\[grammar\] (it matches no text at all)$/.exec(error) ?? [];
    if (reason === undefined) wrong.push(`${where}: refused without a place: ${error}`);
    const keyword = /#(?:\S*\/)?([$a-zA-Z]+): this keyword is not supported/.exec(error)?.[1];
    const name = keyword ? `\`${keyword}\`` : (reason ?? error).replace(/['"].*?['"]/g, "...").replace(/; these are.*/, "").replace(/, not \w+$/, "");
    (reasons[name] ??= { count: 0, example: error }).count++;
    return;
  }
  ++compiled;
  ++row.compiled;
  let at = 0;
  for (const test of group.tests) {
    const verdicts = accepted.slice(at, (at += test.texts.length));
    ++instances;
    ++row.instances;
    if (verdicts.some(Boolean) === test.valid) continue;
    if (test.valid && narrower(group, test)) {
      ++narrow;
      ++row.narrower;
    } else {
      wrong.push(`${where}: ${JSON.stringify(test.data).slice(0, 300)} should be ${test.valid ? "accepted" : "refused"}`);
    }
  }
});

if (flag === "--table") {
  console.log("| cases | schemas | compiled | instances checked | valid, but not written here |\n|---|---|---|---|---|");
  for (const [file, row] of Object.entries(rows).sort(([a], [b]) => (a < b ? -1 : 1))) {
    console.log(`| ${file} | ${row.schemas} | ${row.compiled} | ${row.instances} | ${row.narrower} |`);
  }
  console.log(`| all | ${all.length} | ${compiled} | ${instances} | ${narrow} |\n\n| refused because of | schemas | for example |\n|---|---|---|`);
  for (const [reason, { count, example }] of Object.entries(reasons).sort((a, b) => b[1].count - a[1].count)) {
    console.log(`| ${reason} | ${count} | \`${example.replaceAll("|", "\\|").slice(0, 140)}\` |`);
  }
} else {
  console.log(`${compiled} of ${all.length} schemas compiled, ${instances} instances checked, ${narrow} of them valid but not written here; the others refused:`);
  for (const [reason, { count }] of Object.entries(reasons).sort((a, b) => b[1].count - a[1].count)) console.log(`  ${count} ${reason}`);
}
for (const line of wrong) console.log(`WRONG ${line}`);
console.log(`${wrong.length} wrong`);
// What is compiled today stays so.
if (compiled < 360 || instances < 1780) {
  console.log("fewer schemas or instances than before");
  process.exit(1);
}
process.exit(wrong.length ? 1 : 0);
