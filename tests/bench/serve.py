#!/usr/bin/env python3
"""serve.py SINKD MODEL [FLAG]... - what a client of the daemon measures, on this machine, now.

Prints a table of: prompt tokens per second and time to the first token of a long prompt, tokens per
second of one conversation and of several at once (all together), the second turn's time to the
first token, the time per token before and after the window is full, the first token after a restart
with the session on disk and without, and in the 200th turn beside the third.
"""
import concurrent.futures
import os
import statistics
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../e2e"))
os.environ["SINKD"] = os.path.abspath(sys.argv[1]) if len(sys.argv) > 2 else sys.exit(__doc__)
import client  # noqa: E402

CHAT = "/v1/chat/completions"
PROMPT = ("The lighthouse keeper wrote down the weather every evening, and the ships that passed. " * 24)
N_ANSWER = 64


def timings(daemon, messages, conversation, max_tokens=N_ANSWER):
    reply = daemon.chat(messages, conversation, max_tokens=max_tokens)
    assert reply.status == 200, reply.body
    if isinstance(messages, list):
        messages.append(reply.json["choices"][0]["message"])
    return reply.json["timings"]


def row(what, value, unit):
    print(f"{what:<58}{value:>10.1f} {unit}", flush=True)


def measure_one(daemon):
    messages = [{"role": "user", "content": PROMPT}]
    first = timings(daemon, messages, "one")
    row(f"prompt of {first['prompt_n']} tokens", first["prompt_per_second"], "tokens/s")
    row("  time to the first token", first["prompt_ms"], "ms")
    row("one conversation speaks", first["predicted_per_second"], "tokens/s")
    messages.append({"role": "user", "content": "And then?"})
    second = timings(daemon, messages, "one")
    row(f"second turn, {second['cache_n']} tokens cached: first token", second["prompt_ms"], "ms")


def measure_many(daemon, n):
    with concurrent.futures.ThreadPoolExecutor(n) as pool:
        begin = time.monotonic()
        done = list(pool.map(lambda i: timings(daemon, f"Story {i}, please.", f"many-{n}-{i}"),
                             range(n)))
        elapsed_s = time.monotonic() - begin
    row(f"{n} conversations speak, all together", sum(t["predicted_n"] for t in done) / elapsed_s,
        "tokens/s")


def measure_window(sinkd_flags, model):
    with client.Daemon("--window", "256", *sinkd_flags, model=model) as daemon:
        messages = []
        per_token_ms = []
        for _ in range(16):
            messages.append({"role": "user", "content": "Go on."})
            spent = timings(daemon, messages, "long")
            per_token_ms.append(spent["predicted_ms"] / max(1, spent["predicted_n"] - 1))
    row("window of 256: per token, turns 1-3 (filling)", statistics.median(per_token_ms[:3]), "ms")
    row("window of 256: per token, turns 5-8", statistics.median(per_token_ms[4:8]), "ms")
    row("window of 256: per token, turns 13-16 (4 windows on)", statistics.median(per_token_ms[12:]),
        "ms")


def measure_restart(flags, model):
    """The same next turn of a window that is nearly full, with the session on the disk and with its
    text alone."""
    question = {"role": "user", "content": "And then?"}
    with tempfile.TemporaryDirectory() as folder:
        state = ["--state-dir", folder, *flags]
        with client.Daemon(*state, model=model) as daemon:
            messages = [{"role": "user", "content": PROMPT * 4}]
            timings(daemon, messages, "kept", 16)
        messages.append(question)
        with client.Daemon(*state, model=model) as daemon:
            begin = time.monotonic()
            kept = timings(daemon, list(messages), "kept", 1)
            from_disk_s = time.monotonic() - begin
    with client.Daemon(*flags, model=model) as daemon:
        begin = time.monotonic()
        timings(daemon, list(messages), "kept", 1)
        from_text_s = time.monotonic() - begin
    row(f"after a restart, {kept['cache_n']} tokens from the disk: one token", from_disk_s * 1e3,
        "ms")
    row("  the same from the text", from_text_s * 1e3, "ms")
    row("  ratio", from_text_s / from_disk_s, "")


def measure_long_talk(flags, model, n_turns=200):
    messages, first_ms = [], []
    with client.Daemon(*flags, model=model) as daemon:
        for i in range(n_turns):
            messages.append({"role": "user", "content": f"This is question {i:03}."})
            begin = time.monotonic()
            timings(daemon, messages, "long", 1)
            first_ms.append((time.monotonic() - begin) * 1e3)
    early, late = statistics.median(first_ms[1:6]), statistics.median(first_ms[-5:])
    row("one token asked for and had, turns 2-6", early, "ms")
    row(f"  the last five of {n_turns} turns", late, "ms")
    row("  ratio", late / early, "")


def main():
    model, flags = sys.argv[2], sys.argv[3:]
    print(f"{os.path.basename(model)}, {os.cpu_count()} CPUs")
    with client.Daemon(*flags, model=model) as daemon:
        row("memory after loading", daemon.rss_kb() / 1024, "MiB")
        measure_one(daemon)
        for n in (2, 4, 8):
            measure_many(daemon, n)
    measure_window(flags, model)
    measure_restart(flags, model)
    measure_long_talk(flags, model)


if __name__ == "__main__":
    main()
