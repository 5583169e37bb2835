"""What stands before every request: foreign sites, too much at once, and calls that make no sense."""

import asyncio
import json
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import httpx
import pytest
from callers import FILE, client_of
from gradio.state_holder import StateHolder
from serving import serve
from starlette.requests import ClientDisconnect

import app
import gradcam_core as gc
from gradcam_core.photos import MAX_BYTES
from ui.doors import Doors
from ui.housekeeping import forget_sessions, session_capacity
from ui.uploads import Allowance

NETWORK = next(iter(gc.NETWORKS))
BOTH = {"Accept": "application/json, text/event-stream"}
JSON = {"Content-Type": "application/json"}
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}


@pytest.fixture(scope="module")
def tool_server(tmp_path_factory):
    """The page with its tools."""
    with serve(tmp_path_factory.mktemp("tools"), "--mcp") as server:
        yield server


# --- foreign sites ---


def ping(url: str, **headers: str) -> int:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx.post(f"{url}/gradio_api/mcp/", json=PING, headers=BOTH | headers, timeout=120).status_code


def test_the_tools_answer_no_other_site(tool_server):
    port = tool_server.url.rsplit(":", 1)[1]
    assert ping(tool_server.url) == 200
    assert ping(tool_server.url, Host=f"localhost:{port}") == 200
    assert ping(tool_server.url, Origin=tool_server.url) == 200
    assert ping(tool_server.url, Origin="http://localhost:6274") == 200  # another program on this machine
    foreign = [
        {"Host": f"evil.example:{port}"},  # a name that was given this machine's address
        {"Host": f"evil.example:{port}", "Origin": f"http://evil.example:{port}"},
        {"Host": f"localhost.evil.example:{port}"},
        {"Host": f"evil.example:{port}", "X_Forwarded_Host": "localhost"},
        {"Origin": "https://evil.example"},
        {"Origin": "https://evil.example", "X_Forwarded_Host": "evil.example"},
        {"Origin": "http://203.0.113.5"},
        {"Origin": "http://127.0.0.1.evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
    ]
    assert [ping(tool_server.url, **headers) for headers in foreign] == [403] * len(foreign)


def test_nor_does_the_page_itself_on_a_laptop(tool_server):
    call = {"data": [None, NETWORK, 5]}
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        answer = httpx.post(f"{tool_server.url}/gradio_api/call/predict", json=call, headers=headers, timeout=120)
        assert answer.status_code == 403
        assert "evil.example" in answer.json()["detail"]
    assert httpx.get(tool_server.url, headers={"Host": "evil.example"}, timeout=120).status_code == 403


def test_names_that_are_given_to_the_page_are_its_own(tmp_path):
    with serve(tmp_path, "--mcp", "--hosts", "cam.example, friend.example") as server:
        assert ping(server.url, Host="cam.example") == 200
        assert ping(server.url, Host="cam.example", Origin="https://cam.example") == 200
        assert ping(server.url, Origin="https://friend.example") == 200
        assert ping(server.url, Host="evil.example") == 403
        assert ping(server.url, Host="cam.example", Origin="https://evil.example") == 403


def test_behind_a_proxy_any_name_is_the_pages_and_the_tools_still_look_at_the_site(tmp_path):
    with serve(tmp_path, "--mcp", GRADIO_ROOT_PATH="/cam") as server:
        assert ping(server.url, Host="cam.example", Origin="https://cam.example") == 200
        assert ping(server.url, Origin="https://cam.example", X_Forwarded_Host="cam.example") == 200
        assert ping(server.url, Origin="null") == 403  # a page in a sandbox, or a file
        assert ping(server.url, Host="cam.example", Origin="https://evil.example") == 403


def test_a_page_for_a_whole_network_answers_to_any_name(tmp_path):
    with serve(tmp_path, "--mcp", "--host", "0.0.0.0") as server:
        assert ping(server.url, Host="lab.example") == 200
        assert ping(server.url, Host="lab.example", Origin="http://lab.example") == 200
        assert ping(server.url, Host="lab.example", Origin="https://evil.example") == 403


def test_on_a_space_the_tools_answer_the_space(tmp_path):
    space = {"SYSTEM": "spaces", "SPACE_ID": "user/cam", "SPACE_HOST": "user-cam.hf.space", "GRADCAM_MCP": "1"}
    with serve(tmp_path, GRADIO_SSR_MODE="false", **space) as server:
        assert ping(server.url, Host="user-cam.hf.space") == 200
        assert ping(server.url, Origin="https://user-cam.hf.space") == 200
        assert ping(server.url, Host="user-cam.hf.space", Origin="https://evil.example") == 403


# --- too much at once ---


@pytest.mark.parametrize("path", ["mcp/", "call/predict", "queue/join", "cancel"])
def test_what_would_keep_the_parsers_busy_is_not_parsed(tool_server, path):
    texts = "]" * 5000  # in a text a bracket closes nothing
    for body, sentence in (
        (b"[" * 5000 + b"]" * 5000, "A call has up to 20000 values, in lists up to 50 deep; this one has more."),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "in lists up to 50 deep"),
        (json.dumps([texts]).encode()[:-1] + b"," + b"[" * 100 + b"]" * 101, "in lists up to 50 deep"),
        (b"[" + b"[]," * 30_000 + b"[]]", "up to 20000 values"),
        (b"[" + b"[]," * 5_000_000 + b"[]]", "A call has up to 4 MB"),
    ):
        answer = httpx.post(f"{tool_server.url}/gradio_api/{path}", content=body, headers=BOTH | JSON, timeout=120)
        assert answer.status_code == 413
        assert sentence in answer.json()["detail"]
    assert "Traceback" not in tool_server.log.read_text()


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"5")]], ids=["nothing", "5 bytes"])
def test_an_upload_ends_where_it_becomes_too_much_whatever_it_announced(headers):
    taken, said = 0, []

    async def parser(scope, receive, send):
        nonlocal taken
        while (message := await receive())["more_body"]:
            taken += len(message["body"])

    async def endless():
        return {"type": "http.request", "body": bytes(1 << 16), "more_body": True}

    async def send(message):
        said.append(message)

    doors = Doors(parser, Allowance(3 * MAX_BYTES, 60), Counter(), [], is_strict=False)
    scope = {"type": "http", "method": "POST", "path": "/gradio_api/upload", "headers": headers, "client": ("a", 5)}
    with ThreadPoolExecutor(1) as other:  # the browser's driver has a loop in this one
        other.submit(asyncio.run, doors(scope, endless, send)).result()
    assert said[0]["status"] == 413
    assert MAX_BYTES < taken + (1 << 16) <= MAX_BYTES + (1 << 17)


