// Block Kit to DOM nodes, for messages and modals. `act(element, block, value)` is called on every click or choice.
import { cleanedHtml, el } from "./dom.js";
import { mrkdwn, plain, richText } from "./mrkdwn.js";

const env = { people: () => [], channels: () => [] };

export function useLists(lists) {
  Object.assign(env, lists);
}

export function textOf(object) {
  if (!object) return null;
  return object.type === "mrkdwn" ? mrkdwn(object.text) : plain(object.text);
}

function image(source, className) {
  const url = source.slack_file ? `/files/${encodeURIComponent(source.slack_file.id ?? fileId(source.slack_file.url))}/image` : source.image_url;
  return el("img", { class: className, src: url, alt: source.alt_text ?? "", loading: "lazy" });
}

function fileId(url) {
  return (url ?? "").split("/files/")[1]?.split("/")[0] ?? "";
}

const BLOCKS = {
  header: (block) => el("h3", { class: "b-header" }, plain(block.text.text)),
  divider: () => el("hr"),
  markdown: (block) => cleanedHtml(block.html ?? ""),
  rich_text: richText,
  image: (block) => el("figure", {}, block.title && el("figcaption", {}, plain(block.title.text)), image(block, "b-image")),
  context: (block) => el("div", { class: "b-context" }, block.elements.map((item) => (item.type === "image" ? image(item, "b-icon") : textOf(item)))),
  actions: (block, act) => el("div", { class: "b-actions" }, block.elements.map((item) => element(item, block, act))),
  section(block, act) {
    const fields = (block.fields ?? []).map((field) => el("div", { class: "field" }, textOf(field)));
    const body = el("div", { class: "b-body" }, textOf(block.text), fields.length > 0 && el("div", { class: "b-fields" }, fields));
    return el("div", { class: "b-section" }, body, block.accessory && element(block.accessory, block, act));
  },
  input(block, act) {
    const label = el("label", {}, plain(block.label.text), block.optional && el("span", { class: "optional" }, " (optional)"));
    const hint = block.hint && el("div", { class: "hint" }, plain(block.hint.text));
    return el("div", { class: "b-input", data: { block: block.block_id } }, label, element(block.element, block, block.dispatch_action ? act : () => {}), hint, el("div", { class: "field-error" }));
  },
};

export function blocks(list, act) {
  return list.map((block) => (BLOCKS[block.type] ?? (() => el("div", { class: "unknown" }, `(${block.type})`)))(block, act));
}

function element(item, block, act) {
  const where = { block: block.block_id, action: item.action_id };
  const run = (value, node) => confirmed(item.confirm, () => act(item, block, value, node));
  if (item.type === "image") return image(item, "b-thumb");
  if (item.type === "button") {
    const node = el("button", { type: "button", class: `b-button ${item.style ?? ""}`, data: where, "aria-label": item.accessibility_label, onclick: () => {
      if (item.url && /^https?:/.test(item.url)) window.open(item.url, "_blank", "noopener");
      run(item.value, node);
    } }, plain(item.text.text));
    return node;
  }
  if (item.type === "overflow") return overflow(item, where, run);
  if (item.type === "checkboxes" || item.type === "radio_buttons") return choices(item, block, where, run);
  if (/select$/.test(item.type)) return select(item, where, run);
  return typed(item, where, run);
}

function overflow(item, where, run) {
  const menu = el("div", { class: "menu", hidden: true }, item.options.map((option) => el("button", { type: "button", onclick: () => { menu.hidden = true; run(option.value); } }, plain(option.text.text))));
  const toggle = () => {
    menu.hidden = !menu.hidden;
    if (!menu.hidden) setTimeout(() => document.addEventListener("click", () => { menu.hidden = true; }, { once: true }));
  };
  return el("span", { class: "overflow" }, el("button", { type: "button", class: "b-button", data: where, "aria-label": "More", onclick: toggle }, "⋯"), menu);
}

