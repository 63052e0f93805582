// What the page knows: loaded once from /control/state, then kept current by /control/events.

export const store = {
  users: new Map(), channels: new Map(), views: {}, commands: {}, team: "", bot: "",
  me: localStorage.getItem("me") || "U0ADA", current: "", unread: new Map(), hidden: new Set(),
  cluster: null, samples: [], loaded: false,
};

const listeners = [];

export function onChange(listener) {
  listeners.push(listener);
}

export function changed(what) {
  for (const listener of listeners) listener(what);
}

function channelOf(data) {
  const known = store.channels.get(data.id);
  const messages = known?.messages ?? new Map();
  const { messages: list, ephemerals, ...about } = data;
  for (const message of [...(list ?? []), ...(ephemerals ?? [])]) messages.set(message.ts, message);
  return { ...about, messages };
}

export async function load() {
  const [state, cluster] = await Promise.all([fetch("/control/state").then((answer) => answer.json()),
    fetch("/control/cluster").then((answer) => (answer.ok ? answer.json() : null)).catch(() => null)]);
  store.team = state.team;
  store.commands = state.commands;
  store.views = state.views;
  store.users = new Map(state.users.map((user) => [user.id, user]));
  store.bot = state.users.find((user) => user.is_bot)?.id ?? "";
  store.channels.clear();
  for (const data of state.channels) store.channels.set(data.id, channelOf(data));
  if (!store.users.has(store.me)) store.me = people()[0]?.id ?? "";
  if (cluster) { store.cluster = cluster.data; store.samples = cluster.samples; }
  store.loaded = true;
  changed({ type: "all" });
}

export function listen(onState) {
  const source = new EventSource("/control/events");
  let lost = false;
  source.onopen = () => { onState(true); if (lost || !store.loaded) load(); lost = false; };
  source.onerror = () => { onState(false); lost = true; };
  source.onmessage = (event) => take(JSON.parse(event.data));
}

function take(change) {
  if (change.type === "channel") {
    const isNew = !store.channels.has(change.channel);
    store.channels.set(change.channel, channelOf(change.data));
    changed({ ...change, isNew });
  } else if (change.type === "message" && change.data) {
    const channel = store.channels.get(change.channel);
    if (!channel) return;
    const isNew = !channel.messages.has(change.ts);
    channel.messages.set(change.ts, change.data);
    changed({ ...change, isNew });
  } else if (change.type === "gone") {
    store.channels.get(change.channel)?.messages.delete(change.ts);
    changed(change);
  } else if (change.type === "view") {
    store.views[change.user] = change.data;
    changed(change);
  } else if (change.type === "users") {
    store.users = new Map(change.data.map((user) => [user.id, user]));
    changed(change);
  } else if (change.type === "cluster") {
    store.cluster = change.data;
    store.samples = change.samples;
    changed(change);
  }
}

export function people() {
  return [...store.users.values()].filter((user) => !user.is_bot && !user.deleted && user.id !== "USLACKBOT");
}

export function visible(channel) {
  if (channel.kind === "im") return channel.with === store.me;
  return channel.kind === "channel" || channel.members.includes(store.me);
}

export function isIncident(channel) {
  return channel.kind !== "im" && channel.creator === store.bot;
}

export function nameOf(userId) {
  const user = store.users.get(userId);
  return user ? user.real_name || user.name : userId;
}

export function shownMessages(channel) {
  return [...channel.messages.values()]
    .filter((message) => (!message.only_for || message.only_for === store.me) && !store.hidden.has(message.ts))
    .sort((a, b) => Number(a.ts) - Number(b.ts) || (a.ts < b.ts ? -1 : 1));
}
