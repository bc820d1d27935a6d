#!/usr/bin/env python3
"""/v1/responses: made, streamed, stored, continued, cancelled, deleted; over HTTP and a restart."""
import json
import os
import tempfile
import time
import unittest

import client

MESSAGE = ["response.created", "response.in_progress", "response.output_item.added",
           "response.content_part.added", "response.output_text.delta",
           "response.output_text.done", "response.content_part.done", "response.output_item.done",
           "response.incomplete"]
LONG = {"max_output_tokens": 1000000}


def body(text, **fields):
    return {"input": text, "max_output_tokens": 8, "temperature": 0, "ignore_eos": True, **fields}


def text_of(response):
    return response["output"][0]["content"][0]["text"]


def stream(daemon, request):
    """All events; each must name its type twice and carry the next number."""
    events = [json.loads(data) for data in read_stream(daemon, request)]
    if [event["sequence_number"] for event in events] != list(range(len(events))):
        raise AssertionError("events are not numbered one by one")
    return events


def read_stream(daemon, request):
    connection = daemon.connect()
    connection.request("POST", "/v1/responses", json.dumps({**request, "stream": True}))
    response = connection.getresponse()
    if response.status != 200:
        raise AssertionError(response.read())
    name = None
    for line in iter_lines(connection, response):
        line = line.decode().rstrip("\n")
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            if json.loads(line[6:])["type"] != name:
                raise AssertionError(f"{name} brings {line}")
            yield line[6:]


def iter_lines(connection, response):
    try:
        yield from response
    finally:
        response.close()
        connection.close()


def kinds(events):
    """The types, one after the other, without repetition."""
    types = [event["type"] for event in events]
    return [kind for i, kind in enumerate(types) if i == 0 or types[i - 1] != kind]