# --- calls that make no sense ---


def ask(url: str, endpoint: str, values: list) -> dict:
    """What a call answers that fails."""
    call = httpx.post(
        f"{url}/gradio_api/call/{endpoint}", content=json.dumps({"data": values}), headers=JSON, timeout=120
    )
    answer = httpx.get(f"{url}/gradio_api/call/{endpoint}/{call.json()['event_id']}", timeout=120).text
    assert "event: error" in answer, answer[:200]  # after heartbeats, where it took long
    return json.loads(answer.split("event: error\ndata: ", 1)[1])


def uploaded(url: str) -> str:
    files = {"files": ("a.jpg", b"not a picture")}
    return httpx.post(f"{url}/gradio_api/upload", files=files, timeout=120).json()[0]


WRONG = [
    "photo.jpg",
    "",
    "data:image/png;base64,AAAA",
    0,
    1.5,
    True,
    False,
    [],
    [None],
    ["photo.jpg"],
    {},
    {"path": "{photo}"},
    {"path": None, "meta": FILE},
    {"path": 5, "meta": FILE},
    {"path": {"path": "{photo}", "meta": FILE}, "meta": FILE},
    {"path": "{photo}\0", "meta": FILE},
    {"path": "{photo}\ud800", "meta": FILE},
    {"path": "{photo}" + "a" * 5000, "meta": FILE},
    {"path": "http://[", "meta": FILE},
    {"path": "https://a/gradio_api/file={photo}%00", "meta": FILE},
    {"path": "https://a/gradio_api/file={photo}" + "a" * 5000, "meta": FILE},
    {"path": "{photo}", "meta": 5},
    {"path": "{photo}", "meta": []},
    {"path": "{photo}", "meta": {}},
    {"path": "{photo}", "meta": {"_type": ["gradio.FileData"]}},
    {"path": "{photo}", "meta": FILE, "size": "big"},
    {"path": "{photo}", "meta": FILE, "url": 5},
    {"path": "{photo}", "meta": FILE, "orig_name": {}},
    {"path": "{photo}", "meta": FILE, "mime_type": 7},
    {"path": "{photo}", "meta": FILE, "is_stream": "perhaps"},
    {"url": "http://127.0.0.1:1/a.jpg", "meta": FILE},
    [{"path": "{photo}", "meta": FILE}],
    {"image": {"path": "{photo}", "meta": FILE}},
]


@pytest.mark.parametrize("endpoint", ["predict", "explain", "test"])
def test_whatever_is_sent_instead_of_a_photo_there_is_a_sentence(server, endpoint):
    before = server.log.read_text()
    photo = uploaded(server.url)
    others = {"predict": [NETWORK, 5], "explain": [NETWORK, "", "last", "logit", "gradcam", "", 1.0, False, "none"]}
    others |= {"explain": [*others["explain"], None], "test": [*others["explain"], 4]}
    for payload in WRONG:
        payload = json.loads(json.dumps(payload).replace("{photo}", photo))
        answer = ask(server.url, endpoint, [payload, *others[endpoint]])
        assert answer["title"] in ("This picture cannot be used", "This call cannot be answered"), payload
        assert answer["error"].endswith("."), payload
    assert "Traceback" not in server.log.read_text().removeprefix(before)


