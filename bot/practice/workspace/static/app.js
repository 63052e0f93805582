// The page of the practice workspace: a Slack to look at and to click in. Starts everything and draws the frame.
import { el, post, toast } from "./dom.js";
import { drawCluster } from "./cluster.js";
import { drawModal } from "./modal.js";
import { drawList, fillFile, useHooks } from "./messages.js";
import { useLists } from "./blocks.js";
import { escape, mrkdwn, plain, useNames } from "./mrkdwn.js";
import { isIncident, listen, nameOf, onChange, people, store, visible } from "./store.js";

const $ = (id) => document.getElementById(id);
const input = $("input");
const scroller = $("scroller");
let replyTo = "";

useNames({ user: nameOf, channel: (id) => store.channels.get(id)?.name ?? id, openChannel: (id) => open(id), isMe: (id) => id === store.me });
useLists({ people, channels: () => [...store.channels.values()].filter((channel) => channel.kind !== "im" && visible(channel)) });
useHooks({ reply: startReply, read: readFile });

function lock(channel) {
  return el("span", { class: "sign" }, channel.is_private ? "🔒︎" : "#");
}

function title(channel) {
  return channel.kind === "im" ? nameOf(store.bot) : channel.name;
}

function drawSidebar() {
  const all = [...store.channels.values()].filter((channel) => visible(channel) && !channel.archived);
  const incidents = all.filter(isIncident).sort((a, b) => b.created - a.created || (a.id < b.id ? 1 : -1));
  const closed = [...store.channels.values()].filter((channel) => visible(channel) && channel.archived);
  const sections = [
    ["Open incidents", incidents], ["Channels", all.filter((channel) => channel.kind !== "im" && !isIncident(channel))],
    ["Direct messages", all.filter((channel) => channel.kind === "im")], ["Archived", closed.slice(-5)],
  ];
  $("team").textContent = store.team;
  $("channels").replaceChildren(...sections.filter(([, list]) => list.length).map(([name, list]) => el("section", {}, el("h2", {}, name), list.map(entry))));
  const unread = [...store.unread.values()].reduce((sum, count) => sum + count, 0);
  const channel = store.channels.get(store.current);
  document.title = `${unread ? `(${unread}) ` : ""}${channel ? title(channel) : "Practice"} · Practice workspace`;
}

function entry(channel) {
  const unread = store.unread.get(channel.id) ?? 0;
  const state = [channel.id === store.current && "current", unread && "unread", channel.archived && "archived"].filter(Boolean).join(" ");
  const mark = channel.kind === "im" ? el("span", { class: "presence" }) : lock(channel);
  return el("button", { class: `entry ${state}`, onclick: () => open(channel.id) }, mark, el("span", { class: "entry-name" }, title(channel)), unread && channel.kind === "im" ? el("span", { class: "count" }, String(unread)) : null);
}

function drawPeople() {
  $("me").replaceChildren(...people().map((user) => el("option", { value: user.id, title: user.profile.title, selected: user.id === store.me }, user.real_name)));
}

function drawHead() {
  const channel = store.channels.get(store.current);
  if (!channel) return;
  $("name").replaceChildren(...(channel.kind === "im" ? [title(channel)] : [lock(channel), channel.name]));
  $("member-count").textContent = channel.kind === "im" ? "" : channel.members.length === 1 ? "1 member" : `${channel.members.length} members`;
  $("member-count").title = channel.members.map(nameOf).join(", ");
  $("topic").replaceChildren(channel.topic ? mrkdwn(channel.topic) : "");
  drawStrip(channel);
  const hint = channel.archived ? "This channel is archived" : `Message ${channel.kind === "im" ? "" : "#"}${title(channel)}, or / for a command`;
  input.placeholder = hint;
  input.disabled = channel.archived;
}

