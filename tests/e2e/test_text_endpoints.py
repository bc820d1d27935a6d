#!/usr/bin/env python3
"""Tokens, templates and properties: what clients ask besides chatting."""

import client

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi <s>"}]


class TextEndpoints(client.DaemonCase):
    def ask(self, path, **body):
        reply = self.daemon.post(path, body)
        self.assertEqual(reply.status, 200, reply.body)
        return reply.json

    def test_text_comes_back_from_its_tokens(self):
        for text in ("Hello world", "", " ", "  two spaces", "naïve ☃ 🙂\n\ttabs", "<s> is text"):
            tokens = self.ask("/tokenize", content=text, parse_special=False)["tokens"]
            back = self.ask("/v1/detokenize", tokens=tokens)
            self.assertEqual(back["content"], text)
            self.assertEqual(back["prompt"], back["content"])

    def test_special_tokens_are_asked_for(self):
        plain = self.ask("/tokenize", content="a", add_special=False)["tokens"]
        self.assertEqual(self.ask("/tokenize", content="a", add_special=True)["tokens"],
                         [1, *plain])
        self.assertEqual(self.ask("/tokenize", prompt="a")["tokens"], [1, *plain])
        self.assertIn(1, self.ask("/tokenize", content="a<s>")["tokens"])
        self.assertNotIn(1, self.ask("/tokenize", content="a<s>", parse_special=False)["tokens"])

    def test_pieces_stand_beside_the_tokens(self):
        pairs = self.ask("/tokenize", content="a é", with_pieces=True)["tokens"]
        whole = b"".join(bytes(pair["piece"]) if isinstance(pair["piece"], list)
                         else pair["piece"].encode() for pair in pairs)
        self.assertEqual(whole.decode().removeprefix(" "), "a é")
        reply = self.ask("/tokenize", prompt="a é", return_token_strs=True)
        self.assertEqual(len(reply["token_strs"]), len(reply["tokens"]))
        self.assertEqual(reply["count"], len(reply["tokens"]))
        self.assertEqual(reply["max_model_len"], 512)

    def test_counted_tokens_are_those_of_the_chat(self):
        counted = self.ask("/v1/chat/completions/input_tokens", messages=MESSAGES)
        self.assertEqual(counted["object"], "response.input_tokens")
        usage = self.daemon.chat(MESSAGES, max_tokens=1).json["usage"]
        self.assertEqual(counted["input_tokens"], usage["prompt_tokens"])
        self.assertEqual(self.ask("/tokenize", messages=MESSAGES)["count"],
                         counted["input_tokens"])

    def test_a_chat_can_be_counted_as_it_is_asked(self):
        """What its sampling says is no concern of the count; what its prompt says is."""
        asked = {"logit_bias": {"5": 1}, "min_tokens": 5, "max_tokens": 6, "stop_token_ids": [7],
                 "tools": [{"type": "function", "function": {"name": "look"}}]}
        counted = self.ask("/v1/chat/completions/input_tokens", messages=MESSAGES, **asked)
        del asked["stop_token_ids"]
        usage = self.daemon.chat(MESSAGES, **asked).json["usage"]
        self.assertEqual(counted["input_tokens"], usage["prompt_tokens"])

    def test_a_long_body_says_what_a_short_one_does(self):
        """It is read on another thread."""
        long = {"unknown": "many words " * 8000}
        for path, body in (("/tokenize", {"content": "Hello"}), ("/detokenize", {"tokens": [5, 6, 7]}),
                           ("/apply-template", {"messages": MESSAGES}),
                           ("/v1/chat/completions/input_tokens", {"messages": MESSAGES})):
            self.assertEqual(self.ask(path, **body), self.ask(path, **body, **long), path)
            refused = self.daemon.post(path, {**long, "content": 5, "tokens": "x", "messages": 5})
            self.assertEqual(refused.status, 400, path)
        words = "many words " * 7000
        tokens = self.ask("/tokenize", content=words)["tokens"]
        self.assertEqual(self.ask("/detokenize", tokens=tokens)["content"], words)

    def test_the_template_is_shown(self):
        prompt = self.ask("/apply-template", messages=MESSAGES)["prompt"]
        self.assertIn("Be brief.", prompt)
        self.assertTrue(prompt.endswith("assistant\n"), prompt)
        closed = self.ask("/apply-template", messages=MESSAGES, add_generation_prompt=False)
        self.assertTrue(prompt.startswith(closed["prompt"]))
        self.assertLess(len(closed["prompt"]), len(prompt))

    def test_properties_and_version(self):
        props = self.daemon.get("/props").json
        self.assertEqual(props["default_generation_settings"]["n_ctx"], 512)
        self.assertGreaterEqual(props["total_slots"], 1)
        self.assertEqual(props["bos_token"], "<s>")
        self.assertNotIn("/", props["model_path"])
        self.assertRegex(self.daemon.get("/version").json["version"], r"^\d+\.\d+\.\d+$")
        caps = props["chat_template_caps"]
        self.assertTrue(caps["supports_string_content"] or caps["supports_typed_content"])
        self.assertEqual({type(value) for value in caps.values()}, {bool})
        self.assertIn("supports_tools", caps)
        model = self.daemon.get("/v1/models").json["data"][0]
        self.assertEqual(model["context_length"], 512)
        self.assertEqual(model["meta"]["n_ctx"], 512)
        self.assertGreaterEqual(model["meta"]["n_ctx_train"], 512)

    def test_editors_find_the_model_as_ollama_has_it(self):
        self.assertRegex(self.daemon.get("/api/version").json["version"], r"^\d+\.\d+\.\d+$")
        (model,) = self.daemon.get("/api/tags").json["models"]
        self.assertEqual(model["name"], self.daemon.get("/v1/models").json["data"][0]["id"])
        for name in model["name"], model["name"] + ":latest":
            shown = self.ask("/api/show", model=name)
            self.assertIn("completion", shown["capabilities"])
            family = shown["model_info"]["general.architecture"]
            self.assertEqual(shown["model_info"][family + ".context_length"], 512)
        for body, status in ({"model": "nobody"}, 404), ({}, 400), ({"model": 5}, 400), ("[", 400):
            reply = self.daemon.post("/api/show", body)
            self.assertEqual((reply.status, type(reply.json["error"])), (status, str), reply.body)

    def test_what_it_cannot_do_is_said_and_not_retried(self):
        for path in ("/v1/embeddings", "/embeddings", "/v1/rerank", "/v1/moderations",
                     "/v1/images/generations", "/v1/audio/speech"):
            reply = self.daemon.post(path, {"input": "x"})
            self.assertEqual(reply.status, 400)
            self.assertEqual(reply.json["error"]["code"], "unsupported_endpoint")
            self.assertEqual(self.daemon.get(path).status, 405)

    def test_a_long_text_does_not_hold_up_the_others(self):
        text = "word " * (1000 if client.SHORT else 200_000)
        connection = self.daemon.connect()
        connection.request("POST", "/tokenize", client.json.dumps({"content": text}))
        self.assertEqual(self.daemon.get("/health").status, 200)
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()

    def test_a_client_that_leaves_a_long_text_harms_nobody(self):
        connection = self.daemon.connect()
        connection.request("POST", "/tokenize", client.json.dumps({"content": "word " * 100_000}))
        connection.close()
        self.assertEqual(self.daemon.get("/health").status, 200)


if __name__ == "__main__":
    client.main()
