"use strict";
// Shows what a served model answers; in a self-contained page the answers lie in #answers instead.
// Whatever comes from the data is put in with textContent: no title is ever read as HTML.

const LISTED = 20, REASONS = 12, NEAR = 6, HAD = 50, SUGGESTED = 20;
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c564b", "#7f6fd6"];
const kept = document.getElementById("answers");
const inside = kept ? JSON.parse(kept.textContent) : null;
const $ = (id) => document.getElementById(id);
const state = { user: "", item: "", side: 0, by: "", colour: "", health: null, map: null, had: [], lists: [] };

class Refusal extends Error {}

async function ask(question, side = 0) {
  const path = (side ? "beside/" : "") + question;
  if (inside) {
    if (path in inside) return inside[path];
    throw new Refusal("This file holds no more about it.");
  }
  let answer;
  try {
    answer = await fetch(path);
  } catch {
    throw new Refusal("The server does not answer.");
  }
  const content = await answer.json();
  if (!answer.ok) throw new Refusal(content.error);
  return content;
}

function el(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made && key !== "list") made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

const named = (item) => item.title || item.id;
const word = (text) => encodeURIComponent(text);
const say = (text) => { $("status").textContent = text; };
const label = (side) => { const h = side ? state.health.beside : state.health; return h.model; };

function picture(item, side) {
  if (!item.picture) return null;
  const path = (side ? "beside/" : "") + "images/" + word(item.picture);
  const source = inside ? inside[(side ? "beside/" : "") + "images/" + item.picture] : path;
  return source ? el("img", { src: source, alt: "", loading: "lazy" }) : null;
}

function row(item, side, { rank = "", value = "", both = false } = {}) {
  const under = [item.title ? item.id : "", item.category || ""].filter(Boolean).join(" · ");
  const shown = picture(item, side), first = shown || (rank ? el("span", { className: "rank", textContent: rank }) : null);
  const button = el("button", { type: "button", className: first ? "" : "bare" },
    first,
    el("span", { className: "name", textContent: named(item) }),
    el("span", { className: "value", textContent: value }),
    !under && !both ? null : el("span", { className: "under" }, under, both ? el("span", { className: "both", textContent: (under ? " · " : "") + "in both lists" }) : null));
  button.dataset.item = item.id;
  button.dataset.side = side;
  button.setAttribute("aria-pressed", String(item.id === state.item && side === state.side));
  button.addEventListener("click", () => choose({ item: item.id, side }, true));
  return el("li", {}, button);
}

function listSection(title, entries, note = "", className = "") {
  const section = el("section", { className }, el("h2", { textContent: title }));
  section.append(note ? el("p", { className: "note", textContent: note }) : "", el("ol", { className: "items" }, ...entries));
  section.lastChild.setAttribute("aria-label", title);
  return section;
}

async function showUser() {
  const user = word(state.user);
  $("user").value = state.user;
  const sides = state.health.beside ? [0, 1] : [0];
  state.had = await ask(`users/${user}`);
  const notes = ["", ""];
  state.lists = await Promise.all(sides.map((side) => ask(`recommend?user=${user}&k=${LISTED}`, side).catch((error) => {
    if (!(error instanceof Refusal) || !side) throw error;
    notes[side] = error.message;
    return [];
  })));
  const ids = state.lists.map((list) => new Set(list.map((item) => item.id)));
  const both = (item) => sides.length > 1 && ids.every((known) => known.has(item.id));
  const more = state.had.length > HAD ? `The first ${HAD} of ${state.had.length}.` : "";
  const sections = [listSection(`User ${state.user} had`, state.had.slice(0, HAD).map((item) => row(item, 0)), more, "had")];
  for (const side of sides) {
    const rows = state.lists[side].map((item) => row(item, side, { rank: item.rank, value: item.score.toFixed(3), both: both(item) }));
    sections.push(listSection(sides.length > 1 ? `${label(side)} recommends` : "What the user gets", rows, notes[side]));
  }
  $("lists").className = sides.length > 1 ? "lists two" : "lists";
  $("lists").replaceChildren(...sections);
  const shared = sides.length > 1 ? ` ${state.lists[0].filter(both).length} items are in both lists.` : "";
  say(`User ${state.user} had ${state.had.length} items.${shared}`);
}

