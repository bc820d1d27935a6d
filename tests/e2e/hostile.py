"""What nobody should send, as bytes: each with what may come back. Data for the tests of HTTP.

Every `{smuggled}` is the path of a request that must never be answered: whoever reads the framing in
another way than the server in front of it would answer it.
"""

POST = "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
NEXT = "GET {smuggled} HTTP/1.1\r\nHost: localhost\r\n\r\n"
GET = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"

# (name, bytes, statuses of the daemon itself; () for closed without an answer)
REFUSED = [
    ("CL and TE", POST + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + NEXT,
     (400,)),
    ("TE and CL", POST + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n" + NEXT,
     (400,)),
    ("unknown TE", POST + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + NEXT, (400,)),
    ("two codings", POST + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + NEXT, (400,)),
    ("chunked twice", POST + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" + NEXT, (400,)),
    ("two TE", POST + "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n" + NEXT,
     (400,)),
    ("identity", POST + "Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n" + NEXT, (400,)),
    ("quoted TE", POST + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n" + NEXT, (400,)),
    ("space before colon", POST + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" + NEXT, (400,)),
    ("control in TE", POST + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n" + NEXT, (400,)),
    ("two lengths", POST + "Content-Length: 0\r\nContent-Length: 40\r\n\r\n" + NEXT, (400,)),
    ("length twice", POST + "Content-Length: 0\r\nContent-Length: 0\r\n\r\n" + NEXT, (400,)),
    ("list of lengths", POST + "Content-Length: 5, 5\r\n\r\nhello" + NEXT, (400,)),
    ("plus sign", POST + "Content-Length: +5\r\n\r\nhello" + NEXT, (400,)),
    ("minus sign", POST + "Content-Length: -5\r\n\r\nhello" + NEXT, (400,)),
    ("hexadecimal", POST + "Content-Length: 0x5\r\n\r\nhello" + NEXT, (400,)),
    ("empty length", POST + "Content-Length:\r\n\r\n" + NEXT, (400,)),
    ("length beyond 64 bits", POST + "Content-Length: 18446744073709551620\r\n\r\n" + NEXT,
     (400, 413)),
    ("length beyond the limit", POST + "Content-Length: 17000000000\r\n\r\n" + NEXT, (413,)),
    ("chunk beyond 64 bits", POST + "Transfer-Encoding: chunked\r\n\r\n1" + "0" * 20 + "\r\n" + NEXT,
     (400, 413)),
    ("negative chunk", POST + "Transfer-Encoding: chunked\r\n\r\n-1\r\n" + NEXT, (400,)),
    ("no chunk size", POST + "Transfer-Encoding: chunked\r\n\r\nxyz\r\n" + NEXT, (400,)),
    # libmicrohttpd ends a value at a NUL and leaves a nameless header out; proxies refuse both.
    ("NUL in a value", GET + "X-A: a\0b\r\n\r\n" + NEXT, (400, 200)),
    ("NUL in a length", POST + "Content-Length: 0\0 40\r\nConnection: close\r\n\r\n" + NEXT, (400,)),
    ("control in a value", GET + "X-A: a\x01b\r\n\r\n" + NEXT, (400,)),
    ("NUL in a name", GET + "X\0A: b\r\n\r\n" + NEXT, (400,)),
    ("space in a name", GET + "X A: b\r\n\r\n" + NEXT, (400,)),
    ("no name", GET + ": b\r\n\r\n" + NEXT, (400, 200)),
    ("no host", "GET /health HTTP/1.1\r\n\r\n" + NEXT, (400,)),
    ("two hosts", GET + "Host: localhost\r\n\r\n" + NEXT, (400,)),
    ("foreign host", "GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n" + NEXT, (403,)),
    ("foreign origin", POST + "Origin: https://evil.example\r\nContent-Length: 2\r\n\r\n{}" + NEXT,
     (403,)),
    ("absolute form", "GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\n\r\n" + NEXT,
     (400, 403)),
    ("no path", "GET health HTTP/1.1\r\nHost: localhost\r\n\r\n" + NEXT, (400,)),
    ("CONNECT", "CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n" + NEXT, (400, 405)),
    ("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (505,)),
    ("HTTP/9.9", "GET /health HTTP/9.9\r\nHost: localhost\r\n\r\n" + NEXT, (505,)),
    ("long header", GET + "X-A: " + "a" * 100000 + "\r\n\r\n" + NEXT, (431,)),
    ("many headers", GET + "".join(f"X-{i}: a\r\n" for i in range(1000)) + "\r\n" + NEXT, (431,)),
    ("long path", "GET /" + "a" * 100000 + " HTTP/1.1\r\nHost: localhost\r\n\r\n" + NEXT, (414,)),
    ("not HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n" + NEXT, (400, ())),
]

# Refused for what they ask, on a connection that stays sound: (name, bytes, status)
WRONG = [
    ("HEAD of a stream", "HEAD /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    ("TRACE", "TRACE /health HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
    ("a file", "GET /..%2f..%2fetc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    ("a file, plainly", "GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
    ("NUL in the path", "GET /health%00.html HTTP/1.1\r\nHost: localhost\r\n\r\n", None),
]