def test_a_path_instead_of_a_file_is_told_what_to_write(server):
    from gradio_client.exceptions import AppError

    client = client_of(server.url)
    with pytest.raises(AppError, match=r"image=gradio_client\.handle_file\(path\)"):
        client.predict(image="photo.jpg", api_name="/predict")


def test_no_file_and_no_address_can_be_slipped_into_another_argument(server):
    photo = {"path": uploaded(server.url), "meta": FILE}
    for slipped in (photo, [photo], {"a": photo}, {"path": "http://127.0.0.1:1/a.jpg", "meta": FILE}):
        assert ask(server.url, "predict", [photo, slipped, 5])["error"] == "A file is not what network takes."
        assert ask(server.url, "predict", [photo, NETWORK, slipped])["error"] == "A file is not what top takes."


def test_arguments_that_are_missing_are_counted(server):
    assert ask(server.url, "predict", [])["error"] == "This call has 0 of its 3 arguments."
    assert ask(server.url, "predict", [None, NETWORK])["error"] == "This call has 2 of its 3 arguments."


def test_what_a_refusal_quotes_is_cut_short(server):
    photo = {"path": uploaded(server.url), "meta": FILE}
    answer = ask(server.url, "predict", [photo, "x" * 50_000, 5])
    assert len(answer["error"]) < 300


def test_requests_that_no_page_would_make_end_in_a_sentence(server):
    before = server.log.read_text()
    bodies = [
        {"data": []},
        {"data": [float("nan")]},
        {"fn_index": 99_999, "data": [], "session_hash": "a"},
        {"fn_index": -1, "data": [], "session_hash": "a" * 5000},
        {"fn_index": 0, "data": [], "session_hash": "a", "trigger_id": 99_999, "event_data": 5},
    ]
    for path in ("call/nothing", "call/v2/predict", "call/v2/nothing", "queue/join", "run/nothing", "cancel", "reset"):
        for body in bodies:
            answer = httpx.post(f"{server.url}/gradio_api/{path}", content=json.dumps(body), headers=JSON, timeout=120)
            assert answer.status_code < 500 or answer.json()["error"], (path, body)
            assert answer.text != "Internal Server Error"
    with httpx.stream("GET", f"{server.url}/gradio_api/call/predict/nobody", timeout=120) as answer:
        assert answer.status_code == 200
    assert "Traceback" not in server.log.read_text().removeprefix(before)


# --- visitors who have gone ---


def test_the_state_of_those_who_have_gone_is_freed_and_of_those_who_look_on_it_is_kept():
    holder = StateHolder()
    times = {"gone": 20, "here": 20, "asked lately": 5}
    holder.session_data.update(dict.fromkeys(times, "state"))
    holder.time_last_used.update({who: datetime.now() - timedelta(seconds=ago) for who, ago in times.items()})
    forget_sessions(holder, Counter({"here": 1}), seconds=10)
    assert set(holder.session_data) == set(holder.time_last_used) == {"here", "asked lately"}


def test_there_is_room_for_some_visitors_and_not_for_ten_thousand_on_a_small_machine(monkeypatch):
    monkeypatch.setattr("ui.housekeeping._memory", lambda: 16e9)
    assert session_capacity() == 800
    monkeypatch.setattr("ui.housekeeping._memory", lambda: 1e8)
    assert session_capacity() == 50


def test_a_visitor_is_present_for_as_long_as_a_page_of_theirs_is_open():
    present, seen = Counter(), []

    async def page(scope, receive, send):
        seen.append(dict(present))
        if scope["then"]:  # a second page of the same visitor, or another one's
            await doors({**scope, **scope["then"]}, receive, send)
            seen.append(dict(present))
        else:
            raise ClientDisconnect

    doors = Doors(page, Allowance(1, 1), present, [], is_strict=False)
    second = {"path": "/gradio_api/heartbeat/b", "then": {"path": "/gradio_api/heartbeat/a", "then": None}}
    scope = {"type": "http", "method": "GET", "path": "/gradio_api/heartbeat/a", "headers": [], "then": second}
    with ThreadPoolExecutor(1) as other:  # the browser's driver has a loop in this one
        other.submit(asyncio.run, doors(scope, None, None)).result()
    assert seen == [{"a": 1}, {"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 1}, {"a": 1}]
    assert present == {}


def test_the_page_keeps_the_states_of_no_more_visitors_than_there_is_room_for(monkeypatch, tmp_path):
    monkeypatch.setattr("ui.housekeeping._memory", lambda: 16e9)
    monkeypatch.setattr(sys, "argv", ["app.py"])
    assert app._guards(app.arguments(), tmp_path, None)["state_session_capacity"] == 800
