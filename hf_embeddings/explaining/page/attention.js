// Who looks at whom: one layer and head, all of them, or one piece in all layers.

const VIEWS = ["heads", "grid", "piece"];

/** The weights of a layer, by its place among those that are kept; of a head, or the mean of all. */
function weights(layer, head) {
  const all = input().attention.weights;
  return head < 0 ? meanOf(range(all.shape[1]).map(one => all.part(layer, one))) : all.part(layer, head);
}

function drawAttention(section) {
  const {layers, weights: {shape}} = input().attention, heads = [[-1, say("mean_heads")], ...range(shape[1]).map(head => [head, String(head)])];
  const draw = {heads: headView, grid: gridView, piece: pieceView}[chosen.view];
  show(section, opening(section, "attention"),
    buttons(say("attention_views"), VIEWS.map(view => [view, say("attention_" + view)]), chosen.view, view => { chosen.view = view; redraw("attention"); }),
    chosen.view == "grid" ? null : el("p.controls", {},
      chosen.view == "piece" ? null : select(say("layer"), layers.map((layer, place) => [place, String(layer + 1)]), chosen.layer, value => { chosen.layer = +value; redraw("attention"); }),
      select(say("head"), heads, chosen.head, value => { chosen.head = +value; redraw("attention"); })),
    draw());
}

const headTitle = () => chosen.head < 0 ? say("mean_heads") : say("head_one", {head: chosen.head});

/** Lines from each piece to those it looks at, those of one piece alone while it is pointed at; and the map. */
function headView() {
  const matrix = weights(chosen.layer, chosen.head), count = pieces().length, layer = input().attention.layers[chosen.layer] + 1;
  const high = 26, wide = 360, side = 118, tall = high * count + 8, middle = place => high * place + high / 2 + 4;
  const lines = range(count).map(from => svg("g", {}, ...range(count).filter(to => matrix.at(from, to) >= 0.02).map(to => {
    const line = svg("line.look", {x1: side, x2: wide - side, y1: middle(from), y2: middle(to), "stroke-width": 0.8 + 5 * matrix.at(from, to)});
    line.style.opacity = 0.15 + 0.85 * matrix.at(from, to);
    return line;
  })));
  const bars = range(count).map(to => svg("rect.look", {x: wide - side + 2, y: middle(to) - 11, height: 22, width: 0, rx: 3}));
  const name = (place, right) => svg("text.name", {x: right ? wide - side + 8 : side - 8, y: middle(place) + 5, "text-anchor": right ? "start" : "end", direction: "ltr"}, isolate(short(label(place))));
  const status = el("p.status");
  const point = from => {
    lines.forEach((group, place) => { group.style.opacity = place === from ? 1 : 0.06; });
    bars.forEach((bar, to) => { bar.setAttribute("width", (side - 4) * matrix.at(from, to)); });
    names.forEach((group, place) => group.classList.toggle("here", place === from));
    status.replaceChildren(lookWords(from, matrix.part(from).values));
  };
  const names = range(count).map(place => svg("g", {onpointerenter: () => point(place), onclick: () => choosePiece(place)},
    svg("rect.touch", {x: 0, y: middle(place) - high / 2, width: side, height: high}), name(place, false)));
  const drawing = svg("svg.looks", {viewBox: `0 0 ${wide} ${tall}`, role: "img", "aria-label": say("attention_lines", {layer, head: headTitle()}), onpointerleave: () => point(chosen.piece)},
    ...bars, ...range(count).map(place => name(place, true)), ...lines, ...names);
  point(chosen.piece);
  return el("div.pair", {}, el("figure", {}, el("figcaption", {}, say("attention_lines", {layer, head: headTitle()})), drawing, status),
    pieceMap(matrix, say("attention_map", {layer, head: headTitle()})));
}

const isolate = text => "\u2068" + text + "\u2069";
const short = text => [...text].length > 11 ? [...text].slice(0, 10).join("") + "\u2026" : text;

function lookWords(from, row) {
  const best = range(row.length).sort((one, other) => row[other] - row[one]).slice(0, 3);
  return say("attention_looks", {label: isolate(label(from)), list: best.map(to => `${isolate(label(to))} ${percent(row[to])}`).join(", ")});
}

function pieceMap(matrix, title) {
  const names = range(pieces().length).map(label);
  const most = Math.max(...matrix.values);
  return heatMap({matrix, scale: value => value / most, ends: ["0 %", percent(most)], rows: names, columns: names, title, mark: [chosen.piece, chosen.piece], pick: row => choosePiece(row),
    tell: (from, to) => say("attention_cell", {from: isolate(label(from)), to: isolate(label(to)), weight: percent(matrix.at(from, to))})});
}

/** All layers and heads at once; a press opens one. */
function gridView() {
  const {layers, weights: {shape: [, heads]}} = input().attention;
  const open = (layer, head) => { chosen.layer = layer; chosen.head = head; chosen.view = "heads"; redraw("attention"); };
  const rows = layers.map((layer, place) => [el("span.axis", {}, String(layer + 1)), ...range(heads).map(head => {
    const name = say("attention_open", {layer: layer + 1, head});
    return el("button", {type: "button", title: name, "aria-label": name, onclick: () => open(place, head)}, thumbnail(weights(place, head)));
  })]);
  const grid = el("div.grid", {}, el("span.axis"), ...range(heads).map(head => el("span.axis", {}, String(head))), ...rows.flat());
  grid.style.setProperty("--n-columns", heads);
  return el("figure", {}, el("figcaption", {}, say("attention_all")), grid);
}

function thumbnail(matrix) {
  const most = Math.max(...matrix.values);
  return paint(el("canvas", {"aria-hidden": "true"}), matrix, value => value / most);
}

/** What one piece looks at in each layer. */
function pieceView() {
  const {layers} = input().attention, count = pieces().length;
  const rows = layers.map((_, place) => weights(place, chosen.head).part(chosen.piece).values), values = new Float64Array(rows.flatMap(row => [...row]));
  const matrix = array([rows.length, count], values), names = range(count).map(label), most = Math.max(...values);
  return heatMap({matrix, scale: value => value / most, ends: ["0 %", percent(most)], rows: layers.map(layer => say("layer_one", {layer: layer + 1})), columns: names, mark: [rows.length - 1, chosen.piece],
    title: say("attention_one", {label: isolate(label(chosen.piece)), head: headTitle()}),
    tell: (row, to) => say("attention_layer_cell", {layer: layers[row] + 1, from: isolate(label(chosen.piece)), to: isolate(label(to)), weight: percent(matrix.at(row, to))})});
}