class Responses(unittest.TestCase):
    def test_a_whole_response_and_a_streamed_one_say_the_same(self):
        with client.Daemon() as daemon:
            whole = daemon.post("/v1/responses", body("Hello"))
            self.assertEqual(whole.status, 200)
            self.assertIn("new", whole.headers["X-Sinkd-Session"])
            events = stream(daemon, body("Hello"))
            self.assertEqual(kinds(events), MESSAGE)
            deltas = "".join(e["delta"] for e in events if e["type"] == "response.output_text.delta")
            last = events[-1]["response"]
            self.assertEqual(text_of(whole.json), deltas)
            self.assertEqual(text_of(last), deltas)
            self.assertEqual(last["incomplete_details"], {"reason": "max_output_tokens"})
            self.assertEqual(last["usage"]["output_tokens"], 8)
            self.assertEqual({event["item_id"] for event in events if "item_id" in event},
                             {last["output"][0]["id"]})

    def test_a_response_is_stored_until_it_is_deleted(self):
        with client.Daemon() as daemon:
            made = daemon.post("/v1/responses", body("Hello", metadata={"k": "v"})).json
            path = "/v1/responses/" + made["id"]
            stored = daemon.get(path).json
            del made["session"], made["timings"]  # of the moment, not of the response
            self.assertEqual(stored, made)
            items = daemon.get(path + "/input_items").json["data"]
            self.assertEqual(items[0]["content"], [{"type": "input_text", "text": "Hello"}])
            self.assertEqual(daemon.post(path + "/cancel", {}).status, 400)
            self.assertEqual(daemon.delete(path).json["deleted"], True)
            self.assertEqual(daemon.get(path).status, 404)
            self.assertEqual(daemon.get(path + "/input_items").status, 404)

    def test_what_is_not_to_be_stored_is_not(self):
        with client.Daemon() as daemon:
            made = daemon.post("/v1/responses", body("Hello", store=False)).json
            self.assertEqual(daemon.get("/v1/responses/" + made["id"]).status, 404)
            follows = daemon.post("/v1/responses", body("x", previous_response_id=made["id"]))
            self.assertEqual(follows.json["error"]["code"], "previous_response_not_found")

    def test_a_chain_pays_only_its_new_tokens(self):
        with client.Daemon() as daemon:
            first = daemon.post("/v1/responses", body("Hello")).json
            last = daemon.post("/v1/responses",
                               body("And then?", previous_response_id=first["id"])).json
            self.assertEqual(last["session"]["match"], "append")
            cached = last["usage"]["input_tokens_details"]["cached_tokens"]
            self.assertGreaterEqual(cached, first["usage"]["input_tokens"])
            self.assertEqual(last["previous_response_id"], first["id"])
            items = daemon.get(f"/v1/responses/{last['id']}/input_items?order=asc").json["data"]
            self.assertEqual([item["content"][0]["text"] for item in items],
                             ["Hello", text_of(first), "And then?"])

    def test_forks_leave_the_chain_alone_and_read_its_text(self):
        with client.Daemon() as daemon:
            first = daemon.post("/v1/responses", body("Hello")).json
            follow = body("And then?", previous_response_id=first["id"])
            chain, *forks = [daemon.post("/v1/responses", follow).json for _ in range(3)]
            self.assertEqual(text_of(forks[0]), text_of(forks[1]))
            self.assertEqual({chain["session"]["id"], forks[0]["session"]["id"],
                              forks[1]["session"]["id"]},
                             {first["id"], forks[0]["id"], forks[1]["id"]})
            last = daemon.post("/v1/responses", body("x", previous_response_id=chain["id"])).json
            self.assertEqual(last["session"]["match"], "append")

    def test_instructions_hold_for_one_response(self):
        with client.Daemon() as daemon:
            first = daemon.post("/v1/responses", body("Hello", instructions="Be brief.")).json
            self.assertEqual(first["instructions"], "Be brief.")
            last = daemon.post("/v1/responses", body("x", previous_response_id=first["id"])).json
            self.assertIsNone(last["instructions"])
            whole = daemon.post("/v1/responses/input_tokens",
                                {"input": "Hello", "instructions": "Be brief."}).json
            self.assertEqual(whole["input_tokens"], first["usage"]["input_tokens"])

    def test_tools_are_counted_as_input(self):
        tools = [{"type": "function", "name": "look", "parameters": {"type": "object"}}]
        with client.Daemon() as daemon:
            asked = daemon.post("/v1/responses", body("Hello", tools=tools)).json
            counted = daemon.post("/v1/responses/input_tokens", {"input": "Hello", "tools": tools})
            self.assertEqual(counted.json["input_tokens"], asked["usage"]["input_tokens"])

    def test_a_reference_stands_for_its_item(self):
        with client.Daemon() as daemon:
            first = daemon.post("/v1/responses", body("Hello")).json
            reference = {"type": "item_reference", "id": first["output"][0]["id"]}
            whole = {"role": "assistant", "content": text_of(first)}
            said = [daemon.post("/v1/responses", body(
                [{"role": "user", "content": "Hello"}, item, {"role": "user", "content": "x"}])).json
                    for item in (reference, whole)]
            self.assertEqual(text_of(said[0]), text_of(said[1]))
            items = daemon.get(f"/v1/responses/{said[0]['id']}/input_items?order=asc").json["data"]
            self.assertEqual(items[1], first["output"][0])

    def test_a_conversation_grows_by_whole_turns(self):
        with client.Daemon() as daemon:
            path = "/v1/conversations/" + daemon.post("/v1/conversations", {}).json["id"]
            conversation = path.rsplit("/", 1)[1]
            said = []
            for word in ["one", "two", "three"]:
                made = daemon.post("/v1/responses", body(word, conversation=conversation)).json
                self.assertEqual(made["conversation"], {"id": conversation})
                said += [word, text_of(made)]
            self.assertEqual(made["session"]["match"], "append")
            items = daemon.get(path + "/items?order=asc").json["data"]
            self.assertEqual([item["content"][0]["text"] for item in items], said)
            self.assertEqual(items[-1], made["output"][0])

    def test_a_conversation_takes_one_turn_at_a_time(self):
        with client.Daemon() as daemon:
            conversation = daemon.post("/v1/conversations", {}).json["id"]
            running = read_stream(daemon, body("a", conversation=conversation, **LONG))
            next(running)
            busy = daemon.post("/v1/responses", body("b", conversation=conversation))
            self.assertEqual(busy.status, 409)
            self.assertEqual(busy.json["error"]["code"], "conversation_locked")
            self.assertIn("Retry-After", busy.headers)
            running.close()

    def test_a_client_that_leaves_leaves_no_half_turn(self):
        with client.Daemon() as daemon:
            conversation = daemon.post("/v1/conversations", {}).json["id"]
            running = read_stream(daemon, body("a", conversation=conversation, **LONG))
            made = json.loads(next(running))["response"]["id"]
            running.close()
            path = "/v1/responses/" + made
            client.wait_until(lambda: daemon.get(path).json.get("status") == "cancelled",
                              "the response is cancelled")
            items = daemon.get(f"/v1/conversations/{conversation}/items").json["data"]
            self.assertEqual(items, [])
            again = daemon.post("/v1/responses", body("b", conversation=conversation))
            self.assertEqual(again.status, 200)

    def test_more_than_the_window_is_an_error_only_when_asked_for(self):
        with client.Daemon("--window", "64") as daemon:
            text = "word " * 100
            strict = daemon.post("/v1/responses", body(text, truncation="disabled"))
            self.assertEqual(strict.status, 400)
            self.assertEqual(strict.json["error"]["code"], "context_length_exceeded")
            self.assertEqual(daemon.post("/v1/responses", body(text)).status, 200)


