"""The JSON API against the real service: what it does, and what it refuses."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
from typing import Any

import aiohttp
import pytest
from PIL import Image

from appliance.events import WorkerChanged
from appliance.fakes import ANSWER
from tests.web.api.conftest import Luna

pytestmark = pytest.mark.asyncio(loop_scope="module")

V1 = "/api/v1"
Client = aiohttp.ClientSession


async def ok(client: Client, method: str, path: str, status: int = 200, **more: Any) -> Any:
    """Make a request that must succeed; return its JSON."""
    async with client.request(method, V1 + path, **more) as answer:
        found = await answer.text()
        assert answer.status == status, found
        return json.loads(found)


async def newest(client: Client, title: str) -> dict[str, Any]:
    """Return the newest conversation when it is on the disk: that is after its turn's end."""
    async with asyncio.timeout(20):
        while True:
            rows = (await ok(client, "GET", "/conversations"))["conversations"]
            if rows and rows[0]["title"] == title:
                row: dict[str, Any] = rows[0]
                return row
            await asyncio.sleep(0.02)


async def refused(client: Client, method: str, path: str, status: int, **more: Any) -> str:
    """Make a request that must be refused; return why."""
    async with client.request(method, V1 + path, **more) as answer:
        found = await answer.text()
        assert answer.status == status, found
        message: str = json.loads(found)["error"]["message"]
        return message


# --- asking ---------------------------------------------------------------------------------


async def test_ask_and_see_the_turn(client: Client) -> None:
    turn = await ok(client, "POST", "/ask", json={"text": "What is the capital of France?"})
    assert turn["answer"] == ANSWER
    assert turn["outcome"] == "answered"
    status = await ok(client, "GET", "/status")
    assert status["snapshot"]["last_turn"]["answer"] == ANSWER
    assert status["health"]["workers"]["llm"]["status"] == "ready"
    assert (await newest(client, "What is the capital of France?"))["current"] is True


async def test_ask_as_a_stream(client: Client) -> None:
    async with client.post(f"{V1}/ask", json={"text": "What is it?", "stream": True}) as answer:
        assert answer.content_type == "text/event-stream"
        kinds, text = [], ""
        for block in (await answer.text()).strip().split("\n\n"):
            kind, data = block.split("\n")
            kinds.append(kind.removeprefix("event: "))
            event = json.loads(data.removeprefix("data: "))
            text += event["text"] if kinds[-1] == "content" else ""
    assert kinds[0] == "turn_started"
    assert kinds[-1] == "turn_ended"
    assert {"agent_switch", "content", "complete"} <= set(kinds)
    assert text.strip() == ANSWER


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 415),
        (b"{", 400),
        (b"[]", 422),
        (b'{"text": ""}', 422),
        (b'{"text": "  \\u0000 "}', 422),
        (b'{"text": "a", "more": 1}', 422),
        (b'{"text": 1}', 422),
        (b'{"text": "a", "speak": "yes"}', 422),
        (b'{"text": "' + b"x" * 16_001 + b'"}', 422),
        (b'{"text": "' + b"x" * 70_000 + b'"}', 413),
        (b"[" * 50_000, 400),
        (b'{"text": "\\ud800"}', 400),
    ],
)
async def test_bodies_that_are_refused(client: Client, body: bytes, status: int) -> None:
    headers = {"Content-Type": "application/json"} if body else {"Content-Type": "text/plain"}
    said = await refused(client, "POST", "/ask", status, data=body, headers=headers)
    assert said
    assert "xxx" not in said  # nothing of what was sent comes back


async def test_a_picture_that_is_gone(client: Client) -> None:
    said = await refused(client, "POST", "/ask", 422, json={"text": "What is it?", "image": "no"})
    assert said.startswith("image:")


# --- reminders ------------------------------------------------------------------------------


