#!/usr/bin/env python3
"""The daemon as a service: sockets, systemd's signs, reload, the end in order."""
import os
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
import unittest

import client
from client import TINY_MODEL, chat_body, run_once, wait_until

CHAT = "/v1/chat/completions"


class Folder(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name, text=None, mode=0o600):
        path = os.path.join(self.folder, name)
        if text is not None:
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(path, mode)
        return path


class Sockets(Folder):
    def test_a_unix_socket(self):
        path = self.path("http.sock")
        with client.Daemon("--listen", "unix:" + path, "--listen-mode", "0600") as daemon:
            self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
            self.assertEqual(daemon.chat("Hello").status, 200)
            # No web page can reach it, so any name is good.
            self.assertEqual(daemon.get("/health", {"Host": "chat.example"}).status, 200)
            stream = daemon.open_stream(CHAT, chat_body("Hi", max_tokens=1000000))
            next(iter(stream))
            stream.close()
            wait_until(lambda: daemon.metrics()["sinkd_generations_open"] == 0, "it has stopped")
            status, _, _ = run_once("--healthcheck", "--listen", "unix:" + path)
            self.assertEqual(status, 0)
        self.assertFalse(os.path.exists(path))

    def test_a_socket_file_that_was_left_is_replaced_and_one_in_use_is_not(self):
        path = self.path("http.sock")
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(path)
        with client.Daemon("--listen", "unix:" + path):
            status, _, stderr = run_once("--model", TINY_MODEL, "--listen", "unix:" + path)
            self.assertGreater(status, 0)
            self.assertIn(path, stderr.splitlines()[-1])
            self.assertTrue(os.path.exists(path))
        plain = self.path("plain", "do not delete me")
        self.assertGreater(run_once("--model", TINY_MODEL, "--listen", "unix:" + plain)[0], 0)
        self.assertTrue(os.path.exists(plain))

    def test_a_path_that_is_too_long_gets_a_sentence(self):
        status, _, stderr = run_once("--model", TINY_MODEL, "--listen", "unix:/tmp/" + "x" * 200)
        self.assertGreater(status, 0)
        self.assertIn("107", stderr.splitlines()[-1])

    def test_a_socket_that_was_opened_before_survives_a_restart(self):
        """As systemd does it: clients wait in the backlog while nobody serves."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        # $$ is known only in the child, so the shell sets LISTEN_PID.
        wrapper = ["sh", "-c", 'exec env LISTEN_FDS=1 LISTEN_PID=$$ "$@" 3<&"$0"',
                   str(listener.fileno())]

        def start():
            return client.Daemon("--port", "1", wrapper=wrapper, pass_fds=[listener.fileno()])

        port = listener.getsockname()[1]
        daemon = start()
        self.assertEqual(daemon.port, port)
        self.assertEqual(daemon.get("/health").status, 200)
        self.assertEqual(daemon.stop(), 0)

        waiting = socket.create_connection(("127.0.0.1", port), client.PATIENCE_S)
        waiting.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        daemon = start()
        self.assertIn(b"200 OK", waiting.recv(4096))
        waiting.close()
        self.assertEqual(daemon.stop(), 0)

    def test_what_was_handed_over_must_be_a_listening_socket(self):
        done = subprocess.run(
            ["sh", "-c", 'exec env LISTEN_FDS=1 LISTEN_PID=$$ "$0" --model "$1" 3</dev/null',
             client.SINKD, TINY_MODEL], cwd=client.ROOT, capture_output=True, text=True)
        self.assertEqual(done.returncode, 2)
        self.assertIn("not a listening socket", done.stderr)

    @unittest.skipUnless(shutil.which("systemd-socket-activate"), "no systemd-socket-activate")
    def test_systemd_socket_activate(self):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        activator = subprocess.Popen(
            ["systemd-socket-activate", "--listen", f"127.0.0.1:{port}", client.SINKD, "--model",
             TINY_MODEL], cwd=client.ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def ask():
            try:
                with socket.create_connection(("127.0.0.1", port), client.PATIENCE_S) as sock:
                    sock.sendall(b"GET /health HTTP/1.0\r\n\r\n")
                    return b"200 OK" in sock.recv(4096)
            except ConnectionRefusedError:
                return False

        wait_until(ask, "the first client starts the daemon")
        activator.send_signal(signal.SIGTERM)  # by now it is sinkd
        self.assertEqual(activator.wait(client.PATIENCE_S), 0)


class LastRequests(Folder):
    """Who was let in before the end is not turned away without a word."""

    def is_listening(self, daemon):
        """Without a connection, for which the end would wait."""
        with open("/proc/net/tcp", encoding="utf-8") as file:
            sockets = [line.split()[1:4] for line in file]
        return [f"0100007F:{daemon.port:04X}", "00000000:0000", "0A"] in sockets

    BODY = client.json.dumps(chat_body("Hi", max_tokens=4)).encode()
    REQUEST = (b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
               % (CHAT.encode(), len(BODY)) + BODY)

    def test_what_was_sent_before_the_end_is_answered(self):
        daemon = client.Daemon()
        connection, fresh = daemon.connect(), daemon.dial()
        connection.request("GET", "/health")
        self.assertEqual(client.Reply(connection.getresponse()).status, 200)
        used = connection.sock
        # Besides these two, the one that asks.
        wait_until(lambda: daemon.metrics()["sinkd_connections"] == 3, "it has taken both")
        daemon.process.send_signal(signal.SIGSTOP)
        used.sendall(self.REQUEST)
        fresh.sendall(self.REQUEST)
        daemon.process.send_signal(signal.SIGTERM)
        daemon.process.send_signal(signal.SIGCONT)
        for sock in (used, fresh):
            self.assertIn(b"200 OK", sock.recv(4096))
            sock.close()
        self.assertEqual(daemon.wait(), 0)

    def ask_late(self, n_before):
        """What comes back when a request is sent to its end after nobody else is let in."""
        daemon = client.Daemon()
        sock = daemon.dial()
        sock.sendall(self.REQUEST[:n_before])
        wait_until(lambda: daemon.metrics()["sinkd_connections"] == 2, "it is let in")
        daemon.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not self.is_listening(daemon), "no other is")
        try:
            sock.sendall(self.REQUEST[n_before:])
            reply = sock.recv(4096)
        except OSError:
            reply = b""
        sock.close()
        self.assertEqual(daemon.wait(), 0)
        return reply

    def test_who_was_let_in_just_before_may_still_ask(self):
        for n_before in (0, 10, len(self.REQUEST) - 10):
            # For a moment only, which a busy machine may miss.
            replies = (self.ask_late(n_before) for _ in range(20))
            self.assertTrue(any(b"200 OK" in reply for reply in replies), n_before)

    def test_who_says_nothing_does_not_hold_up_the_end(self):
        daemon = client.Daemon()
        silent = [daemon.dial() for _ in range(3)]
        silent[0].sendall(b"POST ")
        wait_until(lambda: daemon.metrics()["sinkd_connections"] == 4, "it has taken them")
        self.assertEqual(daemon.stop(), 0)
        for sock in silent:
            sock.close()


class Notify(Folder):
    def listen(self):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(sock.close)
        sock.bind(self.path("notify"))
        sock.settimeout(client.PATIENCE_S)
        return sock

    def test_signs_of_life_stop_when_the_engine_does(self):
        notify = self.listen()
        # Half of it is the time between two signs.
        with client.Daemon(env={"NOTIFY_SOCKET": self.path("notify"),
                                "WATCHDOG_USEC": "100000"}) as daemon:
            messages = b""
            while messages.count(b"WATCHDOG=1") < 3:
                messages += notify.recv(4096) + b"\n"
            self.assertIn(b"READY=1", messages)
            self.assertIn(b"STATUS=Serving model: 0 answers", messages)
            daemon.process.send_signal(signal.SIGSTOP)
            notify.setblocking(False)
            try:
                while True:
                    notify.recv(4096)
            except BlockingIOError:
                pass
            time.sleep(0.3)
            with self.assertRaises(BlockingIOError):
                notify.recv(4096)
            daemon.process.send_signal(signal.SIGCONT)
            notify.settimeout(client.PATIENCE_S)
            while b"WATCHDOG=1" not in notify.recv(4096):
                pass

    def test_a_watchdog_for_another_process_is_not_ours(self):
        notify = self.listen()
        with client.Daemon(env={"NOTIFY_SOCKET": self.path("notify"), "WATCHDOG_USEC": "1000",
                                "WATCHDOG_PID": "1"}) as daemon:
            messages = notify.recv(4096)
            self.assertEqual(daemon.get("/health").status, 200)
            daemon.process.send_signal(signal.SIGTERM)
            while b"STOPPING=1" not in messages:
                messages += notify.recv(4096)
            self.assertNotIn(b"WATCHDOG", messages)


class Keys(Folder):
    def test_hangup_reads_keys_and_limits_again(self):
        keys = self.path("keys", "alice: alice-first-key\nbob: bobs-first-key\n")
        config = self.path("sinkd.ini", f"api-key-file = {keys}\nmax-body = 1M\n")
        with client.Daemon("--config", config) as daemon:
            def ask(key, **fields):
                return daemon.post(CHAT, chat_body("Hi", **fields),
                                   {"Authorization": f"Bearer {key}"}).status

            self.assertEqual(ask("alice-first-key"), 200)
            self.assertEqual(ask("alice-second-key"), 401)
            self.path("keys", "alice: alice-second-key\n")
            self.path("sinkd.ini", f"api-key-file = {keys}\nmax-body = 1K\nwindow = 64\n")
            daemon.process.send_signal(signal.SIGHUP)
            wait_until(lambda: ask("alice-second-key") == 200, "the new key is known")
            self.assertEqual(ask("alice-first-key"), 401)
            self.assertEqual(ask("bobs-first-key"), 401)
            self.assertEqual(ask("alice-second-key", user="x" * 2000), 413)
            wait_until(lambda: any("window changes with a restart" in line for line in daemon.log),
                       "it is said what needs a restart")

            # One file is good and the other is not: neither counts.
            def n_refused():
                return sum("cannot read the configuration again" in line for line in daemon.log)

            self.path("keys", "short\n")
            self.path("sinkd.ini", f"api-key-file = {keys}\nmax-body = 1M\n")
            daemon.process.send_signal(signal.SIGHUP)
            wait_until(lambda: n_refused() == 1, "the fault is named")
            self.assertEqual(ask("alice-second-key"), 200)
            self.assertEqual(ask("alice-second-key", user="x" * 2000), 413)
            self.path("keys", "alice: alice-third-key\n")
            self.path("sinkd.ini", f"api-key-file = {keys}\nmax-body = 1M\n"
                      f"allowed-host = {'a,' * 65}\n")
            daemon.process.send_signal(signal.SIGHUP)
            wait_until(lambda: n_refused() == 2, "the other fault is named")
            self.assertEqual(ask("alice-third-key"), 401)
            self.assertEqual(ask("alice-second-key", user="x" * 2000), 413)
            log = "".join(daemon.log)
        for secret in ("alice-first-key", "alice-second-key", "short"):
            self.assertNotIn(secret, log)

    def test_one_key_does_not_take_all(self):
        keys = self.path("keys", "alice: alices-own-key\nbob: bobs-own-key\n")
        with client.Daemon("--api-key-file", keys, "--max-per-key", "2") as daemon:
            alice, bob = ({"Authorization": f"Bearer {key}"}
                          for key in ("alices-own-key", "bobs-own-key"))
            endless = chat_body("Hi", max_tokens=1 << 29)
            connections = [daemon.connect() for _ in range(2)]
            for connection in connections:
                connection.request("POST", CHAT, client.json.dumps(endless), alice)
            
            def active():
                text = daemon.get("/metrics", bob).body.decode()
                return text.split("\nsinkd_generations_open ")[1].split()[0]

            wait_until(lambda: active() == "2", "both are answered")
            reply = daemon.post(CHAT, chat_body("Hi"), alice)
            self.assertEqual(reply.status, 429)
            self.assertEqual(reply.json["error"]["code"], "rate_limit_exceeded")
            self.assertTrue(reply.headers["Retry-After"])
            self.assertEqual(daemon.post(CHAT, chat_body("Hi"), bob).status, 200)
            connections[0].close()
            wait_until(lambda: active() == "1", "one has ended")
            self.assertEqual(daemon.post(CHAT, chat_body("Hi"), alice).status, 200)
            connections[1].close()

    def test_a_credential_of_systemd_is_a_key_file(self):
        self.path("api-keys", "a-key-of-systemd\n")
        with client.Daemon(env={"CREDENTIALS_DIRECTORY": self.folder}) as daemon:
            self.assertEqual(daemon.get("/v1/models").status, 401)
            for headers in ({"Authorization": "Bearer a-key-of-systemd"},
                            {"X-Api-Key": "a-key-of-systemd"}, {"api-key": "a-key-of-systemd"},
                            {"authorization": "bearer a-key-of-systemd"}):
                self.assertEqual(daemon.get("/v1/models", headers).status, 200, headers)
            # SillyTavern sends this when it has no key.
            reply = daemon.get("/v1/models", {"Authorization": "Bearer "})
            self.assertEqual(reply.status, 401)
            self.assertEqual(reply.headers["WWW-Authenticate"], "Bearer")
            self.assertEqual(daemon.get("/health").status, 200)


class End(Folder):
    def test_the_end_is_announced_before_it_comes(self):
        daemon = client.Daemon("--drain-delay", "600")
        self.assertEqual(daemon.get("/readyz").status, 200)
        daemon.process.send_signal(signal.SIGTERM)
        wait_until(lambda: daemon.get("/readyz").status == 503, "/readyz says so")
        self.assertEqual(daemon.get("/livez").status, 200)
        self.assertEqual(daemon.chat("Still here?").status, 200)
        status, _, stderr = run_once("--healthcheck", "--port", str(daemon.port))
        self.assertEqual(status, 1)
        self.assertIn("503", stderr)
        daemon.process.send_signal(signal.SIGTERM)
        self.assertEqual(daemon.wait(), 0)

    def test_healthcheck(self):
        with client.Daemon() as daemon:
            self.assertEqual(run_once("--healthcheck", "--port", str(daemon.port))[0], 0)
            self.assertEqual(run_once("--healthcheck", "--host", "0.0.0.0",
                                      env={"SINKD_PORT": str(daemon.port)})[0], 0)
            port = str(daemon.port)
        status, _, stderr = run_once("--healthcheck", "--port", port)
        self.assertEqual(status, 1)
        self.assertIn("nobody answers", stderr)


if __name__ == "__main__":
    client.main()
