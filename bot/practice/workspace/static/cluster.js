// The right panel: what the practice cluster does, and buttons to break things.
import { el, post, svg, toast } from "./dom.js";
import { store } from "./store.js";

const BAD_REASONS = /CrashLoop|Error|OOM|ImagePull|ErrImage|Failed|BackOff/;
const TROUBLE = [
  ["Slack down for 8 calls", { kind: "down", method: "*", count: 8 }],
  ["Lose the next answer", { kind: "lost", method: "chat.*", count: 1 }],
  ["Rate limit, 3 calls", { kind: "429", method: "chat.*", seconds: 2, count: 3 }],
];
const parts = {};

export function drawCluster() {
  const panel = document.getElementById("cluster");
  panel.hidden = !store.cluster;
  document.getElementById("app").classList.toggle("no-cluster", !store.cluster);
  if (!store.cluster) return;
  if (!parts.ratio) build(panel);
  const { error_ratio: ratio = 0, deployments = [], pods = [], events = [] } = store.cluster;
  parts.ratio.replaceChildren(gauge(ratio), sparkline(store.samples));
  const podsOf = (item) => pods.filter((pod) => pod.deployment === item.name && pod.namespace === item.namespace);
  // What is in trouble comes first; otherwise the order stays.
  const sorted = [...deployments].sort((a, b) => Number(a.ready >= a.replicas) - Number(b.ready >= b.replicas) || a.name.localeCompare(b.name));
  redraw(parts.deployments, sorted.map((item) => deployment(item, podsOf(item))));
  redraw(parts.events, events.slice(-12).reverse().map(event));
}

// Only what looks different is replaced, so that a tooltip stays open and nothing flickers every second.
function redraw(parent, nodes) {
  nodes.forEach((node, index) => {
    const old = parent.children[index];
    if (!old) parent.append(node);
    else if (!old.isEqualNode(node)) old.replaceWith(node);
  });
  while (parent.children.length > nodes.length) parent.lastChild.remove();
}

function build(panel) {
  for (const name of ["ratio", "deployments", "events"]) parts[name] = el("div", { class: name });
  const again = el("button", { class: "break", onclick: async () => {
    again.disabled = true;
    const answer = await post("/control/break", {});
    toast(answer.ok ? "Deployed checkout 1.4.2: errors will rise in a moment." : `Could not deploy: ${answer.error}`);
    setTimeout(() => { again.disabled = false; }, 3000);
  } }, "Break it again: deploy 1.4.2");
  const trouble = TROUBLE.map(([text, fault]) => el("button", { onclick: async () => { await post("/control/faults", fault); toast(`Set: ${text.toLowerCase()}.`); } }, text));
  panel.replaceChildren(el("header", {}, el("h2", {}, "Practice cluster")), parts.ratio, again, parts.deployments, el("h3", {}, "Events"), parts.events,
    el("h3", {}, "Trouble with Slack"), el("div", { class: "trouble" }, trouble));
}

function gauge(ratio) {
  const level = ratio >= 0.05 ? "bad" : ratio >= 0.01 ? "warn" : "good";
  return el("div", { class: `gauge ${level}` }, el("span", { class: "number" }, `${(ratio * 100).toFixed(1)} %`), el("span", { class: "caption" }, "of requests fail"));
}

function sparkline(samples) {
  const width = 300;
  const height = 56;
  const values = samples.map((sample) => sample[1]);
  const most = Math.max(0.05, ...values);
  const x = (index) => (values.length < 2 ? width : (index / (values.length - 1)) * width);
  const y = (value) => height - 3 - (value / most) * (height - 8);
  const points = values.map((value, index) => `${x(index).toFixed(1)},${y(value).toFixed(1)}`);
  const line = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "spark", preserveAspectRatio: "none", role: "img", "aria-label": "error ratio over the last minutes" });
  line.append(svg("line", { x1: 0, x2: width, y1: y(0.05), y2: y(0.05), class: "threshold" }));
  if (points.length > 1) line.append(svg("polygon", { points: `0,${height} ${points.join(" ")} ${width},${height}`, class: "area" }), svg("polyline", { points: points.join(" "), class: "line" }));
  return line;
}

function tag(image) {
  return image.split("/").at(-1);
}

function age(seconds) {
  if (seconds < 90) return `${Math.max(0, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : seconds < 172800 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} d`;
}

function deployment(item, pods) {
  const whole = item.ready >= item.replicas;
  const recent = !whole || item.revisions.some((revision) => revision.revision === item.revision && revision.age_seconds < 3600);
  const revisions = [...item.revisions].sort((a, b) => b.revision - a.revision).slice(0, 3);
  return el("section", { class: "deployment" },
    el("div", { class: "deployment-head" }, el("span", { class: `dot ${whole ? "good" : "bad"}` }), el("strong", {}, item.name), el("span", { class: "ns" }, item.namespace), el("span", { class: `ready ${whole ? "" : "bad"}` }, `${item.ready}/${item.replicas} ready`)),
    el("div", { class: "image" }, `rev ${item.revision} · ${tag(item.image)}`),
    el("div", { class: whole ? "pods" : "pods wide" }, pods.map(pod)),
    recent && revisions.length > 1 && el("ol", { class: "revisions" }, revisions.map((revision) => el("li", { class: revision.revision === item.revision ? "current" : "" }, el("span", {}, `rev ${revision.revision}`), el("span", {}, tag(revision.image)), el("span", {}, age(revision.age_seconds))))));
}

function pod(item) {
  const bad = BAD_REASONS.test(item.reason ?? "") || item.phase === "Failed";
  const kind = bad ? "bad" : item.ready ? "good" : "wait";
  const state = item.reason || (item.ready ? "Ready" : item.phase);
  const title = `${item.name}\n${tag(item.image)}\n${item.phase}${item.reason ? `, ${item.reason}` : ""}\n${item.restarts} restarts, ${age(item.age_seconds)} old`;
  return el("span", { class: `pod ${kind}`, title }, el("b", {}, item.name.split("-").at(-1)), el("small", {}, state, item.restarts ? ` ×${item.restarts}` : ""));
}

function event(item) {
  const seconds = typeof item.time === "number" ? item.time : Date.parse(item.time) / 1000;
  const clock = Number.isFinite(seconds) ? new Date(seconds * 1000).toLocaleTimeString("en-GB") : String(item.time ?? "");
  return el("div", { class: `event ${item.type === "Warning" ? "warn" : ""}` }, el("time", {}, clock), el("strong", {}, item.reason), el("span", { title: item.message }, `${item.object} ${item.message}`));
}
