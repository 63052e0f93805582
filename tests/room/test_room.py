"""The room against the practice workspace: every act once, whatever is lost on the way, and never a private thing in public."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bot.clients.slack import SlackGateway
from bot.domain.alert import AlertState
from bot.domain.context import Context, Finding
from bot.domain.incident import Incident, State
from bot.domain.ports import Room
from bot.domain.run import Run
from bot.errors import GaveUp, TryLater
from bot.practice.workspace.site import WorkspaceSettings
from bot.practice.workspace.state import Channel, Message
from bot.room.room import SlackRoom
from tests.practice.workspace_site import Site, listening
from tests.room.samples import DIRECTORY, NOW, alert, incident, plan, waiting_run

FIRING = [AlertState(alert(), NOW, NOW)]
PAGE_KEY = "page:7:1:0:0:person:ada"


@dataclass
class House:
    site: Site
    gateway: SlackGateway
    room: SlackRoom

    def channel(self, name: str) -> Channel:
        found = self.site.workspace.state.by_name(name)
        assert found is not None
        return found

    def posts(self, name: str) -> list[Message]:
        """What the bot posted in a channel."""
        return [message for message in self.channel(name).messages.values() if message.is_app and not message.subtype]

    def direct(self, user: str) -> list[Message]:
        return list(self.site.workspace.state.direct(user).messages.values())

    def called(self, method: str) -> int:
        return sum(call["method"] == method for call in self.site.workspace.api.calls)

    def trouble(self, kind: str, method: str, **more: Any) -> None:
        self.site.workspace.faults.add(kind, method, **{"count": 1, **more})

    async def opened(self, **update: Any) -> Incident:
        """INC-7 with its channel."""
        wanted = incident(channel_id="", **update)
        channel_id, name = await self.room.open_channel(wanted, False)
        return wanted.model_copy(update={"channel_id": channel_id, "channel_name": name})


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with listening(WorkspaceSettings(rate_limits=False)) as site:
        gateway = SlackGateway("xoxb-practice", base_url=f"{site.url}/api/", pace=1000)
        try:
            yield House(site, gateway, SlackRoom(gateway, DIRECTORY, "incidents"))
        finally:
            await gateway.close()


def test_it_is_the_room_that_the_flows_want() -> None:
    room: Room = SlackRoom(SlackGateway("xoxb"), DIRECTORY, "incidents")
    assert room is not None


# ------------------------------------------------------------------------------------------------ channels


async def test_a_channel_is_made_with_a_purpose_that_finds_it_again(house: House) -> None:
    first = await house.room.open_channel(incident(channel_id=""), False)
    assert first[1] == "inc-7-checkout-high-error-rate"
    assert "tocsin:INC-7:" in house.channel(first[1]).purpose
    assert await house.room.open_channel(incident(channel_id=""), True) == first
    assert house.called("conversations.create") == 1


async def test_a_channel_whose_answer_was_lost_is_found_and_not_made_twice(house: House) -> None:
    house.trouble("lost", "conversations.create")
    with pytest.raises(TryLater) as caught:
        await house.room.open_channel(incident(channel_id=""), False)
    assert caught.value.uncertain
    channel_id, name = await house.room.open_channel(incident(channel_id=""), True)
    assert house.channel("inc-7-checkout-high-error-rate").id == channel_id
    assert "tocsin:INC-7:" in house.channel(name).purpose


async def test_a_channel_that_got_no_purpose_is_still_ours(house: House) -> None:
    house.trouble("429", "conversations.setPurpose")
    with pytest.raises(TryLater) as caught:
        await house.room.open_channel(incident(channel_id=""), False)
    assert caught.value.uncertain, "the channel is there: whoever comes again must look"
    await house.room.open_channel(incident(channel_id=""), False)
    assert not house.site.workspace.state.by_name("inc-7-checkout-high-error-rate-2")


async def test_a_slack_that_lets_a_name_be_taken_twice_makes_no_twin_when_looking_first(house: House) -> None:
    house.trouble("lost", "conversations.create")
    house.trouble("create_twins", "conversations.create", count=5)
    with pytest.raises(TryLater):
        await house.room.open_channel(incident(channel_id=""), False)
    await house.room.open_channel(incident(channel_id=""), True)
    names = [channel.name for channel in house.site.workspace.state.channels.values()]
    assert names.count("inc-7-checkout-high-error-rate") == 1


async def test_a_name_that_somebody_else_took_gets_a_number(house: House) -> None:
    taken = house.site.workspace.state.add_channel("inc-7-checkout-high-error-rate", "U0ADA")
    channel_id, name = await house.room.open_channel(incident(channel_id=""), False)
    assert (name, channel_id != taken.id) == ("inc-7-checkout-high-error-rate-2", True)


async def test_the_channel_of_an_earlier_incident_with_this_number_is_not_ours(house: House) -> None:
    """A new database begins at INC-1 again."""
    await house.room.open_channel(incident(channel_id="", group_key="of an earlier database"), False)
    _, name = await house.room.open_channel(incident(channel_id=""), True)
    assert name == "inc-7-checkout-high-error-rate-2"


async def test_a_look_that_is_cut_short_stays_a_reason_to_look(house: House) -> None:
    house.trouble("429", "*")
    with pytest.raises(TryLater) as caught:
        await house.room.open_channel(incident(channel_id=""), True)
    assert caught.value.uncertain


async def test_a_private_incident_gets_a_private_channel(house: House) -> None:
    _, name = await house.room.open_channel(incident(channel_id="", private=True), False)
    assert house.channel(name).is_private
    assert (await house.room.open_channel(incident(channel_id="", private=True), True))[1] == name


async def test_a_private_channel_that_cannot_be_had_is_an_error_and_never_public(house: House) -> None:
    house.site.workspace.api.scopes.remove("groups:write")
    with pytest.raises(GaveUp, match="INC-7 gets no private channel"):
        await house.room.open_channel(incident(channel_id="", private=True), False)
    assert house.site.workspace.state.by_name("inc-7-checkout-high-error-rate") is None
    assert "conversations.create" in house.gateway.degraded


async def test_a_private_incident_without_a_channel_is_not_shown_in_the_fallback_channel(house: House) -> None:
    secret = incident(channel_id="", private=True)
    with pytest.raises(GaveUp, match="INC-7 is private"):
        await house.room.card(secret, FIRING, [], False)
    with pytest.raises(GaveUp, match="INC-7 is private"):
        await house.room.say(secret, "x", "say:7:1", False)
    assert house.posts("incidents") == []


async def test_a_missing_purpose_permission_stops_nothing(house: House) -> None:
    house.trouble("error", "conversations.setPurpose", error="missing_scope")
    _, name = await house.room.open_channel(incident(channel_id=""), False)
    assert name == "inc-7-checkout-high-error-rate"


# ------------------------------------------------------------------------------------------------ people


async def test_people_are_invited_and_who_could_not_be_is_told_with_the_reason(house: House) -> None:
    opened = await house.opened()
    reasons = await house.room.invite(opened, ["ada", "slack:U0BOB", "eve", "slack:U0NOBODY", "tocsin"])
    assert {"U0ADA", "U0BOB"} <= set(house.channel(opened.channel_name).members)
    assert reasons == ["Eve: no Slack user id in oncall.yaml", "slack:U0NOBODY: Slack does not know this user id"]
    assert await house.room.invite(opened, ["ada"]) == []


# ------------------------------------------------------------------------------------------------ the card


async def test_the_card_is_posted_pinned_and_then_kept_up_to_date_in_place(house: House) -> None:
    opened = await house.opened()
    ts = await house.room.card(opened, FIRING, [], False)
    assert house.channel(opened.channel_name).pins == [ts]
    later = opened.model_copy(update={"card_ts": ts, "state": State.ACKNOWLEDGED, "acknowledged_by": "Ada"})
    assert await house.room.card(later, FIRING, [], False) == ts
    (card,) = house.posts(opened.channel_name)
    assert "*Ada* has this" in str(card.blocks)
    assert card.metadata is not None
    assert card.metadata["event_payload"]["key"] == "card:7"


async def test_a_card_whose_answer_was_lost_is_not_posted_twice(house: House) -> None:
    opened = await house.opened()
    house.trouble("lost", "chat.postMessage")
    with pytest.raises(TryLater) as caught:
        await house.room.card(opened, FIRING, [], False)
    assert caught.value.uncertain
    ts = await house.room.card(opened, FIRING, [], True)
    assert [card.ts for card in house.posts(opened.channel_name)] == [ts]
    assert house.channel(opened.channel_name).pins == [ts]


async def test_a_card_that_could_not_be_pinned_yet_is_pinned_later_and_not_posted_again(house: House) -> None:
    opened = await house.opened()
    house.trouble("429", "pins.add")
    with pytest.raises(TryLater) as caught:
        await house.room.card(opened, FIRING, [], False)
    assert caught.value.uncertain
    ts = await house.room.card(opened, FIRING, [], True)
    assert house.channel(opened.channel_name).pins == [ts]
    assert len(house.posts(opened.channel_name)) == 1


async def test_a_card_that_may_not_be_pinned_is_still_a_card(house: House) -> None:
    opened = await house.opened()
    house.site.workspace.api.scopes.remove("pins:write")
    assert await house.room.card(opened, FIRING, [], False)
    assert "pins.add" in house.gateway.degraded


async def test_a_deleted_card_is_posted_anew(house: House) -> None:
    opened = await house.opened()
    ts = await house.room.card(opened, FIRING, [], False)
    channel = house.channel(opened.channel_name)
    house.site.workspace.desk.deleted(channel, channel.messages[ts])
    again = await house.room.card(opened.model_copy(update={"card_ts": ts}), FIRING, [], False)
    assert again != ts
    assert channel.pins == [again]


async def test_before_there_is_a_channel_the_card_is_in_the_fallback_channel_and_moves(house: House) -> None:
    waiting = incident(channel_id="")
    ts = await house.room.card(waiting, FIRING, [], False)
    assert [post.ts for post in house.posts("incidents")] == [ts]
    opened = (await house.opened()).model_copy(update={"card_ts": ts})
    moved = await house.room.card(opened, FIRING, [], False)
    assert [post.ts for post in house.posts(opened.channel_name)] == [moved]


async def test_the_topic_is_set_only_when_it_changes(house: House) -> None:
    opened = await house.opened(title="a <b> & c")
    for _ in range(3):
        await house.room.topic(opened)
    assert house.called("conversations.setTopic") == 1
    assert house.channel(opened.channel_name).topic.startswith("🔴 INC-7 triggered · critical · a &lt;b&gt;")


# ------------------------------------------------------------------------------------------------ pages, alarms, words


async def test_a_page_is_a_direct_message_and_comes_once(house: House) -> None:
    house.trouble("lost", "chat.postMessage")
    with pytest.raises(TryLater) as caught:
        await house.room.page(incident(), "person:ada", 1, PAGE_KEY, False)
    assert caught.value.uncertain
    ts = await house.room.page(incident(), "person:ada", 1, PAGE_KEY, True)
    assert [message.ts for message in house.direct("U0ADA")] == [ts]
    await house.room.page(incident(), "person:ada", 1, "page:7:1:0:1:person:ada", False)
    assert len(house.direct("U0ADA")) == 2


async def test_a_page_of_an_earlier_database_with_the_same_key_does_not_count(house: House) -> None:
    await house.room.page(incident(group_key="of an earlier database"), "person:ada", 1, PAGE_KEY, False)
    await house.room.page(incident(), "person:ada", 1, PAGE_KEY, True)
    assert len(house.direct("U0ADA")) == 2


async def test_a_page_goes_out_even_when_the_history_may_not_be_read(house: House) -> None:
    house.site.workspace.api.scopes.remove("im:history")
    await house.room.page(incident(), "person:ada", 1, PAGE_KEY, True)
    assert len(house.direct("U0ADA")) == 1


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("person:eve", "Eve cannot be paged: no Slack user id"),
        ("person:nobody", "nobody cannot be paged: no Slack user id"),
        ("channel:nowhere", "there is no channel #nowhere"),
    ],
)
async def test_a_page_that_can_never_arrive_says_why(house: House, target: str, words: str) -> None:
    with pytest.raises(GaveUp, match=words):
        await house.room.page(incident(), target, 1, "k", False)


async def test_somebody_whom_slack_does_not_know_is_a_reason_in_words(house: House) -> None:
    gone = DIRECTORY.people["ada"].model_copy(update={"slack": "U0GONE"})
    house.room.directory = DIRECTORY.model_copy(update={"people": {"ada": gone}})
    with pytest.raises(GaveUp, match="Ada cannot be paged: is not known to Slack"):
        await house.room.page(incident(), "person:ada", 1, "k", False)


async def test_a_channel_is_paged_by_its_name_and_joined_on_the_way(house: House) -> None:
    await house.room.page(incident(), "channel:general", 2, "k", False)
    await house.room.page(incident(), "channel:general", 2, "k2", False)
    assert len(house.posts("general")) == 2
    assert house.called("conversations.join") == 1
    assert house.called("conversations.list") == 1


async def test_an_alarm_is_loud_in_the_fallback_channel_and_comes_once(house: House) -> None:
    house.trouble("lost", "chat.postMessage")
    with pytest.raises(TryLater):
        await house.room.alarm("NOBODY ACKNOWLEDGED", "alarm:exhausted:7:1:shop", False)
    await house.room.alarm("NOBODY ACKNOWLEDGED", "alarm:exhausted:7:1:shop", True)
    assert [post.text for post in house.posts("incidents")] == ["🚨 <!channel> NOBODY ACKNOWLEDGED"]


async def test_the_fallback_channel_may_be_given_by_id(house: House) -> None:
    room = SlackRoom(house.gateway, DIRECTORY, house.channel("incidents").id)
    await room.alarm("x", "alarm:a", False)
    assert len(house.posts("incidents")) == 1
    assert house.called("conversations.list") == 0


async def test_what_is_said_twice_by_key_stands_there_once(house: House) -> None:
    opened = await house.opened()
    first = await house.room.say(opened, "Ada <!here> took it", "say:7:3", False)
    assert await house.room.say(opened, "Ada <!here> took it", "say:7:3", True) == first
    assert [post.text for post in house.posts(opened.channel_name)] == ["Ada &lt;!here&gt; took it"]


async def test_a_bot_that_was_removed_from_a_public_channel_joins_again(house: House) -> None:
    opened = await house.opened()
    house.channel(opened.channel_name).members.remove("U0TOCSIN")
    await house.room.say(opened, "hello", "say:7:3", False)
    assert [post.text for post in house.posts(opened.channel_name)] == ["hello"]


async def test_an_archived_or_missing_channel_is_said_in_words(house: House) -> None:
    opened = await house.opened()
    house.channel(opened.channel_name).archived = True
    with pytest.raises(GaveUp, match="is archived"):
        await house.room.say(opened, "hello", "say:7:3", False)
    with pytest.raises(GaveUp, match="is gone or not visible"):
        await house.room.say(incident(channel_id="C0NOWHERE1"), "hello", "say:7:3", False)


# ------------------------------------------------------------------------------------------------ context, runs, post-mortem


def found() -> Context:
    picture = base64.b64encode(b"\x89PNG picture")
    findings = (
        Finding(gatherer="logs", title="Logs", lines=("boom",), code=True),
        Finding(gatherer="metrics", title="Error rate", picture=picture),
    )
    return Context(incident_id=7, epoch=1, gathered_at=NOW, findings=findings)


async def test_context_is_posted_with_its_pictures_once(house: House) -> None:
    opened = await house.opened()
    house.trouble("lost", "files.completeUploadExternal")
    with pytest.raises(TryLater) as caught:
        await house.room.show_context(opened, found(), False)
    assert caught.value.uncertain
    ts = await house.room.show_context(opened, found(), True)
    await house.room.show_context(opened, found().model_copy(update={"message_ts": ts}), False)
    posts = house.posts(opened.channel_name)
    assert [bool(post.files) for post in posts] == [False, True]
    (file,) = house.site.workspace.state.files.values()
    assert (file.content, file.title) == (b"\x89PNG picture", "Error rate")


async def test_a_run_has_one_message_that_is_kept_up_to_date(house: House) -> None:
    opened = await house.opened()
    run = waiting_run()
    house.trouble("lost", "chat.postMessage")
    with pytest.raises(TryLater):
        await house.room.show_run(opened, run, False)
    ts = await house.room.show_run(opened, run, True)
    await house.room.show_run(opened, run.model_copy(update={"message_ts": ts}), False)
    (message,) = house.posts(opened.channel_name)
    assert plan().digest in str(message.blocks)


async def test_an_update_that_may_have_been_lost_is_simply_made_again(house: House) -> None:
    opened = await house.opened()
    ts = await house.room.show_run(opened, waiting_run(), False)
    house.trouble("lost", "chat.update")
    known = waiting_run().model_copy(update={"message_ts": ts})
    with pytest.raises(TryLater):
        await house.room.show_run(opened, known, False)
    assert await house.room.show_run(opened, known, True) == ts


# ------------------------------------------------------------------------------------------------ what runbooks put out and tell


async def shared(house: House, opened: Incident, run: Run, again: bool = False) -> None:
    await house.room.share_output(opened, run, run.steps[0], "row 1\nrow 2", "share_output:3:scale", again)


async def test_an_output_is_a_file_in_the_thread_of_the_runs_message_once(house: House) -> None:
    opened = await house.opened()
    ts = await house.room.show_run(opened, waiting_run(), False)
    run = waiting_run().model_copy(update={"message_ts": ts})
    house.trouble("lost", "files.completeUploadExternal")
    with pytest.raises(TryLater) as caught:
        await shared(house, opened, run)
    assert caught.value.uncertain
    await shared(house, opened, run, again=True)
    (file,) = house.site.workspace.state.files.values()
    assert file.content == b"row 1\nrow 2"
    assert file.name.startswith("RUN-3-scale-")
    assert file.name.endswith(".txt")
    (reply,) = house.channel(opened.channel_name).replies(ts)
    assert (len(reply.files), reply.text) == (1, "What *Scale the deployment* of RUN-3 has put out.")


async def test_an_output_without_a_thread_goes_into_the_channel(house: House) -> None:
    opened = await house.opened()
    await shared(house, opened, waiting_run())
    await shared(house, opened, waiting_run(), again=True)
    (post,) = [post for post in house.posts(opened.channel_name) if post.files]
    assert not post.thread_ts


async def test_an_output_whose_thread_was_deleted_goes_into_the_channel_once(house: House) -> None:
    opened = await house.opened()
    gone = waiting_run().model_copy(update={"message_ts": "1.000001"})
    await shared(house, opened, gone)
    await shared(house, opened, gone, again=True)
    assert [len(post.files) for post in house.posts(opened.channel_name)] == [1]


async def test_no_output_is_no_file(house: House) -> None:
    opened = await house.opened()
    await house.room.share_output(opened, waiting_run(), waiting_run().steps[0], "", "share_output:3:scale", False)
    assert house.site.workspace.state.files == {}


async def test_a_runbook_tells_a_channel_by_name_once_and_mentions_nobody(house: House) -> None:
    opened = await house.opened()
    house.trouble("lost", "chat.postMessage")
    with pytest.raises(TryLater):
        await house.room.post(opened, "general", "<!channel> cart is slow", "post:k", False)
    ts = await house.room.post(opened, "general", "<!channel> cart is slow", "post:k", True)
    assert [(post.ts, post.text) for post in house.posts("general")] == [(ts, "&lt;!channel&gt; cart is slow")]
    await house.room.post(opened, "", "here", "post:k2", False)
    assert [post.text for post in house.posts(opened.channel_name)] == ["here"]


async def test_a_channel_that_cannot_be_posted_in_says_what_to_do(house: House) -> None:
    opened = await house.opened()
    with pytest.raises(GaveUp, match="no channel #nowhere that the bot can see: create it, or invite the bot"):
        await house.room.post(opened, "nowhere", "x", "post:k", False)
    house.trouble("error", "conversations.join", error="is_archived")
    with pytest.raises(GaveUp, match="#general, which is archived: unarchive it, or name another channel"):
        await house.room.post(opened, "general", "x", "post:k", False)


async def test_what_a_runbook_tells_of_a_private_incident_stays_in_its_channel(house: House) -> None:
    opened = await house.opened(private=True)
    with pytest.raises(
        GaveUp, match="INC-7 is private, so nothing about it is posted in #general: leave `channel` out"
    ):
        await house.room.post(opened, "general", "secret", "post:k", False)
    await house.room.post(opened, "", "secret", "post:k", False)
    await house.room.post(opened, opened.channel_name, "secret", "post:k2", False)
    assert house.posts("general") == []
    assert len(house.posts(opened.channel_name)) == 2


async def test_somebody_is_summoned_once_and_told_which_run_asks(house: House) -> None:
    run = waiting_run()
    key = f"summon:{run.key(run.steps[0])}"
    house.trouble("lost", "chat.postMessage")
    with pytest.raises(TryLater):
        await house.room.summon(incident(), "person:ada", "the database needs you", key, False)
    ts = await house.room.summon(incident(), "person:ada", "the database needs you", key, True)
    (message,) = house.direct("U0ADA")
    assert message.ts == ts
    assert message.text.startswith("🔴 RUN-3 asks for you: the database needs you (INC-7")
    await house.room.summon(incident(), "channel:general", "x", "summon:by hand", False)
    assert "Somebody asks for somebody here" in house.posts("general")[0].text
    with pytest.raises(GaveUp, match="Eve cannot be paged: no Slack user id"):
        await house.room.summon(incident(), "person:eve", "x", "k", False)


async def test_a_post_mortem_is_uploaded_once(house: House) -> None:
    opened = await house.opened()
    house.trouble("lost", "files.completeUploadExternal")
    with pytest.raises(TryLater) as caught:
        await house.room.share_postmortem(opened, "# Post-mortem", "share_review:7:1", False)
    assert caught.value.uncertain
    await house.room.share_postmortem(opened, "# Post-mortem", "share_review:7:1", True)
    (file,) = house.site.workspace.state.files.values()
    assert file.content == b"# Post-mortem"
    assert file.name.startswith("INC-7-post-mortem-")
    await house.room.share_postmortem(opened, "# Another", "share_review:7:2", True)
    assert len(house.site.workspace.state.files) == 2


async def test_an_upload_that_fails_half_way_is_only_tried_again(house: House) -> None:
    opened = await house.opened()
    house.trouble("500", "upload")
    with pytest.raises(TryLater) as caught:
        await house.room.share_postmortem(opened, "x", "share_review:7:1", False)
    assert not caught.value.uncertain
    await house.room.share_postmortem(opened, "x", "share_review:7:1", False)
    assert sum(bool(post.files) for post in house.posts(opened.channel_name)) == 1


async def test_nothing_from_an_alert_can_call_the_channel(house: House) -> None:
    opened = await house.opened(title="<!channel> & <@U0ADA>")
    nasty = [replace(FIRING[0], alert=alert(annotations={"summary": "<!everyone>"}))]
    await house.room.card(opened, nasty, [], False)
    await house.room.page(opened, "person:ada", 1, PAGE_KEY, False)
    shown = [*house.posts(opened.channel_name), *house.direct("U0ADA")]
    for message in shown:
        assert "<!channel>" not in message.text
        assert "<!everyone>" not in str(message.blocks)
