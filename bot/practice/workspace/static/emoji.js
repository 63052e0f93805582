// Emoji drawn here, so that they look the same everywhere, with or without an emoji font.
import { el, svg } from "./dom.js";

const P = (d, fill) => ["path", { d, fill }];
const C = (cx, cy, r, fill) => ["circle", { cx, cy, r, fill }];
const R = (x, y, width, height, fill, rx = 1) => ["rect", { x, y, width, height, fill, rx }];
const L = (d, stroke, width = 2) => ["path", { d, stroke, "stroke-width": width, fill: "none", "stroke-linecap": "round", "stroke-linejoin": "round" }];
const disc = (colour) => [C(10, 10, 8.5, colour)];
const square = (colour) => [R(2, 2, 16, 16, colour, 2)];
const clock = [C(10, 10, 8, "#fff"), ["circle", { cx: 10, cy: 10, r: 8, fill: "none", stroke: "#5b6770", "stroke-width": 2 }], L("M10 5v5l3.500 2", "#d9482b")];
const bellShape = P("M10 2.500c-3.600 0-5.500 2.600-5.500 6 0 3.800-1.300 5-2.300 6.200h15.600c-1-1.200-2.300-2.400-2.300-6.200 0-3.400-1.900-6-5.500-6zM8 16a2 2 0 0 0 4 0z", "#e8a317");

