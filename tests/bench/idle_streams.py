#!/usr/bin/env python3
"""idle_streams.py SINKD MODEL [N] - N streams that wait in silence: memory of each, CPU of all.

One session is held by an answer without end, so that all others wait in line with their stream
open. Prints kB of resident memory per stream, CPU seconds per second, and how fast /health answers
meanwhile. N sockets must fit into this process and into the daemon (ulimit -n).
"""
import json
import os
import re
import resource
import socket
import subprocess
import sys
import threading
import time

CHAT = {"messages": [{"role": "user", "content": "Hello"}], "stream": True, "temperature": 0,
        "ignore_eos": True, "max_tokens": 1 << 29}


def start(sinkd, model):
    daemon = subprocess.Popen([sinkd, "--model", model, "--port", "0", "--kv-memory", "1",
                               "--log-level", "info"], stderr=subprocess.PIPE, text=True)
    for line in daemon.stderr:
        found = re.search(r"listening on http://127\.0\.0\.1:(\d+)", line)
        if found:
            return daemon, int(found.group(1))
    sys.exit("sinkd did not start")


def ask(port):
    body = json.dumps(CHAT).encode()
    sock = socket.create_connection(("127.0.0.1", port))
    sock.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: "
                 + str(len(body)).encode() + b"\r\n\r\n" + body)
    if not sock.recv(4096).startswith(b"HTTP/1.1 200"):
        sys.exit("a stream was refused")
    return sock


def drain(sock):
    while sock.recv(1 << 20):
        pass


def rss_kb(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def health_ms(port, n):
    times = []
    sock = socket.create_connection(("127.0.0.1", port))
    for _ in range(n):
        begin = time.monotonic()
        sock.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        sock.recv(4096)
        times.append((time.monotonic() - begin) * 1000)
    sock.close()
    return sorted(times)


def main():
    sinkd, model = sys.argv[1:3]
    n = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    daemon, port = start(sinkd, model)
    try:
        talker = ask(port)
        threading.Thread(target=drain, args=(talker,), daemon=True).start()
        warm = [ask(port) for _ in range(50)]
        before = rss_kb(daemon.pid)
        streams = [ask(port) for _ in range(n)]
        after = rss_kb(daemon.pid)
        print(f"{n} streams: {(after - before) / n:.1f} kB each")
        times = health_ms(port, 200)
        print(f"/health: p50 {times[100]:.1f} ms, p99 {times[198]:.1f} ms")
        del warm, streams
    finally:
        daemon.kill()
        daemon.wait()


main()
