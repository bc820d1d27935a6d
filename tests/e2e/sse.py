"""A strict reader of chat and completion streams: each rule here was broken by some server once, and
then a real client failed. Raises AssertionError with the rule."""
import json

IDENTITY = ("id", "object", "created", "model", "system_fingerprint")


def require(condition, rule, what):
    if not condition:
        raise AssertionError(f"{rule}: {what!r}")


def frames(raw):
    """The payloads of a stream's events."""
    require(raw.endswith(b"\n\n"), "the last event is whole", raw[-40:])
    require(b"\r" not in raw, "lines end with a newline alone", raw[:80])
    payloads = []
    for event in raw.decode("utf-8").split("\n\n")[:-1]:  # strict: frames are whole UTF-8
        data = []
        for line in event.split("\n"):
            # An "event:" line without data is fatal to openai-node; a chat stream has neither.
            require(line.startswith(("data: ", "id: ", ":")), "only data, ids and comments", line)
            if line.startswith("data: "):
                data.append(line[6:])
        require(len(data) <= 1, "an event has one line of data", event)
        payloads += data
    return payloads


def check_identity(chunks):
    for chunk in chunks:
        for key in IDENTITY:
            require(chunk.get(key) == chunks[0].get(key), f"all chunks have the same {key}", chunk)
        require(isinstance(chunk.get("created"), int), "created is an integer", chunk)


def check_calls(deltas):
    """The pieces of tool calls: a client puts them together by index, and never changes a name."""
    calls = {}
    for delta in deltas:
        for call in delta.get("tool_calls") or []:
            index = call.get("index")
            require(isinstance(index, int) and 0 <= index < 128, "a call has an index", call)
            if index not in calls:
                require(index == len(calls), "calls come one after the other", call)
                require(call.get("id", "").startswith("call_") and call.get("type") == "function"
                        and call["function"].get("name"), "a call begins with its id and name", call)
                calls[index] = ""
            else:
                require("id" not in call and "name" not in call["function"],
                        "a call keeps its id and name", call)
            calls[index] += call["function"].get("arguments", "")
    return calls


def check_choice(deltas, index, is_chat):
    """All that one choice said, in order."""
    finishes = [choice["finish_reason"] for choice in deltas]
    require(finishes[-1] in ("stop", "length", "tool_calls"), "the last chunk says why it ends",
            deltas[-1])
    require(not any(finishes[:-1]), "only the last chunk says why it ends", finishes)
    for choice in deltas:
        require("logprobs" in choice, "logprobs is there, perhaps null", choice)
        if not is_chat:
            require(isinstance(choice.get("text"), str), "a text is a string", choice)
    if is_chat:
        require(deltas[0]["delta"].get("role") == "assistant", "the first chunk has the role",
                deltas[0])
        require(not any("role" in choice["delta"] for choice in deltas[1:]),
                "only the first chunk has the role", index)
        require(deltas[-1]["delta"] == {}, "the last delta is empty", deltas[-1])
        for choice in deltas[1:-1]:
            require(choice["delta"], "a delta brings something", choice)
        check_calls([choice["delta"] for choice in deltas])


def check_usage(chunks, has_usage):
    if not has_usage:
        require(not any(chunk.get("usage") for chunk in chunks), "no usage unless asked", chunks[-1])
        return chunks
    *body, last = chunks
    require(last["choices"] == [], "the chunk with the usage has no choices", last)
    usage = last["usage"]
    require(usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"],
            "the total is the sum", usage)
    require(usage["prompt_tokens_details"]["cached_tokens"] <= usage["prompt_tokens"],
            "no more is cached than was sent", usage)
    require(all("usage" in chunk and chunk["usage"] is None for chunk in body),
            "the other chunks have a null usage", body[0])
    return body


def check_stream(raw, is_chat=True, has_usage=False, n=1):
    """Checks a whole stream; the chunks with choices."""
    payloads = frames(raw)
    require(payloads and payloads[-1] == "[DONE]", "[DONE] is the last event", payloads[-1:])
    require(payloads.count("[DONE]") == 1, "[DONE] comes once", payloads[-2:])
    chunks = [json.loads(payload) for payload in payloads[:-1]]
    require(not any("error" in chunk for chunk in chunks), "no error", chunks[-1])
    check_identity(chunks)
    require(chunks[0]["object"] == ("chat.completion.chunk" if is_chat else "text_completion"),
            "the object has its name", chunks[0])
    for chunk in chunks:
        require(isinstance(chunk.get("choices"), list), "each chunk has choices", chunk)
    chunks = check_usage(chunks, has_usage)
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    require({choice["index"] for choice in choices} == set(range(n)), "each choice is there", choices)
    for index in range(n):
        check_choice([choice for choice in choices if choice["index"] == index], index, is_chat)
    return chunks


def text_of(chunks, index=0):
    """What one choice of a stream said."""
    return "".join(choice.get("text") or choice.get("delta", {}).get("content") or ""
                   for chunk in chunks for choice in chunk["choices"] if choice["index"] == index)


def calls_of(chunks, index=0):
    """The arguments of one choice's tool calls, by index."""
    return check_calls([choice["delta"] for chunk in chunks for choice in chunk["choices"]
                        if choice["index"] == index])
