// Slack's mrkdwn and rich_text to DOM nodes. Everything that comes from a message ends as a text node.
import { colourDiff, el, safeLink, time, day } from "./dom.js";
import { CHARACTERS, emoji, emojiOfCharacter } from "./emoji.js";

const names = { user: (id) => id, channel: (id) => id, openChannel: () => {} };

export function useNames(lookups) {
  Object.assign(names, lookups);
}

export function unescape(text) {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");
}

export function escape(text) {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

export function mrkdwn(text) {
  const node = el("div", { class: "mrkdwn" });
  for (const [index, part] of String(text ?? "").split(/```/).entries()) {
    if (index % 2) node.append(pre(part));
    else if (part) lines(part.replace(/^\n/, index ? "" : "\n").replace(/\n$/, ""), node);
  }
  return node;
}

export function plain(text) {
  const node = el("span", { class: "plain" });
  withEmoji(String(text ?? ""), node);
  return node;
}

function pre(text) {
  let body = unescape(text).replace(/^\n/, "").replace(/\n$/, "");
  const says = /^diff\n/.test(body);
  if (says) body = body.slice(5);
  const code = el("code", {}, body.replace(/<([^|>]+)\|([^>]*)>/g, "$2"));
  colourDiff(code, says);
  return el("pre", {}, code);
}

function lines(text, node) {
  let quote = null;
  const all = text.split("\n");
  all.forEach((line, index) => {
    if (line.startsWith("&gt;")) {
      quote ??= node.appendChild(el("blockquote"));
      inline(line.slice(4).trimStart(), quote);
      quote.append(el("br"));
      return;
    }
    quote = null;
    inline(line, node);
    if (index < all.length - 1) node.append(el("br"));
  });
}

const PATTERNS = [
  [/`([^`\n]+)`/, (found) => el("code", {}, unescape(found[1]).replace(/<([^|>]+\|)?([^>]*)>/g, "$2"))],
  [/<([^<>\n]+)>/, (found) => angle(found[1])],
  [/:([a-z0-9_+-]+(?:::skin-tone-\d)?):/, (found) => emoji(found[1])],
  [/(^|[\s({["'“>_~])\*(?=\S)([^*\n]*?[^*\s])\*(?=$|[\s)}\]"'”.,:;!?<_~…–-])/, (found) => styled("strong", found)],
  [/(^|[\s({["'“>*~])_(?=\S)([^_\n]*?[^_\s])_(?=$|[\s)}\]"'”.,:;!?<*~…–-])/, (found) => styled("em", found)],
  [/(^|[\s({["'“>*_])~(?=\S)([^~\n]*?[^~\s])~(?=$|[\s)}\]"'”.,:;!?<*_…–-])/, (found) => styled("s", found)],
];

function styled(tag, found) {
  const node = el(tag);
  inline(found[2], node);
  return found[1] ? [document.createTextNode(unescape(found[1])), node] : node;
}

// Finds the earliest of the patterns, handles it, goes on behind it.
function inline(text, node) {
  let rest = text;
  while (rest) {
    let first = null;
    for (const [pattern, make] of PATTERNS) {
      const found = pattern.exec(rest);
      if (found && (!first || found.index < first.found.index)) {
        const made = make(found);
        if (made) first = { found, made };
      }
    }
    if (!first) break;
    withEmoji(unescape(rest.slice(0, first.found.index)), node);
    node.append(...[first.made].flat());
    rest = rest.slice(first.found.index + first.found[0].length);
  }
  withEmoji(unescape(rest), node);
}

function withEmoji(text, node) {
  let rest = text;
  for (let found = CHARACTERS.exec(rest); found; found = CHARACTERS.exec(rest)) {
    node.append(rest.slice(0, found.index), emojiOfCharacter(found[0]));
    rest = rest.slice(found.index + found[0].length);
  }
  const parts = rest.split(/:([a-z0-9_+-]+):/);
  parts.forEach((part, index) => node.append(index % 2 ? emoji(part) ?? `:${part}:` : part));
}

function angle(content) {
  const [target, label] = content.split(/\|(.*)/s);
  if (target.startsWith("@")) return mention(`@${names.user(target.slice(1))}`, names.isMe?.(target.slice(1)));
  if (target.startsWith("#")) return channelLink(target.slice(1), label);
  if (target.startsWith("!date^")) return date(target, label);
  if (target.startsWith("!subteam^")) return mention(label ? unescape(label) : "@oncall", true);
  if (target.startsWith("!")) return mention(`@${label || target.slice(1)}`, true);
  const url = safeLink(unescape(target));
  const text = label ? plain(unescape(label)) : unescape(target).replace(/^mailto:/, "");
  return url ? el("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, text) : el("span", {}, text);
}

function mention(text, me) {
  return el("span", { class: me ? "mention me" : "mention" }, text);
}

function channelLink(id, label) {
  return el("a", { class: "mention", href: `#${id}`, onclick: (event) => { event.preventDefault(); names.openChannel(id); } }, `#${label || names.channel(id)}`);
}

function date(target, fallback) {
  const [, stamp, format] = target.split("^");
  if (!/^\d+$/.test(stamp)) return el("span", {}, unescape(fallback ?? ""));
  const at = new Date(Number(stamp) * 1000);
  const long = { date_num: at.toLocaleDateString("sv-SE"), date: at.toLocaleDateString("en-GB", { dateStyle: "long" }), date_short: at.toLocaleDateString("en-GB", { dateStyle: "medium" }), date_long: at.toLocaleDateString("en-GB", { dateStyle: "full" }), time: time(stamp), time_secs: at.toLocaleTimeString("en-GB"), ago: ago(at) };
  const text = unescape(format ?? "").replace(/\{(\w+)\}/g, (_, name) => name.endsWith("_pretty") ? day(stamp).replace("Today", "today") : long[name] ?? `{${name}}`);
  return el("time", { datetime: at.toISOString(), title: at.toString() }, text);
}

function ago(at) {
  const minutes = Math.round((Date.now() - at.getTime()) / 60000);
  if (minutes < 1) return "just now";
  return minutes < 90 ? `${minutes} min ago` : `${Math.round(minutes / 60)} h ago`;
}

// rich_text blocks: sections, lists, quotes, code; the common inline elements.
export function richText(block) {
  return el("div", { class: "mrkdwn" }, (block.elements ?? []).map(richPart));
}

function richPart(part) {
  if (part.type === "rich_text_list") {
    const items = part.elements.map((item) => el("li", {}, richPart(item)));
    return el(part.style === "ordered" ? "ol" : "ul", { class: `indent-${part.indent ?? 0}` }, items);
  }
  if (part.type === "rich_text_preformatted") return pre((part.elements ?? []).map((item) => escape(item.text ?? item.url ?? "")).join(""));
  const tag = part.type === "rich_text_quote" ? "blockquote" : "span";
  return el(tag, {}, (part.elements ?? []).flatMap(richInline));
}

function richInline(item) {
  if (item.type === "user") return mention(`@${names.user(item.user_id)}`, names.isMe?.(item.user_id));
  if (item.type === "channel") return channelLink(item.channel_id);
  if (item.type === "emoji") return emoji(item.name) ?? `:${item.name}:`;
  if (item.type === "broadcast") return mention(`@${item.range}`, true);
  if (item.type === "link") return angle(escape(item.url) + (item.text ? `|${escape(item.text)}` : ""));
  if (item.type === "date") return date(`!date^${item.timestamp}^${item.format}`, item.fallback);
  const style = item.style ?? {};
  const text = String(item.text ?? "").split("\n").flatMap((line, index) => (index ? [el("br"), plain(line)] : [plain(line)]));
  let node = el("span", {}, text);
  if (style.code) node = el("code", {}, node);
  if (style.bold) node = el("strong", {}, node);
  if (style.italic) node = el("em", {}, node);
  if (style.strike) node = el("s", {}, node);
  return node;
}