function drawStrip(channel) {
  const links = channel.bookmarks.map((mark) => el("a", { href: /^https?:/.test(mark.link) ? mark.link : "#", target: "_blank", rel: "noopener" }, mark.emoji ? plain(mark.emoji) : "", ` ${mark.title}`));
  const pins = channel.pins.map((ts) => channel.messages.get(ts)).filter(Boolean).map((message) => el("button", { onclick: () => jump(message.ts) }, plain(":pushpin:"), el("span", {}, plain((message.text || "Pinned message").split("\n")[0].replace(/[*_`]/g, "").slice(0, 70)))));
  $("strip").hidden = !links.length && !pins.length;
  $("strip").replaceChildren(...pins, ...links);
}

function jump(ts) {
  const node = $(`m${ts}`);
  node?.scrollIntoView({ block: "center" });
  node?.classList.add("flash");
  setTimeout(() => node?.classList.remove("flash"), 1600);
}

function atBottom() {
  return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < 60;
}

function toBottom() {
  scroller.scrollTop = scroller.scrollHeight;
  $("newer").hidden = true;
}

function drawMessages() {
  const channel = store.channels.get(store.current);
  if (!channel) return;
  const follow = atBottom();
  drawList(channel, $("list"));
  if (follow) toBottom();
}

function open(id, ts = "") {
  const channel = store.channels.get(id);
  if (!channel) return;
  store.current = id;
  store.unread.delete(id);
  startReply(null);
  $("list").replaceChildren();
  history.replaceState(null, "", `#${id}`);
  drawSidebar();
  drawHead();
  drawMessages();
  if (ts) jump(ts);
  else toBottom();
}

function firstChannel() {
  const [id, ts] = location.hash.slice(1).split("/");
  if (store.channels.has(id) && visible(store.channels.get(id))) return [id, ts];
  const list = [...store.channels.values()].filter((channel) => visible(channel) && !channel.archived);
  const newest = list.filter(isIncident).at(-1) ?? list.find((channel) => channel.name === "incidents") ?? list[0];
  return [newest?.id, ""];
}

function drawAll() {
  drawPeople();
  const current = store.channels.get(store.current);
  if (current && visible(current)) { drawSidebar(); drawHead(); drawMessages(); } else open(...firstChannel());
  drawModal();
  drawCluster();
}

function onNewChannel(channel) {
  if (!isIncident(channel) || !visible(channel)) return;
  const before = store.current;
  if (input.value || replyTo || document.querySelector("#overlay:not([hidden])")) {
    toast(`New incident channel #${channel.name}.`, { text: "Open it", run: () => open(channel.id) });
    return;
  }
  open(channel.id);
  toast(`New incident: opened #${channel.name} for you.`, { text: "Go back", run: () => open(before) });
}

onChange((change) => {
  if (change.type === "all" || change.type === "users") { drawAll(); return; }
  if (change.type === "cluster") { drawCluster(); return; }
  if (change.type === "view") { if (change.user === store.me) drawModal(); return; }
  const channel = store.channels.get(change.channel);
  if (change.type === "channel" && change.isNew) onNewChannel(channel);
  if (change.type === "message" && change.isNew) noteUnread(channel, change.data);
  if (change.channel === store.current) {
    if (change.type === "channel") drawHead();
    drawMessages();
    if (change.type !== "channel" && channel.pins.includes(change.ts)) drawStrip(channel);
    if (change.isNew && change.type === "message" && !atBottom()) $("newer").hidden = false;
  }
  if (change.type === "channel") drawSidebar();
});

function noteUnread(channel, message) {
  const forMe = !message.only_for || message.only_for === store.me;
  if (channel.id === store.current || message.user === store.me || !forMe || !visible(channel) || message.subtype) return;
  store.unread.set(channel.id, (store.unread.get(channel.id) ?? 0) + 1);
  drawSidebar();
}

function startReply(message) {
  replyTo = message?.ts ?? "";
  $("replying").hidden = !message;
  if (!message) return;
  $("replying").replaceChildren("Replying in the thread of ", el("strong", {}, nameOf(message.user)), el("button", { type: "button", class: "link", onclick: () => startReply(null) }, "Cancel"));
  input.focus();
}

async function readFile(item) {
  const reader = $("reader");
  const content = el("div", { class: "reader-body" });
  const close = () => { reader.hidden = true; };
  reader.replaceChildren(el("header", {}, el("div", {}, el("strong", {}, item.title), el("small", {}, item.name)), el("button", { class: "close", "aria-label": "Close", onclick: close }, "×")), content);
  reader.hidden = false;
  await fillFile(item, content);
}

function hintsFor(text) {
  if (!text.startsWith("/") || text.includes("\n")) return [];
  const word = text.split(" ")[0];
  return Object.entries(store.commands).filter(([name]) => (text.includes(" ") ? name === word : name.startsWith(word)));
}

function drawHints() {
  const hints = hintsFor(input.value);
  $("hints").hidden = !hints.length;
  $("hints").replaceChildren(...hints.map(([name, usage]) => el("button", { type: "button", onclick: () => { input.value = `${name} `; input.focus(); drawHints(); } }, el("strong", {}, name), el("span", {}, usage))));
  input.style.height = "auto";
  input.style.height = `${Math.min(160, input.scrollHeight)}px`;
}

function outgoing(text) {
  return escape(text)
    .replace(/@([\w.-]+)/g, (all, name) => { const user = [...store.users.values()].find((one) => one.name === name.toLowerCase()); return user ? `<@${user.id}>` : all; })
    .replace(/#([\w-]+)/g, (all, name) => { const channel = [...store.channels.values()].find((one) => one.name === name); return channel ? `<#${channel.id}|${name}>` : all; })
    .replace(/https?:\/\/[^\s<>]+/g, (url) => `<${url}>`);
}

async function send(event) {
  event?.preventDefault();
  const text = input.value.trim();
  if (!text) return;
  input.value = "";
  drawHints();
  const at = { user: store.me, channel: store.current };
  const [word, ...rest] = text.split(" ");
  const answer = word.startsWith("/")
    ? await post("/control/command", { ...at, command: word, text: rest.join(" ") })
    : await post("/control/say", { ...at, text: outgoing(text), thread_ts: replyTo });
  if (!answer.ok && !word.startsWith("/")) toast(`Not sent: ${answer.error}`);
  startReply(null);
  toBottom();
}

$("composer").addEventListener("submit", send);
input.addEventListener("input", drawHints);
input.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) send(event);
  if (event.key === "Tab" && hintsFor(input.value).length === 1 && !input.value.includes(" ")) {
    event.preventDefault();
    $("hints").querySelector("button").click();
  }
});
$("me").addEventListener("change", (event) => {
  store.me = event.target.value;
  localStorage.setItem("me", store.me);
  store.unread.clear();
  drawAll();
});
$("newer").addEventListener("click", toBottom);
scroller.addEventListener("scroll", () => { if (atBottom()) $("newer").hidden = true; });
// Pictures and file previews arrive later and make the list longer: stay at the end if we were there.
new ResizeObserver(() => { if (scroller.following) toBottom(); }).observe($("list"));
scroller.addEventListener("scroll", () => { scroller.following = atBottom(); });
scroller.following = true;
window.addEventListener("hashchange", () => { const [id, ts] = location.hash.slice(1).split("/"); if (id !== store.current) open(id, ts); });
listen((on) => { $("link-state").textContent = on ? "live" : "connection lost, trying again…"; $("link-state").className = on ? "on" : "off"; });
