#!/usr/bin/env python3
"""soak.py [SECONDS] - everything at once for a long time (60 s; an hour shows a slow leak).

Chats, streams, stored responses, clients that leave, stall or are killed, bad requests, reloads,
and a disk that is full now and then (a small tmpfs; needs root). One of ten minutes and more first fills
the table of conversations, so that memory has no cause to grow in its second half. Prints what was
done, the slope of resident memory in that half, and open files before and after. Fails when the daemon ends,
an acknowledged response is lost, a file stays open, or a status is not one of those expected.
"""
import collections
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

import client
import hostile

CHAT = "/v1/chat/completions"
BUSY = (409, 429, 503, 507)  # said to come again later
KV_MEMORY = "24M"            # a few sessions: the others move to the disk and back
DISK = "48m"
MAX_CONVERSATIONS = 16384    # server.c remembers no more
MAX_KEPT = 500               # the database comes to its size early


class Soak:
    def __init__(self, seconds, folder):
        self.seconds = seconds
        self.folder = folder
        self.counts = collections.Counter()
        self.faults = []
        self.kept = {}      # id: text, of responses that were acknowledged
        self.lock = threading.Lock()
        self.is_over = threading.Event()
        self.samples = []   # (seconds, KiB)
        self.health_ms = []

    # ---- what clients do; each is called again and again ----

    def expect(self, reply, what, *more):
        self.counts[f"{what} {reply.status}"] += 1
        if reply.status not in (200, *BUSY, *more):
            raise AssertionError(f"{what}: {reply.status} {getattr(reply, 'body', b'')[:200]}")
        return reply.status == 200

    def converse(self, number):
        messages = []
        for turn in range(random.randint(1, 6)):
            words = "word " * random.randint(1, 60)
            messages.append({"role": "user", "content": f"{number} {turn} {words}"})
            reply = self.daemon.chat(messages, f"soak-{number}-{random.randint(0, 30)}",
                                     max_tokens=random.randint(1, 24))
            if not self.expect(reply, "chat"):
                return
            messages.append({"role": "assistant",
                             "content": reply.json["choices"][0]["message"]["content"]})

    def stream(self, number):
        body = client.chat_body(f"{number} {random.random()}", max_tokens=random.randint(1, 40))
        stream = self.daemon.open_stream(CHAT, body)
        if self.expect(stream, "stream"):
            stream.chunks()

    def leave(self, number):
        stream = self.daemon.open_stream(CHAT, client.chat_body(f"{number}", max_tokens=1 << 20))
        if self.expect(stream, "left stream"):
            events = iter(stream)
            for _ in range(random.randint(0, 10)):
                next(events)
        stream.close()

    def stall(self, number):
        sock = self.daemon.dial()
        body = json.dumps({**client.chat_body(f"{number}", max_tokens=1 << 20),
                           "stream": True}).encode()
        sock.sendall(f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
                     "\r\n".encode() + body)
        sock.recv(100)
        self.is_over.wait(random.uniform(0.5, 5))
        sock.close()
        self.counts["stalled reader"] += 1

    def drip(self, number):
        """Half a head or half a body, and gone."""
        with self.daemon.dial() as sock:
            whole = (f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n"
                     + "x" * 499).encode()
            sock.sendall(whole[:random.randint(1, len(whole))])
        self.counts["cut request"] += 1

    def misbehave(self, number):
        name, text, _ = random.choice(hostile.REFUSED)
        with self.daemon.dial() as sock:
            sock.settimeout(5)
            try:
                sock.sendall(text.replace("{smuggled}", "/smuggled").encode("latin-1"))
                while sock.recv(65536):
                    pass
            except OSError:
                pass
        self.counts["hostile request"] += 1
        good = json.dumps({**client.chat_body("Hi"), "stop": ["a"], "top_p": 0.5})
        at = random.randrange(len(good))
        wrong = random.choice(["", "\\", "\"", "[" * 50, "1e999", "-1", "\x00"])
        bad = good[:at] + wrong + good[at + 1:]
        self.expect(self.daemon.post(CHAT, bad.encode()), "damaged JSON", 400, 413, 404)

    def kill(self, number):
        body = json.dumps({**client.chat_body(f"{number}", max_tokens=1 << 20), "stream": True})
        curl = subprocess.Popen(["curl", "-sN", self.daemon.url + CHAT[1:], "-d", body],
                                stdout=subprocess.PIPE)
        curl.stdout.readline()
        curl.kill()
        curl.wait()
        curl.stdout.close()
        self.counts["killed client"] += 1

    def respond(self, number):
        """A chain of stored responses; some are kept to the end, the others deleted."""
        chain, last = [], None
        for _ in range(random.randint(1, 5)):
            reply = self.daemon.post("/v1/responses", {
                "input": f"{number} asks", "max_output_tokens": random.randint(16, 32),
                "previous_response_id": last, "background": False})
            if not self.expect(reply, "response"):
                break
            response = reply.json
            if response["status"] not in ("completed", "incomplete"):
                break
            last = response["id"]
            chain.append((last, response["output"][0]["content"][0]["text"]))
        for name, text in chain:
            found = self.daemon.get("/v1/responses/" + name)
            if self.expect(found, "response read") and text != \
                    found.json["output"][0]["content"][0]["text"]:
                raise AssertionError(f"{name} is another")
        with self.lock:
            is_kept = len(self.kept) < MAX_KEPT and random.random() < 0.1
            if is_kept:
                self.kept.update(chain)
        for name, _ in () if is_kept else reversed(chain):
            self.expect(self.daemon.delete("/v1/responses/" + name), "response deleted")

    # ---- what happens beside them ----

    def watch(self):
        begin = time.monotonic()
        period = max(self.seconds / 400, 0.2)
        while not self.is_over.wait(period):
            self.samples.append((time.monotonic() - begin, self.daemon.rss_kb()))
            before = time.monotonic()
            self.daemon.get("/health")
            self.health_ms.append((time.monotonic() - before) * 1000)

    def reload(self):
        while not self.is_over.wait(7):
            self.daemon.process.send_signal(signal.SIGHUP)
            self.counts["reload"] += 1

    def fill_disk(self):
        path = os.path.join(self.folder, "state", "filler")
        while not self.is_over.wait(15):
            try:
                with open(path, "wb", buffering=0) as file:
                    while file.write(bytes(1 << 16)):
                        pass
            except OSError:
                self.counts["disk full"] += 1
            self.is_over.wait(3)
            os.remove(path)

    def repeat(self, what, number, pause):
        while not self.is_over.is_set():
            try:
                what(number)
            except (http.client.HTTPException, ConnectionError, AssertionError, KeyError,
                    ValueError) as fault:
                self.counts["FAULT"] += 1
                if len(self.faults) < 20:
                    self.faults.append(f"{what.__name__}: {fault!r}")
            self.is_over.wait(random.uniform(0, 2 * pause))

    # ---- the whole ----

    def threads(self):
        jobs = [(self.converse, 4, 0.6), (self.stream, 4, 0.6), (self.leave, 2, 0.6),
                (self.stall, 3, 1.5), (self.drip, 1, 0.6), (self.misbehave, 2, 0.6),
                (self.kill, 1, 3), (self.respond, 3, 0.9)]
        threads = [threading.Thread(target=self.repeat, args=(what, i, pause))
                   for what, n, pause in jobs for i in range(n)]
        threads += [threading.Thread(target=self.watch), threading.Thread(target=self.reload)]
        if os.path.ismount(os.path.join(self.folder, "state")):
            threads.append(threading.Thread(target=self.fill_disk))
        else:
            print("skipped: a full disk, which needs a mount")
        return threads

    def fill(self):
        """As many conversations as are remembered, of every length that they have later."""
        def talk(number):
            while not self.is_full.is_set():
                self.converse(f"{number}-{random.random()}")

        self.is_full = threading.Event()
        threads = [threading.Thread(target=talk, args=(i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        while self.daemon.metrics()["sinkd_conversations"] < MAX_CONVERSATIONS:
            if not any(thread.is_alive() for thread in threads):
                raise AssertionError("no conversation can be had")
            time.sleep(1)
        self.is_full.set()
        for thread in threads:
            thread.join()

    def start(self):
        config = os.path.join(self.folder, "sinkd.ini")
        with open(config, "w", encoding="utf-8") as file:
            file.write("log-level = warning\n")
        return client.Daemon("--config", config, "--state-dir",
                             os.path.join(self.folder, "state/daemon"), "--kv-memory", KV_MEMORY,
                             "--kv-disk", "16M", "--log-level", "info")

    def idle_files(self):
        for name, value in (("sinkd_connections", 1), ("sinkd_generations_open", 0)):
            client.wait_until(lambda: self.daemon.metrics()[name] == value, f"{name} is {value}")
        return len(os.listdir(f"/proc/{self.daemon.process.pid}/fd"))

    def check_kept(self):
        for name, text in self.kept.items():
            found = self.daemon.get("/v1/responses/" + name)
            if found.status != 200 or found.json["output"][0]["content"][0]["text"] != text:
                self.faults.append(f"lost: {name}")

    def run(self):
        self.daemon = self.start()
        self.daemon.chat("Hello")
        files = self.idle_files()
        if self.seconds >= 600:
            self.fill()
        threads = self.threads()
        for thread in threads:
            thread.start()
        deadline = time.monotonic() + self.seconds
        while time.monotonic() < deadline and self.daemon.process.poll() is None:
            time.sleep(0.2)
        self.is_over.set()
        for thread in threads:
            thread.join()
        files_after, metrics = self.idle_files(), self.daemon.metrics()
        self.check_kept()
        if self.daemon.stop() != 0:
            self.faults.append("the daemon did not end well:\n" + "".join(self.daemon.log[-20:]))
        self.daemon = self.start()  # what was acknowledged survives the end
        self.check_kept()
        self.daemon.stop()
        return self.report(files, files_after, metrics)

    def report(self, files, files_after, metrics):
        for what in sorted(self.counts):
            print(f"{what:24} {self.counts[what]:8}")
        for name in ("sinkd_generated_tokens_total", "sinkd_store_failures_total",
                     "sinkd_store_commits_total"):
            print(f"{name:32} {metrics[name]:.0f}")
        late = [sample for sample in self.samples if sample[0] >= self.seconds / 2]
        health = sorted(self.health_ms)
        print(f"health: p50 {health[len(health) // 2]:.1f} ms, "
              f"p99 {health[len(health) * 99 // 100]:.1f} ms")
        print(f"resident: {late[0][1]} KiB after a half, {late[-1][1]} KiB at the end, "
              f"slope {slope(late) * 3600:.0f} KiB per hour over {late[-1][0] - late[0][0]:.0f} s")
        print(f"open files: {files} before, {files_after} after")
        print(f"acknowledged responses that were kept: {len(self.kept)}")
        if files_after > files + 1:
            self.faults.append("files stay open")
        for fault in self.faults:
            print("FAULT:", fault)
        return not self.faults


def slope(samples):
    """KiB per second, least squares."""
    n = len(samples)
    mean_t, mean_y = (sum(values) / n for values in zip(*samples))
    return (sum((t - mean_t) * (y - mean_y) for t, y in samples)
            / (sum((t - mean_t) ** 2 for t, _ in samples) or 1))


def main():
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    with tempfile.TemporaryDirectory() as folder:
        disk = os.path.join(folder, "state")
        os.mkdir(disk)
        is_mounted = os.geteuid() == 0 and subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", disk],
            stderr=subprocess.DEVNULL).returncode == 0
        try:
            is_good = Soak(seconds, folder).run()
        finally:
            if is_mounted:
                subprocess.run(["umount", disk], check=True)
    print("1 passed, 0 failed" if is_good else "0 passed, 1 failed")
    sys.exit(not is_good)


if __name__ == "__main__":
    main()
