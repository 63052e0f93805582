// Modals: the app's views, drawn over the page for the person they are open for.
import { el, post } from "./dom.js";
import { blocks, valuesIn } from "./blocks.js";
import { plain } from "./mrkdwn.js";
import { store } from "./store.js";

let shown = "";

export function drawModal() {
  const overlay = document.getElementById("overlay");
  const view = (store.views[store.me] ?? []).at(-1);
  if (!view) {
    if (shown) { overlay.hidden = true; overlay.replaceChildren(); shown = ""; }
    return;
  }
  const key = `${view.id} ${view.hash}`;
  if (key === shown) return;
  const typed = shown.startsWith(`${view.id} `) ? valuesIn(overlay) : {};
  overlay.replaceChildren(dialog(view));
  overlay.hidden = false;
  shown = key;
  restore(overlay, typed);
  overlay.querySelector("textarea, input, select")?.focus();
}

function restore(overlay, typed) {
  for (const node of overlay.querySelectorAll("[data-kind]")) {
    const value = typed[node.dataset.block]?.[node.dataset.action];
    if (typeof value === "string" && !node.matches(".choices")) node.value = value;
  }
}

function dialog(view) {
  const body = el("div", { class: "dialog-body" });
  const act = (item, block, value) => post("/control/click", { user: store.me, view_id: view.id, action_id: item.action_id, block_id: block.block_id, value, values: valuesIn(body) });
  body.append(...blocks(view.blocks, act));
  const note = el("p", { class: "dialog-note" });
  const close = () => post("/control/close", { user: store.me, view_id: view.id });
  const submit = view.submit && el("button", { class: "b-button filled primary", type: "submit" }, plain(view.submit.text));
  return el("form", { class: "dialog", role: "dialog", onsubmit: async (event) => {
    event.preventDefault();
    submit.disabled = true;
    show(body, note, await post("/control/submit", { user: store.me, view_id: view.id, values: valuesIn(body) }));
    submit.disabled = false;
  }, onkeydown: (event) => { if (event.key === "Escape") close(); } },
  el("header", {}, el("img", { src: "/static/icon.svg", alt: "" }), el("h2", {}, plain(view.title?.text ?? "")), el("button", { type: "button", class: "close", "aria-label": "Close", onclick: close }, "×")),
  body, note,
  el("div", { class: "dialog-buttons" }, el("button", { type: "button", class: "b-button", onclick: close }, view.close ? plain(view.close.text) : "Cancel"), submit));
}

function show(body, note, answer) {
  const errors = { ...(answer.errors ?? {}) };
  for (const block of answer.missing ?? []) errors[block] = "Please complete this required field.";
  for (const node of body.querySelectorAll(".b-input")) {
    const error = errors[node.dataset.block] ?? "";
    node.querySelector(".field-error").textContent = error;
    node.classList.toggle("wrong", Boolean(error));
  }
  note.textContent = answer.message ?? "";
}
