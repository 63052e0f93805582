// The message list: each message is one keyed node, so an update touches only what changed and nothing flickers.
import { cleanedHtml, colourDiff, day, el, post, time, toast } from "./dom.js";
import { blocks } from "./blocks.js";
import { emoji } from "./emoji.js";
import { mrkdwn, plain } from "./mrkdwn.js";
import { nameOf, shownMessages, store } from "./store.js";

const GROUP_SECONDS = 300;
const openThreads = new Set();
const rendered = new Map();
const hooks = { reply: () => {}, read: () => {} };

export function useHooks(given) {
  Object.assign(hooks, given);
}

export function avatar(userId, size = "") {
  const user = store.users.get(userId);
  if (user?.is_bot) return el("img", { class: `avatar ${size}`, src: "/static/icon.svg", alt: "" });
  const name = nameOf(userId);
  const hue = [...userId].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 360, 7);
  const letters = name.split(" ").map((word) => word[0]).join("").slice(0, 2).toUpperCase();
  const node = el("span", { class: `avatar ${size}`, "aria-hidden": true }, letters);
  node.style.background = `hsl(${hue} 38% 42%)`;
  return node;
}

export function drawList(channel, list) {
  const all = shownMessages(channel);
  const byThread = new Map();
  for (const message of all) {
    if (isReply(message)) byThread.set(message.thread_ts, [...(byThread.get(message.thread_ts) ?? []), message]);
  }
  const top = all.filter((message) => !isReply(message) || !channel.messages.has(message.thread_ts));
  const wanted = [];
  let before = null;
  for (const message of top) {
    if (!before || day(before.ts) !== day(message.ts)) wanted.push([`day ${day(message.ts)}`, "", () => el("div", { class: "day" }, el("span", {}, day(message.ts)))]);
    const replies = byThread.get(message.ts) ?? [];
    const compact = Boolean(before) && follows(before, message) && !(byThread.get(before.ts) ?? []).length;
    const key = JSON.stringify([message, compact, replies, openThreads.has(message.ts), store.me, channel.pins.includes(message.ts), nameOf(message.user)]);
    wanted.push([message.ts, key, () => row(channel, message, compact, replies)]);
    before = message;
  }
  reconcile(list, wanted);
}

function reconcile(list, wanted) {
  const existing = new Map([...list.children].map((node) => [node.dataset.key, node]));
  let place = list.firstChild;
  for (const [name, key, make] of wanted) {
    let node = existing.get(name);
    existing.delete(name);
    if (!node || node.renderKey !== key) {
      const fresh = make();
      fresh.dataset.key = name;
      fresh.renderKey = key;
      if (node) {
        if (node === place) place = node.nextSibling;
        node.replaceWith(fresh);
      }
      node = fresh;
    }
    if (node === place) place = place.nextSibling;
    else list.insertBefore(node, place);
  }
  for (const node of existing.values()) node.remove();
}

function isReply(message) {
  return Boolean(message.thread_ts) && message.thread_ts !== message.ts;
}

const SYSTEM = new Set(["channel_join", "channel_topic", "channel_purpose", "channel_archive", "channel_unarchive", "channel_name"]);

function follows(before, message) {
  const plainBoth = !SYSTEM.has(before.subtype) && !SYSTEM.has(message.subtype) && !before.only_for && !message.only_for;
  return plainBoth && before.user === message.user && Number(message.ts) - Number(before.ts) < GROUP_SECONDS;
}

function row(channel, message, compact, replies) {
  if (SYSTEM.has(message.subtype)) return systemRow(message);
  const node = body(channel, message, compact);
  if (replies.length) node.querySelector(".content").append(thread(channel, message, replies));
  return node;
}

function systemRow(message) {
  const text = message.subtype === "channel_join" ? message.text : `<@${message.user}> ${message.text}`;
  return el("div", { class: "system" }, mrkdwn(text), el("time", {}, time(message.ts)));
}

function body(channel, message, compact) {
  const isApp = Boolean(message.bot_id);
  const own = Boolean(message.only_for);
  const head = !compact && el("div", { class: "by" }, el("strong", {}, nameOf(message.user)), isApp && el("span", { class: "badge" }, "APP"), el("time", { title: new Date(Number(message.ts) * 1000).toString() }, time(message.ts)));
  const act = (item, block, value, source) => click(channel, message, item, block, value, source);
  const parts = message.blocks?.length ? blocks(message.blocks, act) : message.text ? [mrkdwn(message.text)] : [];
  return el("article", { class: `message ${compact ? "compact" : ""} ${own ? "own" : ""} ${channel.pins.includes(message.ts) ? "pinned" : ""}`, id: `m${message.ts}` },
    own && el("div", { class: "only-you" }, "Only visible to you", el("button", { class: "link", onclick: () => { store.hidden.add(message.ts); document.getElementById(`m${message.ts}`)?.remove(); } }, "Dismiss")),
    channel.pins.includes(message.ts) && el("div", { class: "pin-note" }, emoji("pushpin"), "Pinned"),
    el("div", { class: "gutter" }, compact ? el("time", { class: "quiet" }, time(message.ts)) : avatar(message.user)),
    el("div", { class: "content" }, head, el("div", { class: "text" }, parts, message.edited && el("span", { class: "edited" }, " (edited)")), attachments(message, act), (message.files ?? []).map(file), reactions(channel, message)),
    !own && tools(channel, message));
}

