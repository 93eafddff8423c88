"""The requests of clients that people use: their own headers, as captured from each.

Apollo Client 4.3, urql 6.0 and Relay's fetch under Node 24 (the latter from a page in Chrome), gql
4 with aiohttp 3.14. Hosts differ.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

import orjson

from bench.load.http import HOST

_NODE = (
    "connection: keep-alive",
    "accept-language: *",
    "sec-fetch-mode: cors",
    "user-agent: node",
    "accept-encoding: gzip, deflate",
)
_CHROME = (
    "connection: keep-alive",
    'sec-ch-ua: "Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99"',
    'sec-ch-ua-platform: "Android"',
    "sec-ch-ua-mobile: ?0",
    "user-agent: Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36",
    f"origin: http://{HOST}",
    "sec-fetch-site: same-origin",
    "sec-fetch-mode: cors",
    "sec-fetch-dest: empty",
    f"referer: http://{HOST}/pad",
    "accept-encoding: gzip, deflate, br, zstd",
    "accept-language: en-GB,en;q=0.9",
)
_AIOHTTP = ("Accept-Encoding: gzip, deflate", "User-Agent: Python/3.11 aiohttp/3.14.5")
_URQL_ACCEPT = (
    "accept: application/graphql-response+json, application/graphql+json, application/json, "
    "text/event-stream, multipart/mixed"
)


@dataclass(frozen=True)
class Client:
    """How a client sends its operations by HTTP."""

    name: str
    headers: Sequence[str]
    method: str = "POST"

    def request(self, query: str, variables: object) -> bytes:
        """Encode a request."""
        path, body, about = "/graphql", b"", ""
        if self.method == "GET":
            text = orjson.dumps(variables).decode()
            path += f"?{urlencode({'query': query, 'variables': text})}"
        else:
            body = orjson.dumps({"query": query, "variables": variables})
            about = f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
        lines = "".join(f"{line}\r\n" for line in (f"host: {HOST}", *self.headers))
        return f"{self.method} {path} HTTP/1.1\r\n{lines}{about}\r\n".encode() + body


# The least that a request must say: what the others are compared with.
PLAIN = Client("plain", ("accept: application/json",))
CLIENTS = (
    Client(
        "Apollo Client",
        ("accept: application/graphql-response+json,application/json;q=0.9", *_NODE),
    ),
    Client("urql", (_URQL_ACCEPT, *_NODE)),
    Client("Relay in Chrome", ("accept: */*", *_CHROME)),
    Client("Python gql", ("Accept: */*", *_AIOHTTP)),
    Client(
        "plain behind a proxy",
        (*PLAIN.headers, "x-forwarded-for: 203.0.113.7", "x-forwarded-proto: http"),
    ),
)
GET = Client("urql by GET", (_URQL_ACCEPT, *_NODE), "GET")