async def test_reminders_from_adding_to_done(client: Client) -> None:
    added = await ok(
        client,
        "POST",
        "/reminders",
        201,
        json={"text": "remind me to water the plants tomorrow at 9 am"},
    )
    (row,) = added["reminders"]
    number = row["id"]
    assert "plants" in row["text"]
    before = row["due"]
    moved = await ok(client, "PATCH", f"/reminders/{number}", json={"when": "tomorrow at 10 am"})
    assert moved["reminders"][0]["due"] != before
    await ok(client, "POST", f"/reminders/{number}/snooze", json={"when": "in 20 minutes"})
    await ok(client, "POST", f"/reminders/{number}/snooze")
    done = await ok(client, "POST", f"/reminders/{number}/done")
    assert done["reminders"][0]["state"] == "done"
    assert (await ok(client, "GET", "/reminders"))["reminders"] == []
    everything = (await ok(client, "GET", "/reminders?all=1"))["reminders"]
    assert number in [row["id"] for row in everything]


async def test_reminders_in_portuguese_and_cancelled(client: Client) -> None:
    text = "me lembra de ligar para a Ana amanhã às 9"
    added = await ok(client, "POST", "/reminders", 201, json={"text": text, "language": "pt"})
    number = added["reminders"][0]["id"]
    cancelled = await ok(client, "POST", f"/reminders/{number}/cancel")
    assert cancelled["reminders"][0]["state"] == "cancelled"


async def test_reminders_that_are_refused(client: Client) -> None:
    await refused(client, "POST", "/reminders", 422, json={"text": "the sky is blue"})
    await refused(client, "POST", "/reminders/999/done", 404)
    await refused(client, "PATCH", "/reminders/999", 404, json={"when": "tomorrow"})
    await refused(client, "POST", "/reminders/99999999999999999999/done", 404)
    await refused(client, "GET", "/reminders?all=2", 400)
    await refused(client, "GET", "/reminders?all=1&all=1", 400)
    await refused(client, "GET", "/reminders?nothing=1", 400)


# --- knowledge ------------------------------------------------------------------------------


async def test_documents_by_content_and_not_by_name(client: Client) -> None:
    name = "..%2F..%2F%3Cscript%3Ealert(1)%3C%2Fscript%3E%0A.pdf"
    added = await ok(
        client,
        "POST",
        "/knowledge",
        201,
        data=b"The washing machine is in the cellar.",
        headers={"X-File-Name": name},
    )
    document = added["document"]
    assert document["format"] == "txt"
    assert document["name"] == "../../<script>alert(1)</script> .pdf"  # whole, and on one line
    (row,) = (await ok(client, "GET", "/knowledge"))["documents"]
    assert row == document
    assert await ok(client, "DELETE", f"/knowledge/{row['id']}") == {"done": True}
    await refused(client, "DELETE", f"/knowledge/{row['id']}", 404)


async def test_a_document_from_a_form(client: Client) -> None:
    form = aiohttp.FormData()
    form.add_field("note", "ignored")
    form.add_field("file", b"<!DOCTYPE html><title>T</title><p>Hello there.", filename="page.txt")
    added = await ok(client, "POST", "/knowledge", 201, data=form)
    assert added["document"]["format"] == "html"
    assert added["document"]["name"] == "page.txt"
    await ok(client, "DELETE", f"/knowledge/{added['document']['id']}")


@pytest.mark.parametrize(
    ("data", "name", "status"),
    [
        (b"", "a.txt", 400),
        (b"text", "", 400),
        (b"text", "%2e%2e", 400),
        (b"PK\x03\x04\0\0\0\0 a zip with a harmless name", "notes.txt", 415),
        (b"%PDF-1.7 and nothing of a PDF after that", "notes.txt", 422),
        (b"x" * 20_000_001, "large.txt", 413),
    ],
)
async def test_documents_that_are_refused(
    client: Client, data: bytes, name: str, status: int
) -> None:
    await refused(client, "POST", "/knowledge", status, data=data, headers={"X-File-Name": name})
    assert (await ok(client, "GET", "/knowledge"))["documents"] == []


