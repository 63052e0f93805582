// Small helpers to build the page; text always goes in as text, never as HTML.

export function el(tag, options = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "class") node.className = value;
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(node.dataset, value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

const SVG = "http://www.w3.org/2000/svg";

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// The one place where HTML enters the page: it comes from our server, which made it with markdown-it and cleaned it with nh3.
export function cleanedHtml(html) {
  const node = el("div", { class: "markdown" });
  node.innerHTML = html;
  for (const link of node.querySelectorAll("a[href]")) {
    link.target = "_blank";
    link.rel = "noopener noreferrer";
  }
  for (const code of node.querySelectorAll("pre > code")) colourDiff(code);
  return node;
}

export function safeLink(url) {
  return /^(https?:|mailto:)/i.test(url) ? url : "";
}

// Colours the lines of a code block that are additions or removals, when it looks like a diff.
export function colourDiff(node, says = false) {
  const lines = node.textContent.replace(/\n$/, "").split("\n");
  const changed = lines.filter((line) => /^[+-]/.test(line)).length;
  const isDiff = says || node.classList.contains("language-diff") || (changed > 0 && changed >= lines.length / 4);
  if (!isDiff) return;
  node.replaceChildren(...lines.map((line) => {
    const kind = line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : line.startsWith("@@") ? "hunk" : "";
    return el("span", { class: `diff ${kind}` }, line || " ");
  }));
}

export function time(ts, withDay = false) {
  const date = new Date(Number(ts) * 1000);
  const clock = date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  return withDay ? `${day(ts)} at ${clock}` : clock;
}

export function day(ts) {
  const date = new Date(Number(ts) * 1000);
  const today = new Date();
  if (date.toDateString() === today.toDateString()) return "Today";
  return date.toLocaleDateString("en-GB", { weekday: "long", day: "numeric", month: "long" });
}

export async function post(path, body) {
  try {
    const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    return await answer.json();
  } catch {
    return { ok: false, error: "the practice server does not answer" };
  }
}

export function toast(text, action) {
  const node = el("div", { class: "toast" }, text, action && el("button", { onclick: () => { node.remove(); action.run(); } }, action.text));
  document.getElementById("toasts").append(node);
  setTimeout(() => node.remove(), 7000);
}
