// What stands beside the map: legend, the card of a point, search, stages, and the picture to keep.

/** Replace what a box holds; parts that are null are left out. */
const show = (box, ...parts) => box.replaceChildren(...parts.flat().filter(part => part !== null));

function swatch(place) {
  const dot = el("i", {"aria-hidden": "true"});
  dot.style.background = place < 0 ? "var(--none)" : `var(--series-${place % DATA.series.length})`;
  return dot;
}

function drawLegend() {
  const own = colouring(), box = at("legend");
  box.hidden = own.kind === "groups" && own.names.length < 2;
  if (own.kind === "groups") {
    const counts = own.names.map((_, place) => own.of.filter(value => value === place).length);
    show(box, own.detail ? el("p.what", {}, own.detail) : null, own.names.map((name, place) => el("button", {type: "button", "aria-pressed": String(!chosen.hidden.has(place)),
      title: say("hide"), onclick: () => hide(place)}, swatch(place), el("bdi", {}, clip(name, 30)), el("small", {}, counts[place].toLocaleString("en")))));
    return;
  }
  const bar = el("i.bar", {"aria-hidden": "true"}), none = own.of.filter(value => value === null).length;
  bar.style.background = `linear-gradient(to right, ${DATA.scale.map((_, place) => `var(--scale-${place})`).join(", ")})`;
  show(box, el("p.range", {}, el("span", {}, own.low), bar, el("span", {}, own.high)), el("p.unit", {}, own.unit ? `${own.name}: ${own.unit}` : own.name),
    none ? el("p.unit", {}, swatch(-1), `${say("none")}: ${none.toLocaleString("en")}`) : null);
}

function hide(place) {
  if (!chosen.hidden.delete(place)) chosen.hidden.add(place);
  drawLegend();
  changed();
}

/** The card of the point that is chosen: what it is, and its nearest in the full space. */
function drawCard() {
  const row = chosen.point, box = at("card");
  box.hidden = row < 0;
  if (row < 0) return box.replaceChildren();
  const facts = DATA.colourings.filter(one => one.kind !== "groups" || one.names.length > 1)
    .map(one => el("p.fact", {}, el("span", {}, one.name), el("bdi", {}, one.kind === "groups" ? one.names[one.of[row]] ?? say("none") : one.texts[row])));
  const near = nearest(row), pinned = chosen.pinned.has(row), moved = DATA.stages[Math.round(view.stage)].moved?.[row];
  const pin = el("button.pin", {type: "button", "aria-pressed": String(pinned), onclick: () => toggle(row)}, say(pinned ? "unpin" : "pin"));
  show(box, el("div.head", {}, el("bdi.name", {title: DATA.labels[row]}, clip(DATA.labels[row], 160)), pin), ...facts,
    moved === undefined ? null : el("p.fact", {}, el("span", {}, say("travelled")), moved),
    near.length ? el("p.caption", {}, say("nearest")) : null, el("ol", {}, ...near.map(nearestEntry)));
}

function nearestEntry({name, row, cosine}) {
  const bar = el("i", {"aria-hidden": "true"});
  bar.style.width = `${100 * Math.max(0, Number(cosine))}%`;
  const parts = [el("span.cosine", {}, cosine), el("span.track", {"aria-hidden": "true"}, bar), el("bdi", {}, clip(name, 60))];
  return el("li", {}, row < 0 ? el("span.entry", {}, ...parts) : el("button.entry", {type: "button", onclick: () => { seek(row); choose(row); }}, ...parts));
}

function search(text) {
  const wanted = text.trim().toLowerCase(), rows = [];
  if (wanted) DATA.labels.forEach((label, row) => { if (label.toLowerCase().includes(wanted)) rows.push(row); });
  chosen.hits = wanted ? new Set(rows) : null;
  at("found").textContent = wanted ? say("found", {count: rows.length.toLocaleString("en")}) : "";
  changed();
}

/** Go to the next or previous point that was found; without a search, of all. */
function step(by) {
  const rows = [...(chosen.hits ?? DATA.labels.keys())].filter(row => !isHidden(row));
  if (!rows.length) return;
  const place = rows.indexOf(chosen.point), next = place < 0 ? (by > 0 ? 0 : rows.length - 1) : (place + by + rows.length) % rows.length;
  seek(rows[next]);
  choose(rows[next]);
}

function showStage(stage) {
  view.stage = stage;
  at("stage").value = stage;
  at("stage-name").textContent = DATA.stages[Math.round(stage)].name;
  drawCard();
  moved();
}

let playing = 0;
function play() {
  if (playing) { stop(); return; }
  if (view.stage >= STAGES.length - 1) showStage(0);
  at("play").textContent = say("pause");
  let last = performance.now();
  playing = setInterval(() => {
    const now = performance.now(), next = Math.min(STAGES.length - 1, view.stage + Math.min(100, now - last) / 900);
    last = now;
    showStage(next);
    if (next === STAGES.length - 1) stop();
  }, 16);
}
function stop() {
  clearInterval(playing);
  playing = 0;
  at("play").textContent = say("play");
}

/** The map as it is seen now, as SVG whose text stays text. */
function picture() {
  const escape = text => text.replace(/[&<>"]/g, letter => `&#${letter.charCodeAt(0)};`), ink = css("--ink");
  const dots = [...order].filter(row => colours[4 * row + 3] && inView(row)).map(row => {
    const [red, green, blue, alpha] = colours.subarray(4 * row);
    return `<circle cx="${screen[3 * row].toFixed(1)}" cy="${screen[3 * row + 1].toFixed(1)}" r="${(sizes[row] / 2).toFixed(1)}" fill="rgb(${red},${green},${blue})" fill-opacity="${(alpha / 255).toFixed(2)}"/>`;
  });
  const strokes = lines().map(([, points]) => `<polyline points="${points.map(place => place.map(value => value.toFixed(1)).join(",")).join(" ")}" fill="none" stroke="${css("--dim")}" stroke-width="1"/>`);
  const texts = written.map(({row, right, down}) => `<text x="${(screen[3 * row] + right).toFixed(1)}" y="${(screen[3 * row + 1] + down + 4.5).toFixed(1)}" text-anchor="middle">${escape(clip(DATA.labels[row]))}</text>`);
  const own = colouring(), names = own.kind === "groups" ? own.names : [`${own.name}: ${own.low} \u2013 ${own.high} ${own.unit}`];
  const legend = own.kind === "groups" && names.length < 2 ? [] : names.slice(0, 30).map((name, place) => `<circle cx="16" cy="${50 + 20 * place}" r="5" fill="${own.kind === "groups" ? css(`--series-${place % DATA.series.length}`) : ink}"/><text x="28" y="${55 + 20 * place}">${escape(name)}</text>`);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${view.width} ${view.height}" font-family="${escape(css("--fonts"))}" font-size="13" fill="${ink}">`
    + `<rect width="100%" height="100%" fill="${css("--ground")}"/>${strokes.join("")}${dots.join("")}${texts.join("")}<text x="12" y="26" font-size="15" font-weight="600">${escape(document.title)}</text>${legend.join("")}</svg>`;
}

function save() {
  const link = el("a", {href: URL.createObjectURL(new Blob([picture()], {type: "image/svg+xml"})), download: "picture.svg"});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
