#!/usr/bin/env python3
"""The endpoints as a client sees them: shapes, order of events, refusals."""
import json
import unittest

import client
from client import chat_body

CHAT = "/v1/chat/completions"


class Api(client.DaemonCase):
    # Chat ----------------------------------------------------------------------------------------

    def test_chat_stream_has_role_then_text_then_finish_then_done(self):
        stream = self.daemon.open_stream(CHAT, chat_body("Hello"))
        self.assertEqual(stream.status, 200)
        self.assertTrue(stream.headers["Content-Type"].startswith("text/event-stream"))
        chunks = stream.chunks()
        for chunk in chunks:
            self.assertEqual(chunk["object"], "chat.completion.chunk")
            self.assertEqual((chunk["id"], chunk["created"], chunk["model"]),
                             (chunks[0]["id"], chunks[0]["created"], chunks[0]["model"]))
        choices = [chunk["choices"][0] for chunk in chunks if chunk["choices"]]
        self.assertEqual(choices[0]["delta"]["role"], "assistant")
        self.assertFalse(any("role" in choice["delta"] for choice in choices[1:]))
        self.assertTrue(all(choice["finish_reason"] is None for choice in choices[:-1]))
        self.assertEqual(choices[-1]["finish_reason"], "length")
        self.assertEqual(choices[-1]["delta"], {})
        self.assertTrue(any(choice["delta"].get("content") for choice in choices))

    def test_chat_stream_reports_usage_only_when_asked(self):
        chunks = self.daemon.open_stream(CHAT, chat_body("Hello")).chunks()
        self.assertFalse(any(chunk.get("usage") for chunk in chunks))
        chunks = self.daemon.open_stream(
            CHAT, chat_body("Hello", stream_options={"include_usage": True})).chunks()
        self.assertEqual(chunks[-1]["choices"], [])
        self.assertEqual(chunks[-1]["usage"]["completion_tokens"], 8)
        self.assertTrue(all(chunk["usage"] is None for chunk in chunks[:-1]))

    def test_whole_chat_reply(self):
        reply = self.daemon.chat("Hello")
        self.assertEqual(reply.status, 200)
        self.assertTrue(reply.headers["Content-Type"].startswith("application/json"))
        self.assertTrue(reply.json["id"].startswith("chatcmpl-"))
        self.assertEqual(reply.json["object"], "chat.completion")
        choice, = reply.json["choices"]
        self.assertEqual(choice["index"], 0)
        self.assertEqual(choice["message"]["role"], "assistant")
        self.assertIsInstance(choice["message"]["content"], str)
        self.assertEqual(choice["finish_reason"], "length")
        usage = reply.json["usage"]
        self.assertEqual(usage["completion_tokens"], 8)
        self.assertEqual(usage["total_tokens"],
                         usage["prompt_tokens"] + usage["completion_tokens"])

    def test_stream_and_whole_reply_say_the_same(self):
        body = chat_body("Tell me the same thing twice", max_tokens=24)
        whole = self.daemon.post(CHAT, body).json["choices"][0]["message"]["content"]
        chunks = self.daemon.open_stream(CHAT, body).chunks()
        streamed = "".join(chunk["choices"][0]["delta"].get("content") or ""
                           for chunk in chunks if chunk["choices"])
        self.assertEqual(streamed, whole)

    def test_a_seed_repeats_an_answer(self):
        def answer(seed):
            return self.daemon.chat("Hello", temperature=1, seed=seed, max_tokens=16) \
                .json["choices"][0]["message"]["content"]
        self.assertEqual(answer(7), answer(7))
        self.assertNotEqual(answer(7), answer(8))

    def test_a_stop_string_ends_the_answer_and_is_not_in_it(self):
        text = self.daemon.chat("Hello", max_tokens=24).json["choices"][0]["message"]["content"]
        stop = text[len(text) // 2:][:3]
        choice, = self.daemon.chat("Hello", max_tokens=24, stop=[stop]).json["choices"]
        self.assertEqual(choice["finish_reason"], "stop")
        self.assertEqual(choice["message"]["content"], text[:text.index(stop)])

    def test_content_may_be_a_list_of_parts(self):
        parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
        self.assertEqual(self.daemon.chat([{"role": "user", "content": parts}]).json["choices"],
                         self.daemon.chat("Hello").json["choices"])

    def test_null_means_absent(self):
        reply = self.daemon.chat("Hello", stop=None, top_p=None, seed=None, tools=None)
        self.assertEqual(reply.status, 200)

    # The other endpoints ---------------------------------------------------------------------------

    def test_completion_whole_and_streamed_say_the_same(self):
        body = {"prompt": "Once upon a time", "max_tokens": 12, "temperature": 0,
                "ignore_eos": True}
        reply = self.daemon.post("/v1/completions", body)
        self.assertEqual(reply.status, 200)
        self.assertEqual(reply.json["object"], "text_completion")
        self.assertEqual(reply.json["usage"]["completion_tokens"], 12)
        chunks = self.daemon.open_stream("/v1/completions", body).chunks()
        self.assertEqual("".join(chunk["choices"][0]["text"] for chunk in chunks
                                 if chunk["choices"]), reply.json["choices"][0]["text"])
        self.assertEqual([chunk["choices"][0]["finish_reason"] for chunk in chunks
                          if chunk["choices"]][-1], "length")

    def test_models(self):
        listed = self.daemon.get("/v1/models").json
        self.assertEqual(listed["object"], "list")
        model, = listed["data"]
        self.assertEqual(model["object"], "model")
        self.assertEqual(self.daemon.get("/v1/models/" + model["id"]).json["id"], model["id"])

    def test_health(self):
        reply = self.daemon.get("/health")
        self.assertEqual((reply.status, reply.json["status"]), (200, "ok"))

    def test_metrics(self):
        before = self.daemon.metrics()
        self.daemon.chat("Hello")
        after = self.daemon.metrics()
        generated = [name for name in after if "generated_tokens" in name]
        self.assertEqual(len(generated), 1)
        self.assertEqual(after[generated[0]] - before[generated[0]], 8)

    def test_a_long_body_says_what_a_short_one_does(self):
        """It is read on another thread."""
        long = "many words " * 8000
        text = long[:2000] if client.SHORT else long  # a model that is slow to read it says no more
        chat = self.daemon.chat(text, max_tokens=1, unknown=long)
        self.assertEqual(chat.status, 200, chat.body)
        response = self.daemon.post("/v1/responses", {"input": text, "max_output_tokens": 1,
                                                      "unknown": long})
        self.assertEqual(response.status, 200, response.body)
        self.assertEqual(response.json["usage"]["input_tokens"],
                         chat.json["usage"]["prompt_tokens"])
        padded = {**client.chat_body("Hello"), "metadata": {"x": "y" * 500}, "unknown": long}
        self.assertEqual(self.daemon.post(CHAT, padded).json["choices"],
                         self.daemon.chat("Hello").json["choices"])

    # Refusals --------------------------------------------------------------------------------------

    def assert_refused(self, reply, status, code, param):
        self.assertEqual(reply.status, status, reply.body)
        error = reply.json["error"]
        self.assertEqual(set(error), {"message", "type", "param", "code"})
        self.assertEqual((error["code"], error["param"]), (code, param), error)
        self.assertEqual(error["type"], "invalid_request_error")
        self.assertTrue(error["message"])

    def test_what_is_not_json_is_refused(self):
        self.assert_refused(self.daemon.post(CHAT, b"{nonsense"), 400, "invalid_json", None)
        self.assert_refused(self.daemon.post(CHAT, b""), 400, "invalid_json", None)
        self.assert_refused(self.daemon.post(CHAT, b"[" * 100000), 400, "invalid_json", None)
        self.assert_refused(self.daemon.post(CHAT, b'{"messages": "\xff"}'), 400, "invalid_json",
                            None)

    def test_fields_of_wrong_type_or_range_are_named(self):
        self.assert_refused(self.daemon.post(CHAT, {}), 400, "missing_required_parameter",
                            "messages")
        self.assert_refused(self.daemon.post(CHAT, {"messages": "Hello"}), 400, "invalid_type",
                            "messages")
        self.assert_refused(self.daemon.chat([]), 400, "empty_array", "messages")
        self.assert_refused(self.daemon.chat("Hello", max_tokens="many"), 400, "invalid_type",
                            "max_tokens")
        self.assert_refused(self.daemon.chat("Hello", max_tokens=0), 400,
                            "integer_below_min_value", "max_tokens")
        self.assert_refused(self.daemon.chat("Hello", temperature=-1), 400,
                            "decimal_below_min_value", "temperature")
        self.assert_refused(self.daemon.chat("Hello", temperature=1e308), 400,
                            "decimal_above_max_value", "temperature")
        self.assert_refused(self.daemon.chat([{"role": "wizard", "content": "Hello"}]), 400,
                            "invalid_value", "messages[0].role")

    def test_unknown_paths_models_and_methods(self):
        self.assert_refused(self.daemon.get("/v1/nothing"), 404, "unknown_url", None)
        self.assert_refused(self.daemon.get("/v1/models/nothing"), 404, "model_not_found", "model")
        reply = self.daemon.get(CHAT)
        self.assertIn("POST", reply.headers["Allow"])
        self.assert_refused(reply, 405, "method_not_allowed", None)

    def test_a_path_that_only_looks_like_another_is_unknown(self):
        for path in ("/%00", "/v1/", "/v1", "/v1/models%00", "/health%00x"):
            self.assert_refused(self.daemon.get(path), 404, "unknown_url", None)

    def test_a_request_after_a_refused_one_is_served(self):
        self.daemon.post(CHAT, b"{nonsense")
        self.assertEqual(self.daemon.chat("Hello").status, 200)

    def test_two_framings_of_one_body_are_refused(self):
        received = self.daemon.raw(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
                                   b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
                                   b"0\r\n\r\nGET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertTrue(received.startswith(b"HTTP/1.1 400 "), received)
        self.assertEqual(received.count(b"HTTP/1.1 "), 1)

    def test_user_text_cannot_speak_as_the_template(self):
        """What looks like a control token in user text costs as many tokens as it has bytes."""
        plain = self.daemon.chat("x" * 4).json["usage"]["prompt_tokens"]
        posing = self.daemon.chat("</s>").json["usage"]["prompt_tokens"]
        self.assertEqual(posing, plain)


class Keys(unittest.TestCase):
    def test_only_a_known_key_is_served(self):
        import os
        import tempfile
        with tempfile.NamedTemporaryFile("w", suffix=".keys") as keys:
            os.chmod(keys.name, 0o600)
            keys.write("first-key-0123456789\nsecond-key-0123456789\n")
            keys.flush()
            with client.Daemon("--api-key-file", keys.name) as daemon:
                body = chat_body("Hello")
                self.assertEqual(daemon.post(CHAT, body).status, 401)
                wrong = daemon.post(CHAT, body, {"Authorization": "Bearer wrong"})
                self.assertEqual(wrong.status, 401)
                self.assertEqual(json.loads(wrong.body)["error"]["code"], "invalid_api_key")
                for key in ("first-key-0123456789", "second-key-0123456789"):
                    good = daemon.post(CHAT, body, {"Authorization": f"Bearer {key}"})
                    self.assertEqual(good.status, 200)
                self.assertEqual(daemon.get("/health").status, 200)


if __name__ == "__main__":
    client.main()
