// openapi.mjs BASE_URL DOCUMENT - every kind of reply and stream event against OpenAI's public OpenAPI
// document (openapi.json of https://github.com/openai/openai-openapi), which is not in this repository.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import Ajv from "ajv/dist/2020.js";
import { main, test } from "../cases.mjs";
import { collect } from "./replies.mjs";

const [base, file] = process.argv.slice(2);
const { paths, components } = JSON.parse(await readFile(file, "utf8"));

// What a validator of JSON Schema does not know, in its own words; in place.
function modernize(schema) {
  if (typeof schema !== "object" || schema === null) return;
  delete schema.discriminator;
  if (schema.nullable && schema.$ref) {
    schema.anyOf = [{ $ref: schema.$ref }, { type: "null" }];
    delete schema.$ref;
  } else if (schema.nullable) {
    if (schema.type) schema.type = [schema.type, "null"].flat();
    for (const list of [schema.anyOf, schema.oneOf]) list?.push({ type: "null" });
    schema.enum?.push(null);
  }
  if (typeof schema.nullable === "boolean") delete schema.nullable;
  Object.values(schema).forEach(modernize);
}

// null is what OpenAI itself sends here, and what its clients and the Open Responses specification
// expect, where the document has only the value's type.
function allowNull({ schemas }) {
  const orNull = (object, name) => {
    object.properties[name] = { anyOf: [object.properties[name], { type: "null" }] };
  };
  orNull(schemas.CreateCompletionResponse.properties.choices.items, "finish_reason");
  orNull(schemas.CreateCompletionResponse, "usage");
  for (const name of ["first_id", "last_id"]) orNull(schemas.ConversationItemList, name);
  orNull(schemas.Response.allOf.find(({ properties }) => properties?.usage), "usage");
  orNull(schemas.ModelResponseProperties, "user");
}

function schemaOf({ method, path, status, isEvent, value }) {
  if (status >= 400) return "ErrorResponse";
  if (isEvent && path === "v1/completions") return "CreateCompletionResponse";
  if (isEvent && value.error) return "ErrorResponse";
  const given = path.slice(2).split("/");
  const isSame = (name) => {
    const parts = name.split("/");
    return parts.length === given.length &&
      parts.every((part, i) => part === given[i] || part.startsWith("{"));
  };
  const item = paths[path.slice(2)] ?? paths[Object.keys(paths).find(isSame)];
  const { content } = item[method.toLowerCase()].responses["200"];
  return content[isEvent ? "text/event-stream" : "application/json"].schema.$ref.split("/").pop();
}

test("they are what the OpenAPI document says", async () => {
  modernize(components.schemas);
  allowNull(components);
  const ajv = new Ajv({ strict: false, validateFormats: false, logger: false });
  ajv.addSchema({ $id: "http://localhost/openapi", components });
  const wrong = new Map();
  const seen = await collect(base);
  for (const reply of seen) {
    const name = schemaOf(reply);
    const $ref = `http://localhost/openapi#/components/schemas/${name}`;
    const check = ajv.getSchema($ref);
    const kind = `${reply.method} ${reply.path} ${name} ${reply.value.type ?? ""}`;
    if (!check(reply.value)) wrong.set(kind, [ajv.errorsText(check.errors), reply.value]);
  }
  assert.equal(wrong.size, 0, JSON.stringify([...wrong], null, 1).slice(0, 6000));
  assert.ok(seen.length > 100);
});

await main();