async def test_forms_that_are_no_forms(client: Client) -> None:
    part = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n'
    for content_type, data in (
        ("multipart/form-data", b"--y\r\n"),
        ("multipart/form-data; boundary=x", b"--y\r\n"),
        ("multipart/form-data; boundary=x", b"--x--"),
        ("multipart/form-data; boundary=x", part + b"\r\ncut off"),
        ("multipart/form-data; boundary=x", part + b"\xff\xff: a\r\n\r\nabc\r\n--x--"),
    ):
        headers = {"Content-Type": content_type}
        await refused(client, "POST", "/knowledge", 400, data=data, headers=headers)


# --- pictures -------------------------------------------------------------------------------


async def test_a_picture_and_a_question_about_it(client: Client) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(stream, "PNG")
    uploaded = await ok(client, "POST", "/images", 201, data=stream.getvalue())
    asked = {"text": "What is in the picture?", "image": uploaded["image"]}
    turn = await ok(client, "POST", "/ask", json=asked)
    assert turn["role"] == "vision"


async def test_pictures_that_are_refused(client: Client) -> None:
    await refused(client, "POST", "/images", 415, data=b"GIF89a and so on")
    await refused(client, "POST", "/images", 415, data=b"<svg onload=alert(1)>")
    await refused(client, "POST", "/images", 422, data=b"\x89PNG\r\n\x1a\n broken")
    await refused(client, "POST", "/images", 413, data=b"\xff\xd8\xff" + bytes(15_000_000))


# --- conversations --------------------------------------------------------------------------


async def test_an_old_conversation_is_gone_on_with(client: Client, luna: Luna) -> None:
    await ok(client, "POST", "/conversations/new", 201)
    await ok(client, "POST", "/ask", json={"text": "Who was Marie Curie?"})
    first = (await newest(client, "Who was Marie Curie?"))["id"]
    fresh = (await ok(client, "POST", "/conversations/new", 201))["conversation"]
    assert fresh != first
    await ok(client, "POST", "/ask", json={"text": "How far away is the moon?"})
    await newest(client, "How far away is the moon?")
    assert len(luna.app.coordinator.history) == 1
    opened = (await ok(client, "POST", f"/conversations/{first}/open"))["conversation"]
    assert opened > fresh
    await ok(client, "POST", "/ask", json={"text": "And where was she born?"})
    # The running service has seen it: both questions are in the conversation now.
    assert len(luna.app.coordinator.history) == 2
    async with asyncio.timeout(20):
        shown: dict[str, Any] = {"messages": []}
        while len(shown["messages"]) < 4:
            shown = await ok(client, "GET", f"/conversations/{opened}")
    assert [m["content"] for m in shown["messages"] if m["role"] == "user"] == [
        "Who was Marie Curie?",
        "And where was she born?",
    ]
    found = await ok(client, "GET", "/conversations", params={"search": "marie"})
    assert found["found"][0]["conversation"] == opened
    await refused(client, "GET", f"/conversations/{first}", 404)
    assert await ok(client, "DELETE", f"/conversations/{opened}") == {"done": True}
    await refused(client, "GET", f"/conversations/{opened}", 404)
    await ok(client, "POST", "/ask", json={"text": "How deep is the sea?"})
    assert len(luna.app.coordinator.history) == 1


async def test_conversations_that_are_not_there(client: Client) -> None:
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/open")):
        await refused(client, method, f"/conversations/4711{path}", 404)
    await refused(client, "GET", "/conversations/0x10", 404)
    await refused(client, "GET", "/conversations?limit=0", 400)
    assert await ok(client, "GET", "/conversations", params={"search": '" OR * NEAR'}) == {
        "found": []
    }


# --- control --------------------------------------------------------------------------------


