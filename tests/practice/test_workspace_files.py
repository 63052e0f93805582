"""Uploads through slack_sdk's files_upload_v2, and how the page shows them."""

from __future__ import annotations

from tests.practice.workspace_site import ADA, Site

PNG = bytes.fromhex("89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de")


async def test_an_upload_appears_in_the_channel_with_its_comment(site: Site) -> None:
    slack = site.client()
    channel = (await slack.conversations_create(name="inc-1"))["channel"]["id"]
    answer = await slack.files_upload_v2(
        channel=channel, content=PNG, filename="errors.png", title="Error ratio", initial_comment="The last hour"
    )
    file_id = answer["files"][0]["id"]
    shown = await site.channel(channel)
    message = shown["messages"][-1]
    assert message["text"] == "The last hour"
    assert [(file["id"], file["title"], file["mimetype"]) for file in message["files"]] == [
        (file_id, "Error ratio", "image/png")
    ]
    info = (await slack.files_info(file=file_id))["file"]
    assert info["shares"]["public"][channel][0]["ts"] == message["ts"]
    async with site.http.get(info["url_private"]) as picture:
        assert await picture.read() == PNG
        assert picture.headers["Content-Type"] == "image/png"


async def test_an_upload_without_a_channel_is_seen_by_nobody(site: Site) -> None:
    await site.client().files_upload_v2(content="# Notes", filename="notes.md")
    assert (await site.channel("incidents"))["messages"] == []


async def test_a_markdown_file_is_rendered_without_what_could_run(site: Site) -> None:
    slack = site.client()
    text = "# Post-mortem\n\n<script>alert(1)</script>\n\n[x](javascript:alert(1))\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"
    answer = await slack.files_upload_v2(channel=_incidents(site), content=text, filename="inc-1.md")
    async with site.http.get(f"{site.url}/files/{answer['files'][0]['id']}/rendered") as page:
        html = (await page.json())["html"]
    assert "<h1>Post-mortem</h1>" in html
    assert "<table>" in html
    assert "<script" not in html
    assert "href" not in html


async def test_a_file_that_could_run_as_a_page_is_only_for_saving(site: Site) -> None:
    answer = await site.client().files_upload_v2(channel=_incidents(site), content="<script>", filename="x.html")
    async with site.http.get(f"{site.url}/files/{answer['files'][0]['id']}/x.html") as page:
        assert page.headers["Content-Disposition"] == "attachment"
        assert page.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_event_stream_carries_each_change_with_its_content(site: Site) -> None:
    async with site.http.get(f"{site.url}/control/events") as stream:
        assert await stream.content.readline() == b": hello\n"
        site.workspace.acts.say(ADA, _incidents(site), "<b>hi</b>")
        await stream.content.readline()
        line = (await stream.content.readline()).decode()
    assert '"type": "message"' in line
    assert "<b>hi</b>" in line


def _incidents(site: Site) -> str:
    return next(channel.id for channel in site.workspace.state.channels.values() if channel.name == "incidents")
