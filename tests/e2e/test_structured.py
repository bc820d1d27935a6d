#!/usr/bin/env python3
"""Structured output: whatever a model of random weights says fits what was asked for."""
import json
import re
from concurrent.futures import ThreadPoolExecutor

import client
from client import SHORT, chat_body

CHAT = "/v1/chat/completions"
SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "score": {"type": ["number", "null"], "minimum": -1, "maximum": 1},
        "kind": {"enum": ["cat", "dog", "m\u00fc"]},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 4}, "maxItems": 3},
        "parent": {"anyOf": [{"$ref": "#/$defs/parent"}, {"type": "null"}]},
    },
    "required": ["name", "age", "score", "kind", "tags", "parent"],
    "additionalProperties": False,
    "$defs": {"parent": {"type": "object",
                         "properties": {"born": {"type": "string", "format": "date"}},
                         "required": ["born"], "additionalProperties": False}},
}


def schema_format(schema, strict=True):
    return {"type": "json_schema",
            "json_schema": {"name": "answer", "strict": strict, "schema": schema}}


def random_body(seed, **fields):
    return chat_body("Say something", **{"temperature": 1.5, "seed": seed, "ignore_eos": False,
                                         "max_tokens": 300, **fields})


class Structured(client.DaemonCase):
    def answer(self, body):
        reply = self.daemon.post(CHAT, body)
        self.assertEqual(reply.status, 200, reply.body)
        choice = reply.json["choices"][0]
        return choice["message"]["content"], choice["finish_reason"]

    def check_person(self, text):
        person = json.loads(text)
        self.assertEqual(list(person), list(SCHEMA["properties"]))
        self.assertTrue(1 <= len(person["name"]) <= 12)
        self.assertTrue(isinstance(person["age"], int) and 0 <= person["age"] <= 120)
        self.assertTrue(person["score"] is None or -1 <= person["score"] <= 1)
        self.assertIn(person["kind"], ("cat", "dog", "m\u00fc"))
        self.assertTrue(len(person["tags"]) <= 3 and all(len(tag) <= 4 for tag in person["tags"]))
        if person["parent"] is not None:
            self.assertRegex(person["parent"]["born"], r"^\d{4}-\d\d-\d\d$")

    def test_every_answer_fits_its_schema(self):
        n = 10 if SHORT else 50
        bodies = [random_body(seed, response_format=schema_format(SCHEMA)) for seed in range(n)]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(self.answer, bodies))
        n_whole = 0
        for text, finish in answers:
            self.assertIn(finish, ("stop", "length"))
            if finish == "stop":
                self.check_person(text)
                n_whole += 1
        self.assertGreater(n_whole, n // 2)

    def test_json_object_is_json(self):
        n_whole = 0
        for seed in range(4 if SHORT else 12):
            text, finish = self.answer(random_body(seed, max_tokens=150,
                                                   response_format={"type": "json_object"}))
            self.assertTrue(text.startswith("{"))
            if finish == "stop":
                self.assertIsInstance(json.loads(text), dict)
                n_whole += 1
        self.assertGreater(n_whole, 0)

    def test_a_stream_is_the_same_text(self):
        body = random_body(7, response_format=schema_format(SCHEMA))
        text, finish = self.answer(body)
        chunks = self.daemon.open_stream(CHAT, body).chunks()
        streamed = "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks
                           if c["choices"])
        self.assertEqual(streamed, text)
        self.assertEqual(chunks[-1]["choices"][0]["finish_reason"], finish)

    def test_greedy_samplers_and_penalties_keep_to_it(self):
        for fields in ({"temperature": 0}, {"top_k": 5}, {"top_p": 0.3}, {"min_p": 0.2},
                       {"frequency_penalty": 2, "presence_penalty": 2},
                       {"logit_bias": {"65": 100, "66": -100}}, {"repetition_penalty": 3}):
            text, finish = self.answer(random_body(3, **fields,
                                                   response_format=schema_format(SCHEMA)))
            if finish == "stop":
                self.check_person(text)

    def test_short_answers_end_by_length(self):
        text, finish = self.answer(random_body(1, max_tokens=4,
                                               response_format=schema_format(SCHEMA)))
        self.assertEqual(finish, "length")
        self.assertTrue('{"name": "'.startswith(text[:10]) or text.startswith('{"name":'), text)

    def test_the_conversation_goes_on(self):
        messages = [{"role": "user", "content": "One"}]
        first = self.daemon.post(CHAT, random_body(5, guided_choice=["yes", "no"]) |
                                 {"messages": messages}, {"X-Conversation-Id": "structured"}).json
        said = first["choices"][0]["message"]
        self.assertIn(said["content"], ("yes", "no"))
        self.assertEqual(first["choices"][0]["finish_reason"], "stop")
        messages += [said, {"role": "user", "content": "Two"}]
        second = self.daemon.post(CHAT, random_body(6, guided_choice=["maybe"]) |
                                  {"messages": messages}, {"X-Conversation-Id": "structured"}).json
        self.assertEqual(second["choices"][0]["message"]["content"], "maybe")
        self.assertEqual(second["session"]["match"], "append")

    def test_for_those_who_know_what_they_want(self):
        text, finish = self.answer(random_body(2, grammar='root ::= "<" [0-9]{2} ">"'))
        self.assertEqual(finish, "stop")
        self.assertRegex(text, r"^<\d\d>$")
        text, finish = self.answer(random_body(2, guided_regex=r"(\d{1,3}\.){3}\d{1,3}"))
        self.assertTrue(re.fullmatch(r"(\d{1,3}\.){3}\d{1,3}", text), text)
        # Ends ignored: the answer still ends where nothing may follow.
        text, finish = self.answer(random_body(2, guided_regex=r"[ab]{3}", ignore_eos=True))
        self.assertTrue(re.fullmatch(r"[ab]{3}", text), text)
        self.assertEqual(finish, "stop")
        reply = self.daemon.post("/v1/completions", {"prompt": "x", "guided_json":
                                                     {"type": "boolean"}, "max_tokens": 20})
        self.assertIn(reply.json["choices"][0]["text"], ("true", "false"))

    def test_several_answers_each_fit(self):
        reply = self.daemon.post(CHAT, random_body(4, n=3, response_format=schema_format(
            {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]})))
        self.assertEqual(len(reply.json["choices"]), 3)
        for choice in reply.json["choices"]:
            self.assertIsInstance(json.loads(choice["message"]["content"])["ok"], bool)

    def test_what_cannot_be_done_is_refused(self):
        for fields, param, part in (
                ({"response_format": {"type": "yaml"}}, "response_format", "yaml"),
                ({"response_format": schema_format({"type": "integer", "multipleOf": 997})},
                 "response_format", "multipleOf"),
                ({"response_format": schema_format({"$ref": "#/nowhere"})}, "response_format",
                 "nowhere"),
                ({"grammar": "root ::= root"}, "grammar", "root"),
                ({"guided_regex": "(?=x)"}, "guided_regex", "look-around")):
            reply = self.daemon.post(CHAT, random_body(1, **fields))
            self.assertEqual(reply.status, 400)
            error = reply.json["error"]
            self.assertEqual(error["type"], "invalid_request_error")
            self.assertEqual(error["param"], param)
            self.assertIn(part, error["message"])

    def test_bombs_are_answered_at_once_and_the_daemon_lives(self):
        bombs = [
            {"grammar": "root ::= " + "(" * 100000},
            {"grammar": "root ::= x\n" + "".join(f"x{i} ::= x{i + 1}\n" for i in range(9000))},
            {"grammar": 'root ::= ("a"{0,1000000}){0,1000000}'},
            {"grammar": 'root ::= ("a" | "a" | "a" "a" | "a" "a" "a")* "b"'},
            {"grammar": 'root ::= (("a"*)*)* ((("a"*)*)* "b")?'},
            {"guided_regex": "(((a*)*)*)*b"},
            {"response_format": schema_format({"type": "array", "items": {"$ref": "#"}})},
        ]
        for bomb in bombs:
            reply = self.daemon.post(CHAT, random_body(1, max_tokens=20, **bomb))
            self.assertIn(reply.status, (200, 400), reply.body)
        self.assertEqual(self.daemon.get("/health").status, 200)


