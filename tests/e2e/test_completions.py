#!/usr/bin/env python3
"""Every request field of the two completion endpoints, as a real model obeys it."""
import json
import math
import os
import tempfile
import unittest

import client

PROMPT = "Once upon a time"


def setUpModule():
    global daemon
    daemon = client.Daemon("--alias", "tiny").__enter__()


def tearDownModule():
    daemon.__exit__(None, None, None)


def chat(**fields):
    reply = daemon.chat("Hello", **fields)
    if reply.status != 200:
        raise AssertionError(reply.body)
    return reply.json


def texts(reply):
    return [choice["message"]["content"] for choice in reply["choices"]]


def complete(**fields):
    reply = daemon.post("/v1/completions",
                        {"prompt": PROMPT, "max_tokens": 8, "temperature": 0, "ignore_eos": True, **fields})
    if reply.status != 200:
        raise AssertionError(reply.body)
    return reply.json


def tokenize(text):
    return daemon.post("/tokenize", {"content": text, "add_special": True}).json["tokens"]


class Choices(unittest.TestCase):
    def test_each_choice_has_a_seed_of_its_own(self):
        fields = {"n": 4, "temperature": 1, "seed": 7, "max_tokens": 16}
        first = chat(**fields)
        self.assertEqual([choice["index"] for choice in first["choices"]], [0, 1, 2, 3])
        self.assertEqual(len(set(texts(first))), 4)
        self.assertEqual(texts(chat(**fields)), texts(first))
        self.assertEqual(texts(chat(**{**fields, "n": 1})), texts(first)[:1])
        self.assertNotEqual(texts(chat(**{**fields, "seed": 8})), texts(first))

    def test_usage_counts_the_prompt_once(self):
        one, three = chat(n=1), chat(n=3)
        self.assertEqual(three["usage"]["prompt_tokens"], one["usage"]["prompt_tokens"])
        self.assertEqual(three["usage"]["completion_tokens"], 24)

    def test_the_prompt_is_read_once(self):
        before = daemon.metrics()
        words = " ".join(f"word{i}" for i in range(60))
        reply = daemon.chat(words, n=4).json
        after = daemon.metrics()
        read = after["sinkd_prompt_tokens_total"] - before["sinkd_prompt_tokens_total"]
        self.assertLess(read, reply["usage"]["prompt_tokens"] * 2)

    def test_a_stream_interleaves_the_choices(self):
        whole = chat(n=3, temperature=1, seed=3)
        body = client.chat_body("Hello", n=3, temperature=1, seed=3,
                                stream_options={"include_usage": True})
        chunks = daemon.open_stream("/v1/chat/completions", body).chunks()
        said, roles, ends = {}, [], []
        for chunk in chunks[:-1]:
            self.assertIsNone(chunk["usage"])
            (choice,) = chunk["choices"]
            index = choice["index"]
            if "role" in choice["delta"]:
                roles.append(index)
            said[index] = said.get(index, "") + choice["delta"].get("content", "")
            if choice["finish_reason"]:
                ends.append((index, choice["finish_reason"]))
        self.assertEqual([said[i] for i in range(3)], texts(whole))
        self.assertEqual(sorted(roles), [0, 1, 2])
        self.assertEqual(sorted(ends), [(i, "length") for i in range(3)])
        self.assertEqual(chunks[-1]["choices"], [])
        self.assertEqual(chunks[-1]["usage"]["completion_tokens"], 24)

    def test_only_the_first_choice_goes_on(self):
        messages = [{"role": "user", "content": "Count"}]
        first = daemon.chat(messages, conversation="many", n=2, temperature=1, seed=1).json
        answer = {"role": "assistant", "content": texts(first)[0]}
        messages += [answer, {"role": "user", "content": "more"}]
        reply = daemon.chat(messages, conversation="many").json
        self.assertEqual(reply["session"]["match"], "append")

    def test_who_leaves_ends_all_choices(self):
        body = client.chat_body("Hello", n=3, max_tokens=1000000)
        stream = daemon.open_stream("/v1/chat/completions", body)
        next(iter(stream))
        stream.close()
        client.wait_until(lambda: daemon.metrics()["sinkd_requests_in_flight"] <= 1, "all have ended")
        self.assertEqual(len(texts(chat())), 1)