async def test_microphone_volume_and_stop(client: Client, luna: Luna) -> None:
    for action, muted in (("mute", True), ("unmute", False)):
        await ok(client, "POST", f"/control/{action}", json={})
        assert luna.app.bus.snapshot.muted is muted
    assert await ok(client, "POST", "/control/volume", json={"percent": 30}) == {"volume": 30}
    louder = await ok(client, "POST", "/control/volume", json={"step": 1})
    assert louder["volume"] > 30
    await ok(client, "POST", "/control/stop")
    for body in ({}, {"percent": 10, "step": 1}, {"percent": 101}, {"percent": True}):
        await refused(client, "POST", "/control/volume", 422, json=body)
    await refused(client, "POST", "/control/mute", 422, json={"muted": False})


async def test_listen_until_released(client: Client, luna: Luna) -> None:
    await ok(client, "POST", "/control/listen", json={"held": True})
    assert luna.app.bus.snapshot.state == "listening"
    await ok(client, "POST", "/control/release")
    await ok(client, "POST", "/control/stop")


async def test_a_worker_is_killed_and_comes_back(client: Client, luna: Luna) -> None:
    before = luna.app.health()["workers"]["llm"]["pid"]
    back = asyncio.Event()

    def watch(event: object) -> None:
        if isinstance(event, WorkerChanged) and event.status == "ready" and event.restarts:
            back.set()

    luna.app.bus.listen(watch)
    await ok(client, "POST", "/control/restart", 202, json={"worker": "llm"})
    async with asyncio.timeout(30):
        await back.wait()
    assert luna.app.health()["workers"]["llm"]["pid"] != before
    await refused(client, "POST", "/control/restart", 422, json={"worker": "main"})


# --- persona, quota, providers, backup --------------------------------------------------------


async def test_the_persona_is_in_the_next_prompt(client: Client, luna: Luna) -> None:
    assert await ok(client, "GET", "/persona") == {"en": "", "pt": ""}
    text = 'Speak like a pirate. {{ 7 * 7 }} "ação"'
    assert await ok(client, "PUT", "/persona", json={"en": text}) == {"en": text, "pt": ""}
    assert luna.app.brain is not None
    prompts = luna.app.brain.answering._prompts
    # It is text and no template, and only in its own language.
    assert prompts.render("en").text.endswith(text)
    assert prompts.render("en").private
    assert "pirate" not in prompts.render("pt").text
    await ok(client, "PUT", "/persona", json={"en": ""})
    assert "pirate" not in prompts.render("en").text
    await refused(client, "PUT", "/persona", 422, json={})
    await refused(client, "PUT", "/persona", 422, json={"en": "é" * 2049})
    await refused(client, "PUT", "/persona", 422, json={"xx": "a"})


async def test_quota_and_providers(client: Client) -> None:
    quota = await ok(client, "GET", "/quota?days=2")
    assert quota["today"] == []
    providers = (await ok(client, "GET", "/providers"))["providers"]
    assert providers[0]["name"] == "local"
    await refused(client, "GET", "/quota?days=0", 400)
    await refused(client, "GET", "/quota?days=x", 400)


@pytest.mark.parametrize("secrets", [False, True])
async def test_a_backup_is_whole_and_leaves_nothing(
    client: Client, luna: Luna, secrets: bool
) -> None:
    folder = luna.data / "secrets"
    folder.mkdir(exist_ok=True)
    (folder / "key").write_text("planted secret")
    await ok(client, "POST", "/ask", json={"text": "Who was Marie Curie?"})
    async with client.get(f"{V1}/backup", params={"secrets": int(secrets)}) as answer:
        assert answer.status == 200
        assert answer.content_type == "application/gzip"
        assert answer.headers["Content-Disposition"].startswith(
            'attachment; filename="luna-backup-'
        )
        data = await answer.read()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = archive.getnames()
    assert "history.sqlite3" in names
    assert ("secrets/key" in names) == secrets
    assert not [path for path in luna.data.iterdir() if "backup" in path.name]