function bars(values, most) {
  const made = el("div", { className: "bars" });
  for (const [name, value] of values) {
    const bar = el("span", { className: value < 0 ? "less" : "" });
    bar.style.width = `${Math.min(100, 100 * Math.abs(value) / (most || 1))}%`;
    made.append(el("span", { textContent: name }), el("span", { className: "bar", ariaHidden: "true" }, bar), el("span", { className: "value", textContent: value.toFixed(3) }));
  }
  return made;
}

function reasonsOf(found) {
  const parts = [["collaborative", found.collaborative], ...Object.entries(found.through)];
  const most = Math.max(...parts.map(([, value]) => Math.abs(value)));
  const body = el("tbody");
  for (const one of found.neighbours) {
    const itself = one.item === found.item ? " (the item itself)" : one.chosen ? " (the user had it)" : "";
    body.append(el("tr", {}, el("td", {}, one.title || one.item, itself ? el("strong", { textContent: itself }) : null),
      el("td", { textContent: one.modality }), el("td", { textContent: one.hops }), el("td", { textContent: one.share.toFixed(3) })));
  }
  if (Math.abs(found.rest) > 5e-4) {
    body.append(el("tr", {}, el("td", { className: "note", textContent: "Smaller shares together", colSpan: 3 }), el("td", { textContent: found.rest.toFixed(3) })));
  }
  const head = el("tr", {}, ...["Item", "Through", "Steps", "Share"].map((name) => el("th", { scope: "col", textContent: name })));
  const made = [el("p", { textContent: `Score ${found.score.toFixed(3)}, which these parts add up to; collaborative is who likes what:` }), bars(parts, most)];
  if (Object.keys(found.modalities).length) {
    made.push(el("p", { textContent: "Its attention to each modality:" }), bars(Object.entries(found.modalities), 1));
  }
  made.push(el("div", { className: "wide", tabIndex: 0, role: "region", ariaLabel: "Items that add to the score" },
    el("table", {}, el("caption", { textContent: "The items that add most to the score" }), el("thead", {}, head), body)));
  return made;
}

async function orSentence(answer, show) {
  try {
    return show(await answer);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return [el("p", { className: "note", textContent: error.message })];
  }
}

async function showItem(focus) {
  const { item, side } = state, i = word(item);
  $("why").hidden = !item;
  for (const button of document.querySelectorAll("[data-item]")) {
    button.setAttribute("aria-pressed", String(button.dataset.item === item && Number(button.dataset.side) === side));
  }
  if (!item) return;
  const details = await orSentence(ask(`items/${i}`, side), (found) => {
    const others = Object.entries(found).filter(([name]) => !["id", "title", "picture", "attention", "category"].includes(name));
    $("why-title").textContent = `Why ${named(found)}`;
    return [el("p", { className: "note", textContent: [label(side), found.category || "", ...others.map(([name, value]) => `${name}: ${value}`)].filter(Boolean).join(" · ") })];
  });
  const question = `explain?user=${word(state.user)}&item=${i}&limit=${REASONS}`;
  const reasons = state.user ? await orSentence(ask(question, side), reasonsOf) : [];
  if (item !== state.item || side !== state.side) return;
  $("reasons").replaceChildren(...details, ...reasons);
  await showNear();
  if (focus) $("why-title").focus();
}