class Logprobs(unittest.TestCase):
    def test_a_chat_tells_the_probability_of_each_token(self):
        reply = chat(logprobs=True, top_logprobs=3, max_tokens=12)
        (choice,) = reply["choices"]
        tokens = choice["logprobs"]["content"]
        self.assertEqual(len(tokens), 12)
        self.assertIsNone(choice["logprobs"]["refusal"])
        for token in tokens:
            self.assertEqual(len(token["top_logprobs"]), 3)
            self.assertEqual(token["top_logprobs"][0]["logprob"], token["logprob"])  # greedy
            self.assertLessEqual(token["logprob"], 0)
            self.assertLessEqual(sum(math.exp(t["logprob"]) for t in token["top_logprobs"]), 1.0001)
        data = b"".join(bytes(token["bytes"]) for token in tokens)
        self.assertEqual(data.decode("utf-8", "replace"), choice["message"]["content"])
        self.assertEqual(chat(max_tokens=12)["choices"][0]["message"], choice["message"])
        self.assertIsNone(chat()["choices"][0]["logprobs"])

    def test_temperature_and_bias_do_not_change_them(self):
        def tops(**fields):
            reply = chat(logprobs=True, top_logprobs=5, max_tokens=1, **fields)
            return reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]

        plain = tops()
        self.assertEqual(tops(temperature=1.7, seed=5), plain)
        best = tokenize_id(plain[0])
        self.assertEqual(tops(logit_bias={str(best): -100}), plain)

    def test_a_stream_carries_them_with_their_text(self):
        body = client.chat_body("Hello", logprobs=True, top_logprobs=0, max_tokens=12)
        whole = chat(logprobs=True, max_tokens=12)["choices"][0]["logprobs"]["content"]
        streamed = []
        for chunk in daemon.open_stream("/v1/chat/completions", body).chunks():
            (choice,) = chunk["choices"]
            if choice["logprobs"]:
                streamed += choice["logprobs"]["content"]
                data = b"".join(bytes(t["bytes"]) for t in choice["logprobs"]["content"])
                self.assertEqual(data.decode("utf-8", "replace"), choice["delta"]["content"])
        self.assertEqual(streamed, whole)
        self.assertEqual(streamed[0]["top_logprobs"], [])

    def test_what_a_stop_string_cuts_is_not_told(self):
        text = texts(chat(max_tokens=16))[0]
        stop = text[4:7]
        (choice,) = chat(max_tokens=16, stop=stop, logprobs=True)["choices"]
        self.assertEqual(choice["finish_reason"], "stop")
        said = choice["message"]["content"]
        self.assertEqual(said, text[:text.index(stop)])
        data = b"".join(bytes(token["bytes"]) for token in choice["logprobs"]["content"])
        self.assertTrue(data.decode("utf-8", "replace").startswith(said))
        self.assertLess(len(choice["logprobs"]["content"]), 16)

    def test_a_completion_tells_offsets_too(self):
        (choice,) = complete(logprobs=2)["choices"]
        logprobs = choice["logprobs"]
        self.assertEqual({len(values) for values in logprobs.values()}, {8})
        self.assertEqual(logprobs["text_offset"][0], 0)
        self.assertEqual(logprobs["text_offset"], sorted(logprobs["text_offset"]))
        for token, logprob, top in zip(logprobs["tokens"], logprobs["token_logprobs"],
                                       logprobs["top_logprobs"]):
            self.assertEqual(top[token], logprob)
        body = {"prompt": PROMPT, "max_tokens": 8, "temperature": 0, "ignore_eos": True, "logprobs": 2}
        chunks = daemon.open_stream("/v1/completions", body).chunks()
        offsets = [offset for chunk in chunks for choice in chunk["choices"] if choice["logprobs"]
                   for offset in choice["logprobs"]["text_offset"]]
        self.assertEqual(offsets, logprobs["text_offset"])


def tokenize_id(top):
    """The id of a token in a list of likely ones, by banning all that it is not."""
    ids = daemon.post("/tokenize", {"content": top["token"], "add_special": False}).json["tokens"]
    return ids[-1]