const DRAWN = {
  red_circle: ["🔴", disc("#dd2e44")], large_orange_circle: ["🟠", disc("#f4900c")], large_yellow_circle: ["🟡", disc("#f5c518")],
  large_green_circle: ["🟢", disc("#35a853")], large_blue_circle: ["🔵", disc("#3b82f6")], large_purple_circle: ["🟣", disc("#9b59d0")],
  white_circle: ["⚪", [C(10, 10, 8, "#fff"), ["circle", { cx: 10, cy: 10, r: 8, fill: "none", stroke: "#b6bcc4", "stroke-width": 1.5 }]]],
  black_circle: ["⚫", disc("#2b2f36")],
  large_red_square: ["🟥", square("#dd2e44")], large_orange_square: ["🟧", square("#f4900c")], large_yellow_square: ["🟨", square("#f5c518")],
  large_green_square: ["🟩", square("#35a853")], large_blue_square: ["🟦", square("#3b82f6")],
  white_check_mark: ["✅", [R(1.5, 1.5, 17, 17, "#35a853", 4), L("M5.500 10.500l3 3 6-7", "#fff", 2.400)]],
  heavy_check_mark: ["✔️", [L("M3.500 11l4.500 4.500 8.500-11", "#2b2f36", 3)]],
  x: ["❌", [L("M4 4l12 12M16 4L4 16", "#dd2e44", 3.200)]],
  warning: ["⚠️", [P("M10 1.500L19 17.500H1z", "#f5c518"), R(9, 6.5, 2, 6, "#2b2f36"), C(10, 14.8, 1.2, "#2b2f36")]],
  rotating_light: ["🚨", [P("M4 14c0-5 2-9 6-9s6 4 6 9z", "#dd2e44"), R(2.5, 14, 15, 4, "#5b6770", 1.5), L("M10 1v2M3 3.500l1.500 1.500M17 3.500L15.500 5", "#f4900c", 1.600), P("M8 13c0-3 .500-5 2-6-.500 2-.500 4 0 6z", "#ff9aa5")]],
  fire: ["🔥", [P("M10 1c1 3 6 5.500 6 11a6 6 0 0 1-12 0c0-2.500 1-4 2.500-5.500 0 1.500.500 2.500 1.500 3C8 6.500 9 4 10 1z", "#f4900c"), P("M10 10c.500 1.500 2.800 2.500 2.800 5a2.800 2.800 0 0 1-5.600 0c0-2 1.800-3 2.800-5z", "#ffdc5d")]],
  eyes: ["👀", [["ellipse", { cx: 5.800, cy: 10, rx: 4.300, ry: 5.800, fill: "#fff", stroke: "#8b95a1" }], ["ellipse", { cx: 14.200, cy: 10, rx: 4.300, ry: 5.800, fill: "#fff", stroke: "#8b95a1" }], C(4.7, 11, 2.2, "#2b2f36"), C(13.1, 11, 2.2, "#2b2f36")]],
  bell: ["🔔", [bellShape]], no_bell: ["🔕", [bellShape, L("M3 3l14 14", "#dd2e44", 2.200)]],
  hourglass_flowing_sand: ["⏳", [P("M4 2h12v2c0 3-3.500 4.500-4.500 6 1 1.500 4.500 3 4.500 6v2H4v-2c0-3 3.500-4.500 4.500-6C7.500 8.500 4 7 4 4z", "#8fb8de"), P("M6 16.500c1-2 3-2.500 4-4 1 1.500 3 2 4 4z", "#e8a317")]],
  hourglass: ["⌛", [P("M4 2h12v2c0 3-3.500 4.500-4.500 6 1 1.500 4.500 3 4.500 6v2H4v-2c0-3 3.500-4.500 4.500-6C7.500 8.500 4 7 4 4z", "#8fb8de"), P("M6 16.500c1-2 3-2.500 4-4 1 1.500 3 2 4 4z", "#e8a317")]],
  stopwatch: ["⏱️", clock], alarm_clock: ["⏰", clock], clock3: ["🕒", clock],
  leftwards_arrow_with_hook: ["↩️", [R(1, 1, 18, 18, "#3b82f6", 4), L("M5 8h7a3 3 0 0 1 0 6H9M8 5L5 8l3 3", "#fff")]],
  rewind: ["⏪", [R(1, 1, 18, 18, "#3b82f6", 4), P("M10 5v10l-6-5zM16 5v10l-6-5z", "#fff")]],
  arrows_counterclockwise: ["🔄", [R(1, 1, 18, 18, "#3b82f6", 4), L("M5 9a5 5 0 0 1 9-2M15 11a5 5 0 0 1-9 2M14.500 4v3h-3M5.500 16v-3h3", "#fff", 1.800)]],
  arrow_up: ["⬆️", [R(1, 1, 18, 18, "#3b82f6", 4), L("M10 15V5M6 9l4-4 4 4", "#fff")]],
  arrow_down: ["⬇️", [R(1, 1, 18, 18, "#3b82f6", 4), L("M10 5v10M6 11l4 4 4-4", "#fff")]],
  lock: ["🔒", [R(4, 9, 12, 9, "#e8a317", 2), L("M6.500 9V6.500a3.500 3.500 0 0 1 7 0V9", "#5b6770")]],
  link: ["🔗", [L("M8.500 11.500l3-3M9 6l2-2a3.500 3.500 0 0 1 5 5l-2 2M11 14l-2 2a3.500 3.500 0 0 1-5-5l2-2", "#5b6770", 2.200)]],
  memo: ["📝", [R(3, 2, 12, 16, "#eef1f4", 1.5), L("M5.500 6h7M5.500 9h7M5.500 12h4", "#8b95a1", 1.400), P("M17 7l1.800 1.800-6 6-2.500.700.700-2.500z", "#e8a317")]],
  page_facing_up: ["📄", [P("M4 1.500h8l4 4v13H4z", "#eef1f4"), P("M12 1.500v4h4z", "#b6bcc4"), L("M6.500 9h7M6.500 12h7M6.500 15h4", "#8b95a1", 1.300)]],
  book: ["📖", [P("M1.500 4c3-1 6-1 8.500 1 2.500-2 5.500-2 8.500-1v12c-3-1-6-1-8.500 1-2.500-2-5.500-2-8.500-1z", "#3b82f6"), P("M3 5c2.500-.600 4.500-.300 6.300 1v9.500C7.500 14.300 5.500 14.200 3 14.600zM17 5c-2.500-.600-4.500-.300-6.300 1v9.500c1.800-1.200 3.800-1.300 6.300-.900z", "#fff")]],
  bar_chart: ["📊", [R(1.5, 1.5, 17, 17, "#eef1f4", 2), R(4, 10, 3, 6, "#35a853", .5), R(8.5, 5, 3, 11, "#3b82f6", .5), R(13, 8, 3, 8, "#dd2e44", .5)]],
  chart_with_upwards_trend: ["📈", [R(1.5, 1.5, 17, 17, "#eef1f4", 2), L("M4 14l4-4 3 2 5-7", "#dd2e44", 1.800)]],
  chart_with_downwards_trend: ["📉", [R(1.5, 1.5, 17, 17, "#eef1f4", 2), L("M4 5l4 5 3-2 5 7", "#3b82f6", 1.800)]],
  mag: ["🔍", [C(8, 8, 5.5, "#cfe4f7"), L("M12.500 12.500l5 5", "#5b6770", 2.800), ["circle", { cx: 8, cy: 8, r: 5.500, fill: "none", stroke: "#5b6770", "stroke-width": 2 }]]],
  bust_in_silhouette: ["👤", [C(10, 7, 4, "#5b6f8c"), P("M2.500 18c0-4.500 3-6.500 7.500-6.500s7.500 2 7.500 6.500z", "#5b6f8c")]],
  busts_in_silhouette: ["👥", [C(7, 7.5, 3.5, "#5b6f8c"), C(14, 8, 2.8, "#8296b3"), P("M1 17.500c0-4 2.500-5.500 6-5.500s6 1.500 6 5.500zM13.500 17.500c0-2-.400-3.500-1.300-4.700 4.300-1 6.800 1 6.800 4.700z", "#5b6f8c")]],
  telephone_receiver: ["📞", [P("M3 3l4-1 2 4.500L7 8.500c1 2 2.500 3.500 4.500 4.500l2-2L18 13l-1 4c-.200.700-.800 1-1.500 1C8.500 17.500 2.500 11.500 2 4.500 2 3.800 2.300 3.200 3 3z", "#5b6770")]],
  speech_balloon: ["💬", [P("M2 3h16v11H9l-4 4v-4H2z", "#cfd8e3"), C(6.5, 8.5, 1.2, "#5b6770"), C(10, 8.5, 1.2, "#5b6770"), C(13.5, 8.5, 1.2, "#5b6770")]],
  pushpin: ["📌", [P("M7 2h6l-.500 6 3 3.500h-11L7.500 8z", "#dd2e44"), L("M10 12v6", "#8b95a1", 1.600)]],
  zap: ["⚡", [P("M11.500 1L3.500 11.500H9L8 19l8.500-11.500H11z", "#f5c518")]],
  information_source: ["ℹ️", [R(1, 1, 18, 18, "#3b82f6", 4), C(10, 5.5, 1.5, "#fff"), R(8.8, 8.5, 2.4, 7.5, "#fff")]],
  question: ["❓", [L("M6.500 6.500a3.500 3.500 0 1 1 5 3.200c-1 .600-1.500 1.100-1.500 2.800", "#dd2e44", 2.600), C(10, 16.5, 1.6, "#dd2e44")]],
  no_entry: ["⛔", [C(10, 10, 8.5, "#dd2e44"), R(4.5, 8.5, 11, 3, "#fff")]],
  octagonal_sign: ["🛑", [P("M6.500 1.500h7l5 5v7l-5 5h-7l-5-5v-7z", "#dd2e44")]],
  rocket: ["🚀", [P("M17.500 2.500c-5 0-8.500 2.500-10.500 7l3.500 3.500c4.500-2 7-5.500 7-10.500z", "#b6c4d4"), P("M7 9.500l-4 .800 2.500-3.300L9 6.500zM10.500 13l-.800 4 3.300-2.500.500-3.500z", "#dd2e44"), C(13, 7, 1.6, "#3b82f6"), P("M3 17c0-2 1-3.500 2.500-4l1.500 1.500C6.500 16 5 17 3 17z", "#f4900c")]],
  wrench: ["🔧", [P("M17.500 5.500l-3 3-3-3 3-3c-3-1-6 1.500-5 5L2.500 14.500a2.100 2.100 0 0 0 3 3L12.500 10.500c3.500 1 6-2 5-5z", "#8296a8")]],
  hammer_and_wrench: ["🛠️", [P("M17.500 5.500l-3 3-3-3 3-3c-3-1-6 1.500-5 5L2.500 14.500a2.100 2.100 0 0 0 3 3L12.500 10.500c3.500 1 6-2 5-5z", "#8296a8"), L("M5 4l11 13", "#b5793a", 2.600), R(2, 2, 6, 3.500, "#5b6770")]],
  package: ["📦", [P("M2 6l8-4 8 4v9l-8 4-8-4z", "#c89a64"), P("M2 6l8 4 8-4-8-4z", "#dab583"), L("M10 10v9", "#a87b45", 1.200)]],
  tada: ["🎉", [P("M2 18L7 6l7 7z", "#f5c518"), C(13, 4, 1.3, "#dd2e44"), C(17, 8, 1.3, "#3b82f6"), C(16, 13, 1.2, "#35a853"), L("M10 8c1-2 .500-4-.500-5.500M12 10c2-1 4-.500 5.500.500", "#9b59d0", 1.500)]],
  shield: ["🛡️", [P("M10 1.500l7.500 2.500v6c0 4.500-3.500 7-7.500 9-4-2-7.500-4.500-7.500-9V4z", "#5b84b1"), P("M10 3.500v13c3-1.600 5.500-3.500 5.500-6.800V5.300z", "#82a6cc")]],
  calendar: ["📅", [R(2, 3, 16, 15, "#eef1f4", 2), R(2, 3, 16, 4.500, "#dd2e44", 2), R(5, 10, 3, 3, "#8b95a1"), R(9, 10, 3, 3, "#8b95a1"), R(13, 10, 3, 3, "#8b95a1")]],
  robot_face: ["🤖", [R(3, 5, 14, 12, "#9fb0c0", 3), C(7.2, 10, 1.8, "#fff"), C(12.8, 10, 1.8, "#fff"), R(6.5, 13.5, 7, 1.6, "#5b6770"), L("M10 5V2.500", "#5b6770", 1.500), C(10, 2, 1.2, "#dd2e44")]],
  key: ["🔑", [["circle", { cx: 6.500, cy: 7, r: 3.600, fill: "none", stroke: "#e8a317", "stroke-width": 2.600 }], L("M9 9.500l7.500 7.500M13.500 14l2-2", "#e8a317", 2.400)]],
  "+1": ["👍", [P("M7 9l3.500-7c1.700 0 2.300 1.500 2 3l-.600 3H17c1.300 0 2 1 1.700 2.200l-1.400 6c-.300 1-1 1.800-2.200 1.800H7zM2 9h3.500v9H2z", "#f5c518")]],
  "-1": ["👎", [P("M7 11l3.500 7c1.700 0 2.300-1.500 2-3l-.600-3H17c1.300 0 2-1 1.700-2.200l-1.400-6C17 2.800 16.300 2 15.100 2H7zM2 2h3.500v9H2z", "#f5c518")]],
};
const ALIAS = { thumbsup: "+1", thumbsdown: "-1", alert: "rotating_light", page: "page_facing_up", closed_book: "book", lower_left_ballpoint_pen: "memo", large_red_circle: "red_circle", yellow_circle: "large_yellow_circle", green_circle: "large_green_circle", large_check_mark: "white_check_mark", phone: "telephone_receiver", telephone: "telephone_receiver", exclamation: "warning", gear: "wrench", timer_clock: "stopwatch", spiral_calendar_pad: "calendar", date: "calendar", mag_right: "mag", ballot_box_with_check: "white_check_mark", sos: "rotating_light", stop_sign: "octagonal_sign" };
const PLAIN = { hand: "✋", wave: "👋", pray: "🙏", smile: "😄", thinking_face: "🤔", ghost: "👻", heart: "❤️", star: "⭐", bulb: "💡", checkered_flag: "🏁", raised_hands: "🙌", clap: "👏", sweat_smile: "😅", skull: "💀", boom: "💥", bug: "🐛", broken_heart: "💔", email: "✉️", globe_with_meridians: "🌐", arrow_right: "➡️", point_right: "👉", house: "🏠", ok_hand: "👌", ok: "🆗", new: "🆕" };

const BY_CHARACTER = new Map(Object.entries(DRAWN).map(([name, [character]]) => [character.replace("\ufe0f", ""), name]));
export const CHARACTERS = new RegExp(`(?:${[...BY_CHARACTER.keys()].join("|")})\ufe0f?`, "u");

function picture(name) {
  const node = svg("svg", { viewBox: "0 0 20 20", class: "emoji", role: "img", "aria-label": `:${name}:` });
  for (const [tag, attributes] of DRAWN[name][1]) node.append(svg(tag, attributes));
  return node;
}

// The emoji of a :name:, or null when there is none.
export function emoji(name) {
  const plain = name.replace(/::skin-tone-\d$/, "");
  const known = ALIAS[plain] ?? plain;
  if (DRAWN[known]) return picture(known);
  return PLAIN[known] ? el("span", { class: "emoji-text" }, PLAIN[known]) : null;
}

export function emojiOfCharacter(character) {
  return picture(BY_CHARACTER.get(character.replace("\ufe0f", "")));
}
