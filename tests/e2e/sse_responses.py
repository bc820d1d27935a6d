"""A strict reader of the event streams of /v1/responses, as openai-node 7 is one: each rule here was
broken by some server once, and then a real client failed. Raises AssertionError with the rule."""
import json

from sse import require

PARTS = {"response.output_text": "text", "response.reasoning_text": "text",
         "response.function_call_arguments": "arguments"}
ENDS = ("response.completed", "response.incomplete", "response.failed")
KNOWN = {"response.created", "response.queued", "response.in_progress",
         "response.output_item.added", "response.output_item.done", "response.content_part.added",
         "response.content_part.done", *(name + end for name in PARTS for end in (".delta", ".done")),
         *ENDS, "error", "keepalive"}


def events(raw):
    """The payloads; each event has a name and one line of data that says the same type."""
    require(raw.endswith(b"\n\n"), "the last event is whole", raw[-40:])
    found = []
    for block in raw.decode("utf-8").split("\n\n")[:-1]:  # strict: events are whole UTF-8
        lines = [line for line in block.split("\n") if not line.startswith((":", "id: "))]
        if not lines:
            continue
        require(len(lines) == 2 and lines[0].startswith("event: ") and lines[1].startswith("data: "),
                "an event has a name and data", block)
        found.append(json.loads(lines[1][6:]))
        require(found[-1].get("type") == lines[0][7:], "data has the event's type", block)
    return found


class Reader:
    def __init__(self):
        self.items = []  # {"id", "parts": [text], "is_done"}

    def item_of(self, event):
        index = event.get("output_index")
        require(isinstance(index, int) and index < len(self.items), "its item was added", event)
        item = self.items[index]
        require(event.get("item_id") == item["id"], "item_id is the item's", event)
        require(not item["is_done"], "the item is not done yet", event)
        return item

    def part_of(self, event):
        item = self.item_of(event)
        index = event.get("content_index", 0)
        require(index < len(item["parts"]), "its content part was added", event)
        return item["parts"], index

    def take(self, event):
        kind, _, end = event["type"].rpartition(".")
        if event["type"] == "response.output_item.added":
            require(event["output_index"] == len(self.items), "items come one after the other", event)
            given = event["item"]
            require(given.get("id") and given["id"] not in [item["id"] for item in self.items],
                    "an item has an id of its own", event)
            has_parts = given["type"] == "function_call"  # its arguments are no content
            self.items.append({"id": given["id"], "parts": [""] if has_parts else [],
                               "is_done": False})
        elif event["type"] == "response.output_item.done":
            item = self.item_of({**event, "item_id": event["item"].get("id")})
            require(event["item"].get("status") in ("completed", "incomplete"), "it has a status", event)
            item["is_done"] = True
        elif event["type"] == "response.content_part.added":
            item = self.item_of(event)
            require(event["content_index"] == len(item["parts"]), "parts come one after the other",
                    event)
            item["parts"].append("")
        elif kind in PARTS and end == "delta":
            parts, index = self.part_of(event)
            parts[index] += event["delta"]
        elif kind in PARTS:
            parts, index = self.part_of(event)
            require(event[PARTS[kind]] == parts[index], "the whole is the sum of its pieces", event)


def check_stream(raw):
    """Checks a whole stream; its events."""
    found = events(raw)
    require(found and found[0]["type"] == "response.created", "it begins with created", found[:1])
    require([event.get("sequence_number") for event in found] == list(range(len(found))),
            "events are numbered", [event.get("sequence_number") for event in found])
    for event in found:
        require(event["type"] in KNOWN, "its type is known", event)
    ids = {event["response"]["id"] for event in found if "response" in event}
    require(len(ids) == 1, "the response keeps its id", ids)
    require([event["type"] in ENDS for event in found] == [False] * (len(found) - 1) + [True],
            "it ends once, with its end", found[-1])
    reader = Reader()
    for event in found[1:-1]:
        reader.take(event)
    listed = [item["id"] for item in found[-1]["response"]["output"]]
    require(listed == [item["id"] for item in reader.items], "the end lists each item", listed)
    if found[-1]["type"] != "response.failed":
        require(all(item["is_done"] for item in reader.items), "each item is done", reader.items)
    return found