class Fields(unittest.TestCase):
    def test_a_bias_bans_and_forces(self):
        ids = tokenize("zebra")
        forced = chat(logit_bias={str(ids[-1]): 100}, max_tokens=3, logprobs=True)
        tokens = [t["token"] for t in forced["choices"][0]["logprobs"]["content"]]
        self.assertEqual(len(set(tokens)), 1)
        free = chat(max_tokens=6, logprobs=True)["choices"][0]["logprobs"]["content"]
        ids = tokenize(texts(chat(max_tokens=6))[0])
        banned = chat(logit_bias={str(i): -100 for i in ids}, max_tokens=6, logprobs=True)
        self.assertNotEqual([t["token"] for t in banned["choices"][0]["logprobs"]["content"]],
                            [t["token"] for t in free])

    def test_a_bias_can_be_of_a_text(self):
        ids = tokenize("zebra")[1:]
        by_id = chat(logit_bias=[[i, 100] for i in ids], max_tokens=6)
        self.assertEqual(texts(chat(logit_bias=[["zebra", 100]], max_tokens=6)), texts(by_id))
        self.assertNotEqual(texts(chat(max_tokens=6)), texts(by_id))

    def test_an_integer_too_large_is_named_or_no_concern(self):
        for seed in 2 ** 63, 2 ** 64 - 1:
            error = daemon.chat("Hello", seed=seed).json["error"]
            self.assertEqual((error["code"], error["param"]), ("integer_above_max_value", "seed"))
        bounds = {"type": "integer", "minimum": 0, "maximum": 2 ** 64 - 1}
        tool = {"type": "function", "function": {
            "name": "f", "parameters": {"type": "object", "properties": {"n": bounds}}}}
        self.assertEqual(chat(tools=[tool])["usage"]["completion_tokens"], 8)
        chat(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": bounds}})

    def test_likelihoods_are_asked_for_by_number(self):
        (choice,) = chat(n_probs=4, max_tokens=3)["choices"]
        self.assertEqual([len(t["top_logprobs"]) for t in choice["logprobs"]["content"]], [4] * 3)
        (choice,) = complete(logprobs=12)["choices"]
        self.assertEqual({len(top) for top in choice["logprobs"]["top_logprobs"]} - {12, 13}, set())

    def test_many_stop_strings(self):
        text = texts(chat(max_tokens=16))[0]
        stops = [f"never {i}" for i in range(63)]
        self.assertEqual(texts(chat(max_tokens=16, stop=stops)), [text])
        self.assertEqual(texts(chat(max_tokens=16, stop=stops + [text[4:7]])),
                         [text[:text.index(text[4:7])]])
        self.assertEqual(daemon.chat("Hello", stop=stops + ["x", "y"]).status, 400)

    def test_an_assistants_message_is_gone_on_with_and_echoed(self):
        begun = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Once upon"}]
        fields = {"add_generation_prompt": False, "continue_final_message": True}
        plain = daemon.chat(begun, **fields).json
        echoed = daemon.chat(begun, echo=True, **fields).json
        self.assertEqual(texts(echoed), ["Once upon" + texts(plain)[0]])
        body = {**client.chat_body(begun), "echo": True}
        chunks = daemon.open_stream("/v1/chat/completions", body).chunks()
        self.assertEqual("".join(chunk["choices"][0]["delta"].get("content", "")
                                 for chunk in chunks if chunk["choices"]), texts(echoed)[0])
        self.assertEqual(texts(chat(echo=True)), texts(chat()))
        for name, value in fields.items():
            error = daemon.chat("Hello", **{name: value}).json["error"]
            self.assertEqual((error["code"], error["param"]), ("invalid_value", name))

    def test_penalties_change_what_is_said(self):
        plain = chat(max_tokens=48)
        self.assertNotEqual(texts(chat(max_tokens=48, frequency_penalty=2)), texts(plain))
        self.assertNotEqual(texts(chat(max_tokens=48, repetition_penalty=1.8)), texts(plain))

    def test_the_newer_limit_wins(self):
        self.assertEqual(chat(max_tokens=3, max_completion_tokens=5)["usage"]["completion_tokens"], 5)

    def test_harmless_fields_change_nothing(self):
        plain = texts(chat())
        self.assertEqual(texts(chat(
            service_tier="auto", user="u", store=True, metadata={"a": "b"}, parallel_tool_calls=False,
            verbosity="low", reasoning_effort="low", prompt_cache_key="k", safety_identifier="s",
            prediction=None, unknown_field={"x": [1]}, stream_options={"include_usage": True},
            modalities=["text"], logit_bias={}, tools=[], functions=[])), plain)

    def test_the_model_has_the_name_it_was_given(self):
        self.assertEqual(chat(model="gpt-4o")["model"], "tiny")
        self.assertEqual(daemon.get("/v1/models").json["data"][0]["id"], "tiny")
        self.assertEqual(daemon.get("/v1/models/tiny").status, 200)
        self.assertEqual(daemon.get("/v1/models/gpt-4o").status, 404)

    def test_a_strict_daemon_refuses_other_names(self):
        with client.Daemon("--strict-model", "--alias", "mine") as strict:
            self.assertEqual(strict.chat("Hi", model="mine").status, 200)
            self.assertEqual(strict.chat("Hi").status, 200)
            reply = strict.chat("Hi", model="other")
            self.assertEqual(reply.status, 404)
            self.assertEqual(reply.json["error"]["code"], "model_not_found")
            self.assertEqual(reply.json["error"]["param"], "model")

    def test_tokens_to_stop_at_may_be_the_ends_of_the_model(self):
        end = tokenize("</s>")[-1]
        self.assertEqual(texts(chat(stop_token_ids=[end])), texts(chat()))
        for other in (tokenize("a")[-1], -1, 1 << 40):
            reply = daemon.chat("Hello", stop_token_ids=[end, other])
            self.assertEqual(reply.status, 400)
            self.assertEqual(reply.json["error"]["param"], "stop_token_ids")

    def test_structured_outputs_are_obeyed(self):
        fields = {"ignore_eos": False, "max_tokens": 20}
        (said,) = texts(chat(structured_outputs={"regex": "[0-9]{3}"}, **fields))
        self.assertRegex(said, r"\A[0-9]{3}\Z")
        (said,) = texts(chat(structured_outputs={"choice": ["yes", "no"]}, **fields))
        self.assertIn(said, ("yes", "no"))


class Prompts(unittest.TestCase):
    def test_each_prompt_has_its_answers(self):
        reply = complete(prompt=[PROMPT, "Zebra"], n=2, temperature=1, seed=4)
        self.assertEqual([choice["index"] for choice in reply["choices"]], [0, 1, 2, 3])
        alone = complete(prompt="Zebra", temperature=0)
        both = complete(prompt=[PROMPT, "Zebra"], temperature=0)
        self.assertEqual(both["choices"][1]["text"], alone["choices"][0]["text"])
        self.assertEqual(both["usage"]["prompt_tokens"],
                         alone["usage"]["prompt_tokens"] + complete()["usage"]["prompt_tokens"])

    def test_tokens_are_as_good_as_text(self):
        ids = tokenize(PROMPT)
        plain = complete()["choices"][0]["text"]
        self.assertEqual(complete(prompt=ids)["choices"][0]["text"], plain)
        self.assertEqual(complete(prompt=[ids])["choices"][0]["text"], plain)
        self.assertEqual(complete(prompt=ids)["usage"]["prompt_tokens"], len(ids))

    def test_a_text_that_goes_on_is_not_read_again(self):
        """An editor asks for a completion at each key, and the program before it is long."""
        program = "".join(f"def f{i}(x): return {i}\n" for i in range(12))

        def cached(prompt, **fields):
            usage = complete(prompt=prompt, **fields)["usage"]
            return usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"]

        n_first, n_cached = cached(program)
        self.assertLess(n_cached, n_first // 2)
        for typed in ("", "def g(", "def g(y): ret"):
            self.assertGreaterEqual(cached(program + typed)[1], n_first - 4)
        self.assertGreaterEqual(cached(program[:-8] + "zzz")[1], n_first - 12)
        plain = complete(prompt=program, max_tokens=1)
        self.assertEqual(plain["session"]["match"], "ephemeral")

    def test_few_texts_are_kept(self):
        for i in range(12):
            complete(prompt=f"{i} zebra " * 20)
        client.wait_until(lambda: daemon.metrics()["sinkd_requests_active"] == 0, "all have ended")
        before = daemon.metrics()["sinkd_sessions"]
        for i in range(12):
            complete(prompt=f"{i} horse " * 20, n=2)
        client.wait_until(lambda: daemon.metrics()["sinkd_sessions"] <= before, "old ones are gone")

    def test_kept_texts_make_room_and_outlive_nothing(self):
        with tempfile.TemporaryDirectory() as folder:
            flags = ("--state-dir", folder, "--kv-memory", "400K")  # one session
            with client.Daemon(*flags) as small:
                self.assertEqual(small.metrics()["sinkd_sessions"], 0)
                for i in range(6):
                    body = {"prompt": f"{i} zebra " * 20, "max_tokens": 4}
                    self.assertEqual(small.post("/v1/completions", body).status, 200)
                    self.assertEqual(small.chat(f"{i} horse").status, 200)
            kept = os.path.join(folder, "kv")
            self.assertEqual(len(os.listdir(kept)), 6)  # those of the chats

    def test_an_echo_comes_first(self):
        plain = complete()["choices"][0]["text"]
        self.assertEqual(complete(echo=True)["choices"][0]["text"], PROMPT + plain)
        body = {"prompt": PROMPT, "max_tokens": 8, "temperature": 0, "ignore_eos": True, "echo": True}
        chunks = daemon.open_stream("/v1/completions", body).chunks()
        self.assertEqual("".join(chunk["choices"][0]["text"] for chunk in chunks), PROMPT + plain)


if __name__ == "__main__":
    client.main()
