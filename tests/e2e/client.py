"""What the end-to-end tests share: a real daemon, and HTTP as a client speaks it.

Standard library only. Each test file is a program: `client.main()` runs its unittest cases and ends
with the line that tests/run-tests adds up. SINKD names the binary, E2E_SHORT=1 asks for less work
(a sanitizer is slow).
"""
import fcntl
import filecmp
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
E2E = os.path.join(ROOT, "tests/e2e")
SINKD = os.path.join(ROOT, os.environ.get("SINKD", "build/sinkd"))
TINY_MODEL = os.path.join(ROOT, "tests/fixtures/golden/llama-gqa-tied/model.gguf")
SHORT = bool(os.environ.get("E2E_SHORT"))
PATIENCE_S = 300  # a hang guard, far above any real duration; no test asserts on it


class Reply:
    """A whole response."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)


class Stream:
    """A server-sent event stream: iterates over the payloads of its `data:` lines."""

    def __init__(self, connection, response):
        self.connection = connection
        self.status = response.status
        self.headers = response.headers
        self._response = response

    def __iter__(self):
        data = []
        for line in self._response:
            line = line.decode("utf-8").rstrip("\n")  # strict: each line is whole UTF-8
            if line.startswith("data:"):
                data.append(line[5:].removeprefix(" "))
            elif line == "" and data:
                yield "\n".join(data)
                data = []
            elif line and not line.startswith((":", "event:", "id:")):
                raise AssertionError(f"not a line of this API's streams: {line!r}")
        self.close()

    def chunks(self):
        """The JSON chunks up to [DONE], which must be the last event."""
        events = list(self)
        if not events or events[-1] != "[DONE]":
            raise AssertionError(f"the stream ends with {events[-1:]}, not with [DONE]")
        return [json.loads(event) for event in events[:-1]]

    def close(self):
        self.connection.close()


class Daemon:
    """A running sinkd on a free port. Use as a context manager."""

    def __init__(self, *flags, model=TINY_MODEL, env=None, wrapper=(), pass_fds=()):
        """`wrapper` is a command that runs sinkd, as systemd-socket-activate does."""
        self.log = []
        self.unix_path = None
        self.process = subprocess.Popen(
            [*wrapper, SINKD, "--model", model, "--host", "127.0.0.1", "--port", "0", *flags],
            cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            text=True, errors="replace", env={**os.environ, **(env or {})}, pass_fds=pass_fds)
        self.port = self._wait_until_listening()
        self.url = f"http://127.0.0.1:{self.port}/"
        # Somebody must read on, or the daemon would block on a full pipe one day.
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    def _wait_until_listening(self):
        for line in self.process.stderr:
            self.log.append(line)
            found = re.search(r"listening on (?:http://127\.0\.0\.1:(\d+)|unix:([^\s\"]+))", line)
            if found and found.group(2):
                self.unix_path = found.group(2)
                return 0
            if found:
                return int(found.group(1))
        self.process.wait()
        raise AssertionError("sinkd did not start:\n" + "".join(self.log))

    def _read_log(self):
        for line in self.process.stderr:
            self.log.append(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        status = self.stop()
        if status != 0:
            raise AssertionError(f"sinkd exited with {status}:\n" + "".join(self.log))

    def stop(self):
        """SIGTERM; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self):
        """SIGKILL: no time for anything."""
        self.process.kill()
        self.wait()

    def wait(self):
        try:
            status = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self._reader.join()
        self.process.stderr.close()
        return status

    def connect(self):
        connection = http.client.HTTPConnection("localhost", self.port, timeout=PATIENCE_S)
        connection.sock = self.dial()
        return connection

    def dial(self):
        if not self.unix_path:
            return socket.create_connection(("127.0.0.1", self.port), PATIENCE_S)
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(PATIENCE_S)
        sock.connect(self.unix_path)
        return sock

    def request(self, method, path, body=None, headers=None):
        connection = self.connect()
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        connection.request(method, path, body, {"Content-Type": "application/json",
                                                **(headers or {})})
        reply = Reply(connection.getresponse())
        connection.close()
        return reply

    def get(self, path, headers=None):
        return self.request("GET", path, None, headers)

    def post(self, path, body, headers=None):
        return self.request("POST", path, body, headers)

    def delete(self, path, headers=None):
        return self.request("DELETE", path, None, headers)

    def open_stream(self, path, body, headers=None):
        connection = self.connect()
        connection.request("POST", path, json.dumps({**body, "stream": True}),
                           {"Content-Type": "application/json", **(headers or {})})
        return Stream(connection, connection.getresponse())

    def chat(self, messages, conversation=None, **fields):
        """One whole chat answer; greedy, and of exactly max_tokens tokens unless told otherwise."""
        headers = {"X-Conversation-Id": conversation} if conversation else {}
        return self.post("/v1/chat/completions", chat_body(messages, **fields), headers)

    def raw(self, request):
        """Sends bytes as they are; returns all that comes back until the server closes."""
        with self.dial() as sock:
            sock.sendall(request)
            received = b""
            while True:
                more = sock.recv(65536)
                if not more:
                    return received
                received += more

    def metrics(self, headers=None):
        """{name or name{labels}: value} of GET /metrics."""
        values = {}
        for line in self.get("/metrics", headers).body.decode().splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                values[name] = float(value)
        return values

    def rss_kb(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))