async function showNear() {
  const kinds = (state.side ? state.health.beside : state.health).by;
  if (!kinds.includes(state.by)) state.by = kinds[0];
  $("by").replaceChildren(...kinds.map((by) => el("option", { value: by, textContent: by, selected: by === state.by })));
  const { item, side, by } = state, question = `similar?item=${word(item)}&k=${NEAR}&by=${word(by)}`;
  const rows = await orSentence(ask(question, side), (found) => found.length
    ? found.map((item) => row(item, side, { value: item.cosine.toFixed(3) }))
    : [el("li", { className: "note", textContent: "It has none by this." })]);
  if (item === state.item && side === state.side && by === state.by) $("near").replaceChildren(...rows);
}

function shade(share) { // dark blue to yellow, readable on both backgrounds
  const stops = [[68, 90, 190], [33, 145, 140], [120, 190, 80], [240, 180, 20]];
  const place = Math.min(Math.max(share, 0), 1) * (stops.length - 1), low = Math.min(Math.floor(place), stops.length - 2);
  return `rgb(${stops[low].map((from, n) => Math.round(from + (stops[low + 1][n] - from) * (place - low))).join(",")})`;
}

function colouring() { // a colour per item, and the legend
  const map = state.map, attention = (map.attention || {})[state.colour];
  if (attention) {
    let low = Infinity, high = -Infinity;
    for (const value of attention) { low = Math.min(low, value); high = Math.max(high, value); }
    const legend = [0, 0.5, 1].map((share) => [shade(share), (low + share * (high - low)).toFixed(2)]);
    return [attention.map((value) => shade((value - low) / (high - low || 1))), legend];
  }
  const other = getComputedStyle(document.documentElement).getPropertyValue("--other").trim();
  if (!map.category) return [map.id.map(() => COLOURS[0]), []];
  const counts = new Map();
  for (const name of map.category) if (name) counts.set(name, (counts.get(name) || 0) + 1);
  const names = [...counts].sort((a, b) => b[1] - a[1]).slice(0, COLOURS.length).map(([name]) => name);
  const colours = new Map(names.map((name, n) => [name, COLOURS[n]]));
  const rest = map.category.some((name) => !colours.has(name)) ? [[other, "others"]] : [];
  return [map.category.map((name) => colours.get(name) || other), [...names.map((name) => [colours.get(name), name]), ...rest]];
}

function dot(colour, ring) {
  const space = "http://www.w3.org/2000/svg", made = document.createElementNS(space, "svg"), circle = document.createElementNS(space, "circle");
  made.setAttribute("viewBox", "0 0 10 10");
  made.setAttribute("aria-hidden", "true");
  for (const [name, value] of Object.entries({ cx: 5, cy: 5, r: ring ? 3.5 : 5, fill: ring ? "none" : colour, stroke: ring ? colour : "none", "stroke-width": ring || 0 })) circle.setAttribute(name, value);
  made.append(circle);
  return made;
}

function place(canvas, n) { // of an item on the canvas, in CSS pixels
  const { clientWidth: width, clientHeight: height } = canvas, { low, high } = state.map.range;
  const at = (value, axis, size) => 14 + (size - 28) * (value - low[axis]) / (high[axis] - low[axis] || 1);
  return [at(state.map.x[n], 0, width), height - at(state.map.y[n], 1, height)];
}

function drawMap() {
  if (!state.map) return;
  const canvas = $("points"), pen = canvas.getContext("2d"), ratio = window.devicePixelRatio || 1;
  canvas.width = canvas.clientWidth * ratio;
  canvas.height = canvas.clientHeight * ratio;
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  const [colours, legend] = colouring(), ink = getComputedStyle(document.body).color;
  const circle = (n, radius) => { const [x, y] = place(canvas, n); pen.beginPath(); pen.arc(x, y, radius, 0, 7); };
  const radius = colours.length > 3000 ? 1.8 : 3;
  pen.globalAlpha = 0.75;
  colours.forEach((colour, n) => { circle(n, radius); pen.fillStyle = colour; pen.fill(); });
  pen.globalAlpha = 1;
  const ring = (id, size, width) => {
    const n = state.map.row.get(id);
    if (n === undefined) return;
    circle(n, size); pen.strokeStyle = ink; pen.lineWidth = width; pen.stroke();
  };
  state.had.forEach((item) => ring(item.id, 5, 1));
  (state.lists[0] || []).forEach((item) => ring(item.id, 6, 2.5));
  if (state.item) ring(state.item, 10, 3);
  const marks = state.user ? [[ink, "had", 1], [ink, "recommended", 2.5]] : [];
  $("legend").replaceChildren(...[...legend, ...marks].map(([colour, name, line]) => el("li", {}, dot(colour, line), name)));
}

