"""Pages of other sites, names that aren't ours, and requests that only a page would send."""

from collections.abc import Callable, Iterator

import httpx2 as httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from tests.support.orders import CREATE_ORDER, soup_input
from tests.support.screen import open_screen
from tests.support.server import ServerProcess

LISTED = "https://pos.example.com"
# Of Capacitor, Ionic, Tauri and Electron: on tablets and desktops, and as Windows has them.
APPS = [
    "capacitor://localhost",
    "ionic://localhost",
    "tauri://localhost",
    "http://tauri.localhost",
    "https://tauri.localhost",
    "app://bistro",
]
LIST = {"query": "{ orders { nodes { id } } }"}
CREATE = {"query": CREATE_ORDER, "variables": {"input": soup_input()}}


@pytest.fixture(scope="module")
def listing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that lists a name and an origin."""
    folder = tmp_path_factory.mktemp("listing")
    with ServerProcess(
        folder,
        allowed_origins=f"{LISTED}, http://127.0.0.1:3000, {', '.join(APPS)}",
        allowed_hosts="bistro.example.com",
    ) as server:
        yield server


def refusal(answer: httpx.Response) -> tuple[int, str]:
    (error,) = answer.json()["errors"]
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["x-request-id"]
    return answer.status_code, error["extensions"]["code"]


OTHERS = [
    "https://evil.example",
    "http://pos.example.com",
    "https://pos.example.com.evil.example",
    "https://pos.example.com:444",
    "https://127.0.0.1",
    "http://127.0.0.1",
    "capacitor://localhost.evil.example",
    "capacitor://localhost:8080",
    "capacitor://localhost/",
    "http://capacitor.localhost",
    "tauri://tauri.localhost",
    "app://",
    "file://",
    "null",
    "",
]


@pytest.mark.parametrize("origin", OTHERS)
async def test_pages_of_other_origins_are_refused(listing: ServerProcess, origin: str) -> None:
    headers = {"origin": origin}
    for answer in (
        listing.http.post("/graphql", json=LIST, headers=headers),
        listing.http.post("/graphql", json=CREATE, headers=headers),
        listing.http.get("/graphql", params=LIST, headers=headers),
        listing.http.options(
            "/graphql", headers={**headers, "access-control-request-method": "POST"}
        ),
    ):
        assert refusal(answer) == (403, "ORIGIN_NOT_ALLOWED")
    with pytest.raises(InvalidStatus) as refused:
        async with connect(listing.socket_url, origin=Origin(origin)):
            pass
    assert refused.value.response.status_code == 403
    assert b"ORIGIN_NOT_ALLOWED" in refused.value.response.body


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_pages_of_the_same_origin_are_served(listing: ServerProcess, host: str) -> None:
    own = f"{host}:{listing.port}"
    headers = {"host": own, "origin": f"http://{own}"}
    assert listing.http.post("/graphql", json=LIST, headers=headers).json()["data"]
    assert listing.http.get("/graphql", params=LIST, headers=headers).json()["data"]
    url = f"ws://{own}/graphql"
    async with open_screen(url, origin=Origin(f"http://{own}")) as screen:
        await screen.settle()


def preflight(server: ServerProcess, origin: str = LISTED, **asked: str) -> httpx.Response:
    headers = {"origin": origin, "access-control-request-method": "POST"}
    for name, text in asked.items():
        headers[f"access-control-request-{name.replace('_', '-')}"] = text
    encoded = {name.encode(): text.encode("latin-1") for name, text in headers.items()}
    return server.http.options("/graphql", headers=encoded)


@pytest.mark.parametrize("written", [str, str.upper])
@pytest.mark.parametrize("listed", [LISTED, *APPS])
async def test_pages_of_listed_origins_are_served(
    listing: ServerProcess, listed: str, written: Callable[[str], str]
) -> None:
    origin = written(listed)
    asked = preflight(listing, origin, headers="authorization,content-type")
    assert asked.status_code == 200
    assert asked.headers["access-control-allow-origin"] == origin
    assert "authorization" in asked.headers["access-control-allow-headers"].lower()
    for body in (LIST, CREATE):  # as the fast lane would answer them
        answer = listing.http.post("/graphql", json=body, headers={"origin": origin})
        assert answer.json()["data"]
        assert answer.headers["access-control-allow-origin"] == origin
        assert "access-control-allow-credentials" not in answer.headers
        assert "x-request-id" in answer.headers["access-control-expose-headers"].lower()
        assert "Origin" in answer.headers["vary"]
    async with open_screen(listing.socket_url, origin=Origin(origin)) as screen:
        await screen.settle()


# What Apollo, Sentry, OpenTelemetry and load balancers add to a request.
ADDED = (
    "apollo-require-preflight, apollographql-client-name, apollographql-client-version, "
    "authorization, baggage, content-type, sentry-trace, traceparent, tracestate, "
    "x-apollo-operation-name, x-request-id"
)


def test_pages_may_send_the_headers_that_their_clients_add(listing: ServerProcess) -> None:
    for asked in (ADDED, ADDED.replace(" ", ""), ADDED.title(), "x-of-tomorrow", ""):
        answer = preflight(listing, headers=asked)
        assert answer.status_code == 200, asked
        allowed = answer.headers["access-control-allow-headers"].lower().split(",")
        assert [name.strip() for name in allowed] == asked.lower().replace(" ", "").split(",")
        assert "Access-Control-Request-Headers" in answer.headers["vary"], "caches must tell apart"
        assert "access-control-allow-private-network" not in answer.headers


@pytest.mark.parametrize(
    "asked",
    [
        ",".join(f"x-{number}" for number in range(33)),
        "x" * 1025,
        "authorization, x-forwarded-for",
        "X-Real-IP",
        "forwarded",
        "a b",
        "x-\xe9",
        "*, (",
    ],
)
def test_preflight_that_asks_for_too_much_is_refused(listing: ServerProcess, asked: str) -> None:
    assert refusal(preflight(listing, headers=asked)) == (400, "BAD_REQUEST")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "post", "x" * 1000])
def test_preflight_of_another_method_is_refused(listing: ServerProcess, method: str) -> None:
    answer = preflight(listing, method=method)
    assert refusal(answer) == (400, "BAD_REQUEST")
    assert len(answer.text) < 200


def test_page_of_the_internet_may_use_a_service_in_the_restaurant(listing: ServerProcess) -> None:
    allowed = preflight(listing, private_network="true")
    assert allowed.headers["access-control-allow-private-network"] == "true"
    refused = preflight(listing, "https://evil.example", private_network="true")
    assert refusal(refused) == (403, "ORIGIN_NOT_ALLOWED")
    assert "access-control-allow-private-network" not in refused.headers


def test_preflights_leave_nothing_behind(listing: ServerProcess) -> None:
    """Whoever knows a listed origin may send any number of them, without a token."""

    def send(numbers: range) -> None:
        for number in numbers:
            assert preflight(listing, headers=f"x-{number:0>1000}").status_code == 200
            assert preflight(listing, method=f"{number:0>1000}").status_code == 400

    send(range(200))
    log, before = listing.log, listing.process.memory_info().rss
    send(range(200, 2200))
    assert listing.log == log
    assert listing.process.memory_info().rss - before < 3 * 2**20, "4 MB were sent"


def test_what_a_page_of_another_site_embeds_is_refused(listing: ServerProcess) -> None:
    """Images and frames come without an origin."""
    for destination in ("image", "iframe", "script", "empty"):
        for site in ("cross-site", "same-site"):
            headers = {"sec-fetch-site": site, "sec-fetch-dest": destination}
            answer = listing.http.get("/graphql", params=LIST, headers=headers)
            assert refusal(answer) == (403, "ORIGIN_NOT_ALLOWED")
            for accept in ("application/json", "application/graphql-response+json"):
                answer = listing.http.post(
                    "/graphql", json=LIST, headers=headers | {"accept": accept}
                )
                assert refusal(answer) == (403, "ORIGIN_NOT_ALLOWED")
    link = {"sec-fetch-site": "cross-site", "sec-fetch-dest": "document", "accept": "text/html"}
    assert listing.http.get("/graphql", headers=link).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example:8000", "192.0.2.7:8000"],
)
async def test_names_that_are_not_ours_are_refused(listing: ServerProcess, host: str) -> None:
    """DNS rebinding: to the browser, the page and the service then have the same origin."""
    headers = {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}
    for answer in (
        listing.http.post("/graphql", json=LIST, headers=headers),
        listing.http.post("/graphql", json=CREATE, headers=headers),
        listing.http.get("/graphql", headers={**headers, "accept": "text/html"}),
        listing.http.get("/", headers=headers),
    ):
        assert refusal(answer) == (403, "HOST_NOT_ALLOWED")
    with pytest.raises(InvalidStatus) as refused:
        async with connect(
            f"ws://{host}/graphql",
            host="127.0.0.1",
            port=listing.port,
            origin=Origin(f"http://{host}"),
        ):
            pass
    assert refused.value.response.status_code == 403
    assert b"HOST_NOT_ALLOWED" in refused.value.response.body


def test_listed_names_are_ours(listing: ServerProcess) -> None:
    for host in ("bistro.example.com", "Bistro.example.com:443", "[::1]:8000"):
        answer = listing.http.post("/graphql", json=LIST, headers={"host": host})
        assert answer.status_code == 200


def test_probes_may_use_any_name(listing: ServerProcess) -> None:
    for path in ("/healthz", "/readyz"):
        assert listing.http.get(path, headers={"host": "10.1.2.3:8000"}).status_code == 200


def test_behind_a_proxy_the_page_s_scheme_counts(listing: ServerProcess) -> None:
    host = {"host": "bistro.example.com", "origin": "https://bistro.example.com"}
    assert refusal(listing.http.post("/graphql", json=LIST, headers=host))[0] == 403
    proxied = {**host, "x-forwarded-proto": "https", "x-forwarded-for": "127.0.0.1"}
    assert listing.http.post("/graphql", json=LIST, headers=proxied).status_code == 200


def test_open_server_does_not_serve_others_through_a_proxy(listing: ServerProcess) -> None:
    """No token has been created: a proxy on this machine must not open it to the world."""
    headers = {"x-forwarded-for": "203.0.113.9"}
    answer = listing.http.post("/graphql", json=LIST, headers=headers)
    assert refusal(answer) == (401, "UNAUTHENTICATED")
    assert "No token has been created" in answer.text


SOUP = '{table: "1", items: [{name: "Soup", quantity: 1}]}'
LITERAL = f"mutation {{ createOrder(input: {SOUP}) {{ order {{ id }} }} }}"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=x"


@pytest.mark.parametrize("content_type", [FORM, MULTIPART, "text/plain", "application/graphql", ""])
def test_mutations_only_as_json_by_post(listing: ServerProcess, content_type: str) -> None:
    body = listing.http.build_request("POST", "/graphql", json=CREATE).read()
    headers = {"content-type": content_type}
    before = _count(listing)
    answer = listing.http.post("/graphql", content=body, headers=headers)
    assert answer.status_code in (400, 415)
    operations = b'--x\r\nContent-Disposition: form-data; name="operations"\r\n\r\n' + body
    whole = operations + b"\r\n--x--\r\n"
    assert listing.http.post("/graphql", content=whole, headers=headers).status_code in (400, 415)
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        answer = listing.http.request(method, "/graphql", params={"query": LITERAL})
        assert answer.status_code in (400, 405), method
    assert _count(listing) == before


def _count(server: ServerProcess) -> int:
    return len(server.data("{ orders(first: 200) { nodes { id } } }")["orders"]["nodes"])