function optionsOf(item) {
  const initial = [item.initial_option, ...(item.initial_options ?? [])].filter(Boolean).map((option) => option.value);
  const picked = [...initial, item.initial_user, item.initial_channel, item.initial_conversation, ...(item.initial_users ?? []), ...(item.initial_channels ?? [])];
  const make = (text, value) => el("option", { value, selected: picked.includes(value) }, text);
  if (item.type.includes("users")) return env.people().map((user) => make(user.real_name, user.id));
  if (item.type.includes("channels") || item.type.includes("conversations")) return env.channels().map((channel) => make(`#${channel.name}`, channel.id));
  if (item.option_groups) return item.option_groups.map((group) => el("optgroup", { label: group.label.text }, group.options.map((option) => make(option.text.text, option.value))));
  return (item.options ?? []).map((option) => make(option.text.text, option.value));
}

function select(item, where, run) {
  const many = item.type.startsWith("multi_");
  const options = optionsOf(item);
  const none = !many && el("option", { value: "" }, item.placeholder?.text ?? "Choose…");
  const node = el("select", { class: "b-select", multiple: many, size: many ? Math.min(5, Math.max(2, options.length)) : undefined, data: { ...where, kind: item.type }, onchange: () => {
    const values = [...node.selectedOptions].map((option) => option.value).filter(Boolean);
    if (many || values.length) run(many ? values : values[0], node);
  } }, none, options);
  return node;
}

function choices(item, block, where, run) {
  const kind = item.type === "checkboxes" ? "checkbox" : "radio";
  const initial = [item.initial_option, ...(item.initial_options ?? [])].filter(Boolean).map((option) => option.value);
  const node = el("div", { class: "choices", data: { ...where, kind: item.type } }, item.options.map((option) => el("label", {},
    el("input", { type: kind, name: `${block.block_id}.${item.action_id}`, value: option.value, checked: initial.includes(option.value), onchange: () => {
      const values = [...node.querySelectorAll("input:checked")].map((input) => input.value);
      run(kind === "radio" ? values[0] : values, node);
    } }), el("span", {}, textOf(option.text), option.description && el("small", {}, textOf(option.description))))));
  return node;
}

function typed(item, where, run) {
  const data = { ...where, kind: item.type };
  const placeholder = item.placeholder?.text;
  if (item.type === "plain_text_input" && item.multiline) return el("textarea", { class: "b-text", rows: 4, placeholder, maxlength: item.max_length, data }, item.initial_value ?? "");
  const type = { datepicker: "date", timepicker: "time", datetimepicker: "datetime-local", number_input: "number", email_text_input: "email", url_text_input: "url" }[item.type] ?? "text";
  const value = item.initial_value ?? item.initial_date ?? item.initial_time;
  return el("input", { class: "b-text", type, placeholder, value, maxlength: item.max_length, min: item.min_value, max: item.max_value, step: item.is_decimal_allowed ? "any" : undefined, data, onchange: (event) => run(event.target.value, event.target) });
}

// What stands in the fields of a modal: {block: {action: value}}.
export function valuesIn(form) {
  const values = {};
  for (const node of form.querySelectorAll("[data-kind]")) {
    const { block, action, kind } = node.dataset;
    let value = node.value;
    if (node.matches(".choices")) {
      const checked = [...node.querySelectorAll("input:checked")].map((input) => input.value);
      value = kind === "checkboxes" ? checked : checked[0];
    } else if (node.multiple) value = [...node.selectedOptions].map((option) => option.value);
    else if (kind === "datetimepicker" && value) value = Math.floor(new Date(value).getTime() / 1000);
    (values[block] ??= {})[action] = value === "" ? null : value;
  }
  return values;
}

function confirmed(dialog, run) {
  if (!dialog) { run(); return; }
  const overlay = document.getElementById("overlay");
  const close = () => { overlay.hidden = true; overlay.replaceChildren(); };
  overlay.replaceChildren(el("div", { class: "dialog small", role: "alertdialog" },
    el("h2", {}, plain(dialog.title.text)), el("div", { class: "dialog-body" }, textOf(dialog.text)),
    el("div", { class: "dialog-buttons" }, el("button", { class: "b-button", onclick: close }, plain(dialog.deny.text)),
      el("button", { class: `b-button filled ${dialog.style === "danger" ? "danger" : "primary"}`, onclick: () => { close(); run(); } }, plain(dialog.confirm.text)))));
  overlay.hidden = false;
  overlay.querySelector(".filled").focus();
}
