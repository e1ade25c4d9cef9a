// Elements, heat maps, strips and curves; colours are those of the style sheet, so that light and dark are one code.

/** A word of the user's or of the vocabulary, in its own direction of writing. */
const written = text => el("bdi.word", {}, text);

/** A heading with its number and one paragraph. */
function opening(section, key, fields) {
  const count = [...document.querySelectorAll("main > section:not([hidden])")].indexOf(section) + 1;
  return [el("h2", {}, el("span.count", {"aria-hidden": "true"}, String(count)), say(key + "_title")), el("p", {}, say(key + "_text", fields))];
}

function colour(name) {
  const text = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  return [1, 3, 5].map(start => parseInt(text.slice(start, start + 2), 16));
}

/** Paint a matrix, a pixel a cell; `scale` maps a value to -1 .. 1, below 0 in the colour of minus. */
function paint(canvas, matrix, scale, plus = "--heat", minus = "--minus") {
  const [rows, columns] = matrix.shape, high = colour(plus), low = colour(minus);
  canvas.width = columns; canvas.height = rows;
  const pen = canvas.getContext("2d"), image = pen.createImageData(columns, rows);
  matrix.values.forEach((value, place) => {
    const strength = Math.max(-1, Math.min(1, scale(value))), [red, green, blue] = strength < 0 ? low : high;
    image.data.set([red, green, blue, Math.round(255 * Math.abs(strength))], 4 * place);
  });
  pen.putImageData(image, 0, 0);
  return canvas;
}

/** Return the cell (row, column) of a canvas under the pointer. */
function cellAt(canvas, event) {
  const box = canvas.getBoundingClientRect();
  const find = (part, size, count) => Math.max(0, Math.min(count - 1, Math.floor(part / size * count)));
  return [find(event.clientY - box.top, box.height, canvas.height), find(event.clientX - box.left, box.width, canvas.width)];
}

/** A heat map, with names at its sides or not; `tell(row, column)` returns words, `ends` are those of the lightest or lowest cell and of the darkest. */
function heatMap({matrix, scale, rows, columns, title, tell, ends, mark = null, plus = "--heat", minus = null, pick = null}) {
  const canvas = paint(el("canvas", {role: "img", "aria-label": title}), matrix, scale, plus, minus ?? plus);
  const status = el("p.status", {"aria-live": "off"}, tell(...(mark ?? [0, 0])));
  canvas.addEventListener("pointermove", event => { status.replaceChildren(tell(...cellAt(canvas, event))); });
  if (pick) canvas.addEventListener("click", event => pick(...cellAt(canvas, event)));
  const brief = (name, names) => name > "\u2e80" || names.every(one => [...one].length < 3); // written upright
  const side = (names, kind) => !names ? null : el("div." + kind, {"aria-hidden": "true"}, ...names.map((name, place) =>
    el("span" + (brief(name, names) ? ".brief" : "") + (mark && place === mark[kind == "rows" ? 0 : 1] ? ".here" : ""), {}, written(name))));
  const [height, width] = matrix.shape;
  const grid = el("div.heat" + (rows ? ".named" : ""), {}, side(columns, "columns"), side(rows, "rows"), canvas);
  grid.style.setProperty("--n-rows", height);
  grid.style.setProperty("--n-columns", width);
  const bar = el("i", {"aria-hidden": "true"}), key = el("p.ends", {}, ends[0], bar, ends[1]);
  bar.style.background = `linear-gradient(to right, ${minus ? `var(${minus}), ` : ""}var(--soft), var(${plus}))`;
  return el("figure", {}, el("figcaption", {}, title), el("div.scroll", {tabindex: rows ? "0" : null}, grid), key, status);
}

/** The values of a vector as cells, orange above 0 and blue below. */
function strip(values, most, title) {
  const canvas = el("canvas.strip", {role: "img", "aria-label": title});
  return paint(canvas, array([1, values.length], values), value => value / most, "--plus", "--minus");
}

/** Curves over whole numbers from 0: lines of {name, values, style}; `tell(x)` returns words under the pointer. */
function curves({lines, low, high, x, y, tell, mark = null, title}) {
  const wide = 640, tall = 240, [left, right, top, bottom] = [92, 14, 12, 56], count = lines[0].values.length;
  const across = place => left + (wide - left - right) * (count > 1 ? place / (count - 1) : 0.5);
  const up = value => top + (tall - top - bottom) * (1 - (value - low) / (high - low || 1));
  const ticks = range(5).map(step => low + (high - low) * step / 4), digits = high - low < 0.02 ? 4 : high - low < 0.4 ? 3 : 2;
  const every = Math.ceil(count / 13), shown = range(count).filter(place => place % every == 0);
  const drawing = svg("svg.curves", {viewBox: `0 0 ${wide} ${tall}`, role: "img", "aria-label": title},
    ...ticks.flatMap(value => [svg("line.grid", {x1: left, x2: wide - right, y1: up(value), y2: up(value)}),
      svg("text.tick", {x: left - 6, y: up(value) + 6, "text-anchor": "end"}, number(value, digits))]),
    ...shown.map(place => svg("text.tick", {x: across(place), y: tall - bottom + 24, "text-anchor": "middle"}, String(place))),
    svg("text.tick", {x: (left + wide - right) / 2, y: tall - 4, "text-anchor": "middle"}, x),
    mark === null ? null : svg("line.mark", {x1: across(mark), x2: across(mark), y1: top, y2: tall - bottom}),
    ...lines.map(line => svg("polyline." + line.style, {points: line.values.map((value, place) => `${across(place)},${up(value)}`).join(" ")})),
    ...lines.flatMap(line => count > 30 ? [] : line.values.map((value, place) => svg("circle." + line.style, {cx: across(place), cy: up(value), r: 3.5}))));
  const status = el("p.status", {}, tell(mark ?? 0));
  drawing.addEventListener("pointermove", event => {
    const box = drawing.getBoundingClientRect(), place = ((event.clientX - box.left) / box.width * wide - left) / (wide - left - right) * (count - 1);
    status.replaceChildren(tell(Math.max(0, Math.min(count - 1, Math.round(place)))));
  });
  const key = el("ul.key", {}, ...lines.map(line => el("li", {}, el("i." + line.style, {"aria-hidden": "true"}), line.name)));
  return el("figure", {}, el("figcaption", {}, title), lines.length > 1 ? key : null, el("p.axis", {}, y), drawing, status);
}

/** A labelled list to choose from; options are [value, text], or {label, options} for a group. */
function select(text, options, value, change) {
  const one = ([key, name]) => el("option", {value: key, selected: String(key) === String(value)}, name);
  const list = el("select", {onchange: event => change(event.target.value)}, ...options.map(entry =>
    Array.isArray(entry) ? one(entry) : el("optgroup", {label: entry.label}, ...entry.options.map(one))));
  return el("label", {}, text + " ", list);
}

/** Buttons of which one is pressed. */
function buttons(text, options, value, change) {
  return el("div.choice", {role: "group", "aria-label": text}, ...options.map(([key, name]) =>
    el("button", {type: "button", "aria-pressed": String(key === value), onclick: () => change(key)}, name)));
}

/** A table in a box that scrolls by itself. */
function table(head, rows, text) {
  return el("div.scroll", {tabindex: "0", role: "region", "aria-label": text}, el("table", {},
    el("thead", {}, el("tr", {}, ...head.map(name => el("th", {scope: "col"}, name)))), el("tbody", {}, ...rows)));
}

/** Replace what a section holds; parts that are null are left out. */
const show = (section, ...parts) => section.replaceChildren(...parts.flat().filter(part => part !== null));