class Background(unittest.TestCase):
    def test_it_is_promised_made_and_shown(self):
        with client.Daemon() as daemon:
            promised = daemon.post("/v1/responses", body("Hello", background=True)).json
            self.assertEqual(promised["status"], "queued")
            path = "/v1/responses/" + promised["id"]
            client.wait_until(lambda: daemon.get(path).json["status"] == "incomplete", "its end")
            self.assertEqual(text_of(daemon.get(path).json),
                             text_of(daemon.post("/v1/responses", body("Hello")).json))

    def test_its_events_can_be_read_again_while_it_runs_and_after(self):
        with client.Daemon() as daemon:
            request = body("Hello", background=True, max_output_tokens=200)
            made = daemon.post("/v1/responses", request).json["id"]
            path = f"/v1/responses/{made}?stream=true"
            live = self.read(daemon, path)
            self.assertEqual(kinds(live), MESSAGE)
            later = self.read(daemon, path + "&starting_after=3")
            self.assertEqual(later[0]["sequence_number"], 4)
            self.assertEqual(later[-1]["response"]["output"], live[-1]["response"]["output"])
            for number in ("-1", "%201", "%2B1", "x", "1x", "", str(2 ** 63 - 1), "9" * 30):
                refused = daemon.get(path + "&starting_after=" + number)
                self.assertEqual(refused.status, 400, number)
                self.assertEqual(refused.json["error"]["param"], "starting_after")
            again = self.read(daemon, path)
            for seen in ("x:1x", f"x:{2 ** 63 - 1}"):
                self.assertEqual(self.read(daemon, path, {"Last-Event-ID": seen}), again)

    @staticmethod
    def read(daemon, path, headers=None):
        lines = daemon.get(path, headers).body.decode().splitlines()
        return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]

    def test_it_survives_its_client_and_ends_when_it_is_cancelled(self):
        with client.Daemon() as daemon:
            running = read_stream(daemon, body("a", background=True, **LONG))
            path = "/v1/responses/" + json.loads(next(running))["response"]["id"]
            running.close()
            self.assertEqual(daemon.get(path).json["status"], "in_progress")
            self.assertEqual(daemon.delete(path).status, 400)
            cancelled = daemon.post(path + "/cancel", {})
            self.assertEqual(cancelled.json["status"], "cancelled")
            self.assertEqual(daemon.get(path).json["status"], "cancelled")
            self.assertEqual(daemon.post(path + "/cancel", {}).status, 200)
            client.wait_until(lambda: daemon.metrics()["sinkd_generations_open"] == 0, "it stops")


class OnDisk(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.flags = ["--state-dir", os.path.join(self.folder.name, "state")]

    def test_a_chain_and_a_conversation_go_on_after_a_restart(self):
        with client.Daemon(*self.flags) as daemon:
            first = daemon.post("/v1/responses", body("Hello")).json
            conversation = daemon.post("/v1/conversations", {}).json["id"]
            daemon.post("/v1/responses", body("one", conversation=conversation))
            chain = body("And then?", previous_response_id=first["id"], store=False)
            told = text_of(daemon.post("/v1/responses", chain).json)
        with client.Daemon(*self.flags) as daemon:
            self.assertEqual(text_of(daemon.post("/v1/responses", chain).json), told)
            self.assertEqual(daemon.post("/v1/responses",
                                         body("two", conversation=conversation)).status, 200)
            items = daemon.get(f"/v1/conversations/{conversation}/items").json["data"]
            self.assertEqual(len(items), 4)

    def test_what_was_running_when_it_was_killed_has_failed(self):
        daemon = client.Daemon(*self.flags)
        made = daemon.post("/v1/responses", body("a", background=True, **LONG)).json["id"]
        daemon.kill()
        with client.Daemon(*self.flags) as daemon:
            response = daemon.get("/v1/responses/" + made).json
            self.assertEqual(response["status"], "failed")
            self.assertEqual(response["error"]["code"], "server_error")

    def test_what_a_stop_cuts_off_has_failed_and_says_so(self):
        with client.Daemon(*self.flags, "--drain-seconds", "0") as daemon:
            made = daemon.post("/v1/responses", body("a", background=True, **LONG)).json["id"]
            running = read_stream(daemon, body("a", **LONG))
            next(running)
            daemon.process.terminate()
            last = json.loads(list(running)[-1])
        self.assertEqual(last["type"], "response.failed")
        self.assertEqual(last["response"]["error"]["code"], "server_error")
        with client.Daemon(*self.flags) as daemon:
            for response in (made, last["response"]["id"]):
                self.assertEqual(daemon.get("/v1/responses/" + response).json["status"], "failed")

    def test_a_response_is_forgotten_when_its_time_is_over(self):
        with client.Daemon(*self.flags, "--response-ttl", "1s") as daemon:
            path = "/v1/responses/" + daemon.post("/v1/responses", body("Hello")).json["id"]
        time.sleep(1.1)
        with client.Daemon(*self.flags, "--response-ttl", "1s") as daemon:
            client.wait_until(lambda: daemon.get(path).status == 404, "it is forgotten")


if __name__ == "__main__":
    client.main()