class DaemonCase(unittest.TestCase):
    """Test cases that share one daemon, started with `flags`."""

    flags = ()

    @classmethod
    def setUpClass(cls):
        cls.daemon = Daemon(*cls.flags)

    @classmethod
    def tearDownClass(cls):
        cls.daemon.__exit__()


def chat_body(messages, **fields):
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    return {"messages": messages, "max_tokens": 8, "temperature": 0, "ignore_eos": True, **fields}


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"never came true: {what}")
        time.sleep(0.01)


def free_port():
    """A port that nobody has just now, for a program that cannot choose one itself."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def run_once(*flags, env=None):
    """Runs sinkd to its end: (exit status, stdout, stderr)."""
    done = subprocess.run([SINKD, *flags], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, errors="replace", timeout=PATIENCE_S,
                          env={**os.environ, **(env or {})})
    return done.returncode, done.stdout, done.stderr


def key_file(*keys):
    """A file of API keys that only its owner may read; it is gone when closed."""
    file = tempfile.NamedTemporaryFile("w", suffix=".keys")  # made with mode 0600
    file.write("".join(key + "\n" for key in keys))
    file.flush()
    return file


def install_packages(folder=E2E):
    """The npm packages of a lock file; skips the test when they cannot be had."""
    if not shutil.which("npm") or not shutil.which("node"):
        raise unittest.SkipTest("npm is not installed, so the real clients were not tried")
    lock = os.path.join(folder, "package-lock.json")
    installed = os.path.join(folder, "node_modules/.installed-lock.json")
    with open(lock) as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # test programs may run side by side
        if not os.path.exists(installed) or not filecmp.cmp(lock, installed, shallow=False):
            fetch_packages(folder, lock, installed)


def fetch_packages(folder, lock, installed):
    done = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts",
                           "--fetch-retries", "1"], cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        raise unittest.SkipTest("npm could not fetch the real clients, so they were not tried")
    shutil.copyfile(lock, installed)


def installed_node():
    """The major version of Node, 0 without one."""
    if not shutil.which("node"):
        return 0
    done = subprocess.run(["node", "--version"], capture_output=True, text=True)
    return int(done.stdout.strip().lstrip("v").split(".")[0])


def need_node(test, major):
    """Skips the test where Node is older: its npm leaves out what asks for more, too."""
    if 0 < installed_node() < major:
        test.skipTest(f"LangChain and the Agents SDK need Node {major}, so they were not tried")


def find_browser():
    """A Chromium's path, or None."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser")
    return next(filter(None, map(shutil.which, names)), None)


def run_cases(test, script, *args, node="node"):
    """Runs a script of cases.mjs; each of its cases is a sub-test."""
    install_packages()
    done = subprocess.run([node, script, *args], cwd=E2E, capture_output=True, text=True,
                          timeout=2 * PATIENCE_S)
    cases = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    for case in cases:
        with test.subTest(script=script, case=case["name"]):
            if case["error"]:
                test.fail(case["error"])
    test.assertEqual(done.returncode, 0, done.stderr)
    test.assertTrue(cases, done.stderr)


def tests_among(outcomes):
    """What failed or was skipped can be a whole class, too, whose tests did not run, or a part of a
    test."""
    return {getattr(test, "test_case", test) for test, _ in outcomes
            if isinstance(test, unittest.TestCase)}


def main():
    result = unittest.main(exit=False, verbosity=2).result
    for reason in dict.fromkeys(reason for _, reason in result.skipped):
        print(f"skipped: {reason}")
    n_failed = len(result.failures) + len(result.errors)
    n_skipped = len(result.skipped)
    n_other = len(tests_among(result.failures + result.errors + result.skipped))
    print(f"{result.testsRun - n_other} passed, {n_failed} failed"
          + (f", {n_skipped} skipped" if n_skipped else ""))
    sys.exit(n_failed != 0)