class Thinking(client.DaemonCase):
    """A model whose template begins a thought: what is asked for comes after it. This one never
    finds the end of a thought by itself."""

    flags = ("--chat-template-file", "tests/e2e/thinking.jinja")

    def message(self, **fields):
        reply = self.daemon.post(CHAT, random_body(3, max_tokens=60, **fields))
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json["choices"][0]["message"], reply.json["choices"][0]["finish_reason"]

    def test_the_thought_is_free(self):
        for fields in ({"response_format": {"type": "json_object"}}, {"guided_choice": ["yes"]}):
            message, finish = self.message(**fields)
            self.assertEqual((message["content"], finish), ("", "length"))
            self.assertGreater(len(message["reasoning_content"]), 10)

    def test_without_a_thought_the_answer_comes_at_once(self):
        for fields in ({"reasoning_effort": "none"},
                       {"chat_template_kwargs": {"enable_thinking": False}}):
            message, finish = self.message(guided_choice=["yes"], **fields)
            self.assertEqual((message["content"], finish), ("yes", "stop"))
            self.assertNotIn("reasoning_content", message)

    def test_thoughts_come_back_to_the_template_and_change_no_match(self):
        said = [{"role": "user", "content": "Well?"},
                {"role": "assistant", "content": "yes", "reasoning_content": "Hm."},
                {"role": "user", "content": "And?"}]
        prompt = self.daemon.post("/apply-template", {"messages": said}).json["prompt"]
        self.assertIn("<|assistant|>\n<think>\nHm.\n</think>\n\nyes</s>", prompt)
        for i, thought in enumerate(({}, {"reasoning_content": "Hm."}, {"reasoning": "Hm."},
                                     {"reasoning_content": None, "reasoning": ["no text"]})):
            headers = {"X-Conversation-Id": f"thoughts-{i}"}
            body = random_body(1, guided_choice=["yes"], reasoning_effort="none")
            self.daemon.post(CHAT, {**body, "messages": said[:1]}, headers)
            back = [said[0], {"role": "assistant", "content": "yes", **thought}, said[2]]
            reply = self.daemon.post(CHAT, {**body, "messages": back}, headers)
            self.assertEqual(reply.json["session"]["match"], "append", thought)

    def test_a_grammar_is_the_whole_answer(self):
        message, finish = self.message(grammar='root ::= "yes"')
        self.assertEqual((message["content"], finish), ("yes", "stop"))


if __name__ == "__main__":
    client.main()