function nearestTo(event) {
  const canvas = $("points"), box = canvas.getBoundingClientRect();
  let best = -1, least = 400;
  for (let n = 0; n < state.map.id.length; n++) {
    const [x, y] = place(canvas, n), away = (x - event.clientX + box.left) ** 2 + (y - event.clientY + box.top) ** 2;
    if (away < least) [best, least] = [n, away];
  }
  return best;
}

async function loadMap() {
  const map = await ask("map");
  const range = (values) => values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
  const [x, y] = [range(map.x), range(map.y)];
  state.map = { ...map, row: new Map(map.id.map((id, n) => [id, n])), range: { low: [x[0], y[0]], high: [x[1], y[1]] } };
  const choices = [...(map.category ? [["category", "category"]] : []), ...Object.keys(map.attention || {}).map((m) => [m, `attention to ${m}`])];
  $("colour").replaceChildren(...choices.map(([value, text]) => el("option", { value, textContent: text })));
  $("colour").parentElement.hidden = !choices.length;
  if (!choices.some(([value]) => value === state.colour)) state.colour = choices.length ? choices[0][0] : "";
  $("colour").value = state.colour;
}

function remember() {
  const parts = Object.entries({ user: state.user, item: state.item, side: state.side || "", by: state.by, colour: state.colour });
  history.replaceState(null, "", "#" + parts.filter(([, value]) => value).map(([name, value]) => `${name}=${word(value)}`).join("&"));
}

async function choose(change, focus = false) {
  const newUser = change.user !== undefined;
  Object.assign(state, change);
  try {
    if (newUser) await showUser();
    await showItem(focus);
    drawMap();
    remember();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    say(error.message);
  }
}

async function suggest() {
  const question = `users?query=${word(inside ? "" : $("user").value)}&limit=${SUGGESTED}`;
  const found = await ask(question).catch(() => []);
  $("users").replaceChildren(...found.map((user) => el("option", { value: user })));
}

async function start() {
  try {
    state.health = await ask("health");
    const { model, dataset, beside } = state.health;
    $("heading").textContent = `${model}${beside ? ` beside ${beside.model}` : ""} on ${dataset}`;
    document.title = $("heading").textContent;
    if (beside) $("map-title").textContent = `Map of the items by ${model}`;
    const given = new URLSearchParams(location.hash.slice(1));
    for (const name of ["by", "colour"]) state[name] = given.get(name) || "";
    await suggest();
    await loadMap();
    const user = given.get("user") || ($("users").options[0] || {}).value;
    if (user) await choose({ user, item: given.get("item") || "", side: given.get("side") === "1" && beside ? 1 : 0 });
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    say(error.message);
  }
}

let waiting = 0;
$("ask").addEventListener("submit", (event) => { event.preventDefault(); choose({ user: $("user").value.trim(), item: "" }); });
$("user").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(suggest, 150); });
$("by").addEventListener("change", () => { state.by = $("by").value; showNear().then(remember); });
$("colour").addEventListener("change", () => { state.colour = $("colour").value; drawMap(); remember(); });
$("points").addEventListener("click", (event) => { const n = nearestTo(event); if (n >= 0) choose({ item: state.map.id[n], side: 0 }, true); });
$("points").addEventListener("mousemove", (event) => {
  const n = state.map ? nearestTo(event) : -1;
  $("pointed").textContent = n >= 0 ? (state.map.title && state.map.title[n]) || state.map.id[n] : "";
});
window.addEventListener("resize", drawMap);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawMap);
start();
