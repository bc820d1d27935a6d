#!/usr/bin/env python3
"""Text that is none: a person's message may hold whatever Unicode holds, in as many pieces as a
client likes to send. Each is answered or refused with a sentence."""
import json

import client

CHAT = "/v1/chat/completions"
ODD = {
    "nothing": "",
    "spaces": " \n\t" * 50,
    "a byte order mark": "\ufeff",
    "NULs": "\0" * 10,
    "controls": "".join(map(chr, range(1, 32))) + "\x7f\x80\x9f",
    "unassigned": "\u0378\u0379\U000e0fff\U000f0000\U0010fffd",
    "no characters": "\ufffe\uffff\U0001ffff",
    "backwards": "\u202eabc\u202c\u2066\u2069",
    "accents on one letter": "e" + "\u0301" * 500,
    "a family": "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466" * 50,
    "one letter": "a" * 4096,
    "no space": "\u4e2d\u6587" * 500,
}


class OddText(client.DaemonCase):
    def test_each_is_read_or_refused_with_a_sentence(self):
        for name, text in ODD.items():
            with self.subTest(name):
                for messages in (text, [{"role": "system", "content": text},
                                        {"role": "user", "content": text}]):
                    reply = self.daemon.chat(messages, max_tokens=2)
                    self.assertIn(reply.status, (200, 400), reply.body)
                    if reply.status == 400:
                        self.assertGreater(len(reply.json["error"]["message"]), 10)
                    else:
                        self.assertEqual(reply.json["usage"]["completion_tokens"], 2)
        self.assertEqual(self.daemon.chat("Hello").status, 200)

    def test_many_messages_are_a_conversation(self):
        n = 100 if client.SHORT else 1000
        messages = [{"role": ("user", "assistant")[i % 2], "content": "" if i % 3 else "Hi"}
                    for i in range(n + 1)]
        reply = self.daemon.chat(messages, max_tokens=2)
        self.assertEqual(reply.status, 200, reply.body[:300])
        self.assertGreater(reply.json["usage"]["prompt_tokens"], n)

    def test_characters_may_be_cut_between_chunks(self):
        body = json.dumps(client.chat_body("\u00e9\u20ac\U0001f600 " * 8, max_tokens=8),
                          ensure_ascii=False).encode()
        whole = self.daemon.post(CHAT, body)
        self.assertEqual(whole.status, 200)
        connection = self.daemon.connect()
        connection.request("POST", CHAT, (body[i:i + 1] for i in range(len(body))),
                           {"Content-Type": "application/json"}, encode_chunked=True)
        cut = client.Reply(connection.getresponse())
        connection.close()
        self.assertEqual(cut.json["choices"], whole.json["choices"])
        # An invalid sequence is refused whole, wherever it is cut.
        self.assertEqual(self.daemon.post(CHAT, body.replace(b"\xf0\x9f", b"\xf0", 1)).status, 400)


if __name__ == "__main__":
    client.main()
