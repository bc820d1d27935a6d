// types.mjs BASE_URL - every kind of reply and stream event, as it is on the wire, against the types of
// the official client in both major versions: the TypeScript compiler must agree to each.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { promisify } from "node:util";
import { main, test } from "../cases.mjs";
import { collect } from "./replies.mjs";

const [base] = process.argv.slice(2);
let seen;

const EVENTS = [
  ...["created", "in_progress", "output_item.added", "content_part.added", "output_text.delta"],
  ...["output_text.done", "content_part.done", "output_item.done", "completed", "incomplete"],
  ...["function_call_arguments.delta", "function_call_arguments.done"],
];

// A value of the type, as JSON brings it: `output_text` is what the client adds itself, and what may be
// absent may be null, as it is in OpenAI's own replies.
const WIRE = `
type OrNull<T, K extends keyof T> = {} extends Pick<T, K> ? null : never;
type Wire<T> = T extends readonly (infer U)[] ? readonly Wire<U>[]
  : T extends object ? {
      readonly [K in keyof T as K extends "output_text" ? never : K]: Wire<T[K]> | OrNull<T, K>;
    }
  : T;
type CompletionChunk = Omit<OpenAI.Completion, "choices"> & {
  choices: (Omit<OpenAI.CompletionChoice, "finish_reason"> & {
    finish_reason: OpenAI.CompletionChoice["finish_reason"] | null;
  })[];
};
`;

// Through a variable: more keys than the type has are then no error.
function program(name) {
  const lines = seen.map(({ type, value }, i) => {
    const text = JSON.stringify(value);
    return `const v${i} = ${text} as const;\nexport const t${i}: Wire<${type}> = v${i};`;
  });
  return `import type OpenAI from "${name}";\n${WIRE}${lines.join("\n")}\n`;
}

const compilerOptions = {
  ...{ noEmit: true, strict: true, skipLibCheck: true, types: [] },
  ...{ module: "nodenext", target: "es2022", lib: ["es2022", "dom"] },
};

test("replies of every kind are there", async () => {
  seen = await collect(base);
  const kinds = new Set(seen.map(({ value }) => value.type));
  for (const kind of EVENTS) assert.ok(kinds.has(`response.${kind}`), kind);
  assert.ok(seen.filter(({ type }) => type.includes("ErrorObject")).length >= 4);
});

test("they are what both versions say", async () => {
  const folder = await mkdtemp("types-"); // in here, where packages are found
  const files = ["openai", "openai-6"].map((name) => `${name}.ts`);
  try {
    for (const file of files) await writeFile(`${folder}/${file}`, program(file.slice(0, -3)));
    await writeFile(`${folder}/tsconfig.json`, JSON.stringify({ compilerOptions, files }));
    const tsc = ["node_modules/typescript/bin/tsc", "--project", folder];
    await promisify(execFile)(process.execPath, tsc, { maxBuffer: 1 << 26 });
  } catch (error) {
    assert.fail(error.stdout?.slice(0, 6000) || error);
  } finally {
    await rm(folder, { recursive: true });
  }
});

await main();
