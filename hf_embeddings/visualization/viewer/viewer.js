// The frame: what is drawn when, and what the reader's hands do.

const map = at("map");
let waiting = 0, settling = 0;

/** Draw soon: with the next frame, or, where no frames are asked for, a moment later. */
function moved() {
  if (waiting) return;
  waiting = setTimeout(draw, 60);
  requestAnimationFrame(draw);
}
function draw() {
  if (!waiting) return;
  clearTimeout(waiting);
  waiting = 0;
  project();
  drawPoints();
  moveLabels();
  clearTimeout(settling);
  settling = setTimeout(settle, 90);
}
/** Once nothing moves, sizes and labels are made anew. */
function settle() {
  dress();
  project();
  drawPoints();
  placeLabels();
}
function changed() {
  dress();
  moved();
}

function choose(row) {
  if (row === chosen.point) return;
  chosen.point = row;
  drawCard();
  at("told").textContent = row < 0 ? "" : [DATA.labels[row], ...nearest(row).slice(0, 3).map(one => `${one.name} ${one.cosine}`)].join(", ");
  changed();
}

/** Pin the label of a point, or take the pin out. */
function toggle(row) {
  if (!chosen.pinned.delete(row)) chosen.pinned.add(row);
  drawCard();
  changed();
}

const fingers = new Map(); // of pointers that are down: where they are
let travelled = 0, wasOn = -1;
const place = event => {
  const box = map.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
};
map.addEventListener("pointerdown", event => {
  if (event.target.closest("#legend, #card")) return;
  fingers.set(event.pointerId, place(event));
  travelled = 0;
  wasOn = pointAt(...place(event), event.pointerType === "touch" ? 26 : 12);
  try { map.setPointerCapture(event.pointerId); } catch { /* a pointer that is made by a script */ }
});
map.addEventListener("pointermove", event => {
  const [x, y] = place(event), before = fingers.get(event.pointerId);
  if (!before) {
    if (event.pointerType !== "touch" && !event.target.closest("#legend, #card")) hover(x, y);
    return;
  }
  const [right, down] = [x - before[0], y - before[1]];
  travelled += Math.hypot(right, down);
  if (fingers.size === 2) pinch(event.pointerId, x, y);
  else if (FLAT || event.shiftKey) pan(right, down);
  else turn(-right / 160, down / 160);
  fingers.set(event.pointerId, [x, y]);
});
function hover(x, y) {
  const row = pointAt(x, y, 12);
  map.classList.toggle("on", row >= 0);
  if (row >= 0 || !chosen.pinned.has(chosen.point)) choose(row);
}
function pinch(id, x, y) {
  const [other] = [...fingers].filter(([own]) => own !== id).map(([, spot]) => spot), before = fingers.get(id);
  const spread = spot => Math.hypot(spot[0] - other[0], spot[1] - other[1]) || 1;
  zoom(spread([x, y]) / spread(before), (x + other[0]) / 2, (y + other[1]) / 2);
  pan((x - before[0]) / 2, (y - before[1]) / 2);
}
for (const kind of ["pointerup", "pointercancel"]) map.addEventListener(kind, event => {
  const was = fingers.delete(event.pointerId);
  if (!was || kind === "pointercancel" || travelled > 6 || fingers.size) return;
  choose(wasOn);
  if (wasOn >= 0 && event.pointerType === "touch") seek(wasOn);
  if (wasOn >= 0 && event.pointerType !== "touch") toggle(wasOn); // a finger has no other way to ask; the card has the pin
});
map.addEventListener("wheel", event => {
  event.preventDefault();
  zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0016)), ...place(event));
}, {passive: false});
map.addEventListener("dblclick", event => { if (pointAt(...place(event), 12) < 0) zoom(2, ...place(event)); });

const KEYS = {
  "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), 0: reset, n: () => step(1), p: () => step(-1),
  Enter: () => { if (chosen.point >= 0) toggle(chosen.point); },
  Escape: () => { chosen.pinned.clear(); choose(-1); changed(); },
  ArrowLeft: () => FLAT ? pan(50, 0) : turn(0.12, 0), ArrowRight: () => FLAT ? pan(-50, 0) : turn(-0.12, 0),
  ArrowUp: () => FLAT ? pan(0, 50) : turn(0, 0.12), ArrowDown: () => FLAT ? pan(0, -50) : turn(0, -0.12),
};
map.addEventListener("keydown", event => {
  if (event.target === map && !event.ctrlKey && !event.metaKey && KEYS[event.key]) { event.preventDefault(); KEYS[event.key](); }
});
document.addEventListener("keydown", event => {
  if (event.key === "/" && event.target !== at("search")) { event.preventDefault(); at("search").focus(); }
});
at("search").addEventListener("input", event => search(event.target.value));
at("search").addEventListener("keydown", event => {
  if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
  if (event.key === "Escape") { event.target.value = ""; search(""); map.focus(); }
});

function chooseTheme(theme) {
  document.documentElement.dataset.theme = theme;
  drawFrame();
  changed();
}
function chooseColouring(place) {
  chosen.colouring = place;
  chosen.hidden.clear();
  drawLegend();
  changed();
}
function chooseLanguage(language) {
  chosen.language = language;
  drawFrame();
}

function drawFrame() {
  const dark = document.documentElement.dataset.theme === "dark";
  document.documentElement.lang = chosen.language === "zh" ? "zh-CN" : "en";
  at("theme").textContent = say(dark ? "light" : "dark");
  at("theme").onclick = () => chooseTheme(dark ? "light" : "dark");
  at("language").textContent = chosen.language === "zh" ? "English" : "中文";
  at("language").onclick = () => chooseLanguage(chosen.language === "zh" ? "en" : "zh");
  at("save").textContent = say("save");
  at("save").onclick = save;
  at("whole").textContent = say("whole");
  at("whole").onclick = reset;
  at("search").placeholder = say("search", {count: COUNT.toLocaleString("en")});
  at("search").setAttribute("aria-label", at("search").placeholder);
  map.setAttribute("aria-label", say("map", {count: COUNT.toLocaleString("en")}));
  at("help").textContent = say(FLAT ? "help" : "help3");
  const list = el("select", {onchange: event => chooseColouring(Number(event.target.value))},
    ...DATA.colourings.map((one, place) => el("option", {value: place, selected: place === chosen.colouring}, one.name)));
  at("colour").replaceChildren(say("colour") + " ", list);
  at("colour").hidden = DATA.colourings.length < 2;
  at("stages").hidden = STAGES.length < 2;
  at("play").textContent = say(playing ? "pause" : "play");
  at("play").onclick = play;
  at("stage").max = STAGES.length - 1;
  at("stage").setAttribute("aria-label", say("stage"));
  at("stage").oninput = event => { if (playing) stop(); showStage(Number(event.target.value)); };
  drawLegend();
  drawCard();
}

const asked = new URLSearchParams(location.search);
const own = document.documentElement.dataset.theme, language = asked.get("lang") ?? (navigator.language.startsWith("zh") ? "zh" : "en");
document.documentElement.dataset.theme = asked.get("theme") ?? (own || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
chosen.language = WORDS[language] ? language : "en";
at("note").hidden = !DATA.note;
at("note").textContent = DATA.note;
drawFrame();
const fit = () => {
  const {offsetHeight: high, offsetWidth: wide} = at("legend");
  [view.width, view.height] = [map.clientWidth, map.clientHeight];
  view.top = wide === view.width ? high : 0; // on a phone
  changed();
};
new ResizeObserver(fit).observe(map);
fit();
showStage(STAGES.length - 1);