function attachments(message, act) {
  return (message.attachments ?? []).map((item) => {
    const node = el("div", { class: "attachment" }, item.pretext && mrkdwn(item.pretext), item.title && el("strong", {}, plain(item.title)), item.text && mrkdwn(item.text), item.blocks && blocks(item.blocks, act));
    if (/^#?[0-9a-f]{6}$/i.test(item.color ?? "")) node.style.borderLeftColor = `#${item.color.replace("#", "")}`;
    return node;
  });
}

function reactions(channel, message) {
  if (!message.reactions?.length) return null;
  return el("div", { class: "reactions" }, message.reactions.map((item) => el("button", { class: item.users.includes(store.me) ? "mine" : "", title: item.users.map(nameOf).join(", "), onclick: () => react(channel, message, item.name, item.users.includes(store.me)) }, emoji(item.name) ?? `:${item.name}:`, el("span", {}, String(item.count)))));
}

function tools(channel, message) {
  const button = (name) => el("button", { title: `:${name}:`, onclick: () => react(channel, message, name, false) }, emoji(name));
  return el("div", { class: "tools" }, ["eyes", "white_check_mark", "+1"].map(button), el("button", { title: "Reply in thread", onclick: () => hooks.reply(message) }, emoji("speech_balloon")));
}

async function react(channel, message, name, remove) {
  await post("/control/react", { user: store.me, channel: channel.id, ts: message.ts, name, remove });
}

function thread(channel, parent, replies) {
  const open = openThreads.has(parent.ts) || replies.length <= 3;
  const shown = open ? replies : replies.slice(-2);
  const count = replies.length === 1 ? "1 reply" : `${replies.length} replies`;
  const toggle = () => { openThreads.add(parent.ts); drawList(channel, document.getElementById("list")); };
  return el("div", { class: "thread" },
    el("div", { class: "thread-head" }, [...new Set(replies.map((reply) => reply.user))].slice(0, 4).map((user) => avatar(user, "tiny")), el("button", { class: "link", onclick: () => hooks.reply(parent) }, count), !open && el("button", { class: "link", onclick: toggle }, `Show ${replies.length - shown.length} earlier`)),
    shown.map((reply) => body(channel, reply, false)));
}

function file(item) {
  const url = `/files/${encodeURIComponent(item.id)}/${encodeURIComponent(item.name)}`;
  if (item.mimetype.startsWith("image/")) {
    return el("figure", { class: "file-image" }, el("figcaption", {}, plain(item.title)), el("a", { href: url, target: "_blank", rel: "noopener" }, el("img", { src: url, alt: item.alt_txt || item.title, loading: "lazy" })));
  }
  const preview = el("div", { class: "file-preview" });
  const isText = item.mimetype.startsWith("text/");
  const node = el("div", { class: "file" }, el("button", { class: "file-head", onclick: () => hooks.read(item) }, emoji("page_facing_up"), el("span", { class: "file-names" }, el("strong", {}, item.title), el("small", {}, `${item.name} · ${size(item.size)}`)), isText && el("span", { class: "file-open" }, "Open")), isText && preview);
  if (isText) fillFile(item, preview);
  return node;
}

function size(bytes) {
  return bytes < 1024 ? `${bytes} B` : bytes < 1048576 ? `${(bytes / 1024).toFixed(1)} kB` : `${(bytes / 1048576).toFixed(1)} MB`;
}

// A file's content never changes, so it is fetched once and cloned after that: redrawing must not flicker.
export async function fillFile(item, node) {
  if (!rendered.has(item.id)) rendered.set(item.id, fetch(`/files/${encodeURIComponent(item.id)}/rendered`).then((answer) => answer.json()));
  const about = await rendered.get(item.id);
  if (about.html !== undefined) { node.replaceChildren(cleanedHtml(about.html)); return; }
  const code = el("code", {}, about.text);
  colourDiff(code, /\.(diff|patch)$/.test(about.name));
  node.replaceChildren(el("pre", {}, code));
}

async function click(channel, message, item, block, value, source) {
  source?.classList.add("busy");
  if (source) source.disabled = true;
  const answer = await post("/control/click", { user: store.me, channel: channel.id, ts: message.ts, action_id: item.action_id, block_id: block.block_id, value });
  if (source) { source.disabled = false; source.classList.remove("busy"); }
  if (!answer.ok && answer.error === "no_such_button") toast("That button is gone: somebody was faster.");
}
