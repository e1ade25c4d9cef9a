// The three vectors of a piece, their sum, and what becomes of it when one is exchanged.

function drawSum(section) {
  const {summands, strip: total, norm, width} = input().sum, place = chosen.piece;
  const most = Math.max(...[...summands.map(one => one.strip), total].map(one => Math.max(...one.part(place).values.map(Math.abs)))) || 1;
  const rows = summands.map((one, count) => stripRow(one.name, count ? "+" : "", summandName(one.name, place), one.strip.part(place).values, most,
    say("sum_figures", {norm: number(one.norm.at(place)), cosine: number(one.cosine.at(place)), share: number(100 * one.share.at(place), 0)})));
  rows.push(stripRow("total", "=", say("sum_total"), total.part(place).values, most, say("sum_norm", {norm: number(norm.at(place))})));
  const status = el("p.status", {}, say("sum_hover"));
  const strips = el("div.strips", {onpointermove: event => {
    if (event.target.tagName == "CANVAS") status.textContent = sumAt(place, cellAt(event.target, event)[1]);
  }}, ...rows, exchanged(place, most));
  const shown = total.shape[1], cells = shown === width ? say("sum_cells_all", {width}) : say("sum_cells_first", {shown, width});
  const missing = ["position", "segment"].filter(name => !summands.some(one => one.name == name)).map(name => el("p.note", {}, say("sum_no_" + name)));
  if (input().text.texts.length > 1 && DATA.model.segments > 1 && pieces().every(piece => piece.segment === 0)) missing.push(el("p.note", {}, say("sum_one_segment")));
  show(section, opening(section, "sum", {cells}), missing,
    el("h3", {}, say("sum_of", {label: isolate(label(place)), place})), strips, status, exchangeChoice(place), el("div.pair", {}, norms(), exchangeMap()));
}

const summandName = (name, place) => say("sum_" + name, {value: name == "segment" ? pieces()[place].segment : name == "position" ? place : ""}).trim();

function stripRow(style, sign, name, values, most, figures) {
  return el("div.row." + style, {}, el("span.sign", {"aria-hidden": "true"}, sign), el("span.name", {}, name), strip(values, most, name + ", " + figures), el("span.figures", {}, figures));
}

function sumAt(place, dimension) {
  const {summands, strip: total} = input().sum;
  return say("sum_dimension", {dimension}) + summands.map(one => number(one.strip.at(place, dimension), 3)).join(" + ") + " = " + number(total.at(place, dimension), 3);
}

/** What may stand in the place of a vector: the position of another piece, or another segment. */
function exchangeOptions(place) {
  const {positions, segments} = input().sum, groups = [];
  if (positions) groups.push({label: say("exchange_positions"), options: range(pieces().length).filter(other => other !== place)
    .map(other => ["position " + other, say("exchange_position", {place: other, label: label(other)})])});
  if (segments) groups.push({label: say("exchange_segments"), options: range(segments.cosine.shape[1]).filter(other => other !== pieces()[place].segment)
    .map(other => ["segment " + other, say("exchange_segment", {segment: other})])});
  return groups.filter(group => group.options.length);
}

function exchangeChoice(place) {
  const groups = exchangeOptions(place);
  if (!groups.length) return el("p.note", {}, say("exchange_none"));
  return el("p.controls", {}, select(say("exchange_choose"), [["", say("exchange_nothing")], ...groups], chosen.exchange, value => { chosen.exchange = value; redraw("sum"); }));
}

function exchanged(place, most) {
  const known = exchangeOptions(place).flatMap(group => group.options.map(([value]) => value));
  if (!known.includes(chosen.exchange)) { chosen.exchange = ""; return ""; }
  const [name, other] = [chosen.exchange.split(" ")[0], +chosen.exchange.split(" ")[1]], {summands, strip: total, positions, segments} = input().sum;
  const own = summands.find(one => one.name == name).strip.part(place).values, figures = name == "position" ? positions : segments;
  const values = total.part(place).values.map((value, dimension) => value - own[dimension] + figures.strips.at(other, dimension));
  return stripRow("total.after", "\u21c4", say("exchange_after", {what: name == "position" ? say("sum_position", {value: other}) : say("sum_segment", {value: other})}), values, most,
    say("exchange_figures", {norm: number(figures.norm.at(place, other)), cosine: number(figures.cosine.at(place, other), 3)}));
}

/** The norms of all vectors of all pieces, as bars. */
function norms() {
  const {summands} = input().sum, most = Math.max(...summands.map(one => Math.max(...one.norm.values))) || 1;
  const bar = (one, place) => {
    const part = el("i." + one.name, {title: `${summandName(one.name, place)}: ${number(one.norm.at(place))}`});
    part.style.inlineSize = 100 * one.norm.at(place) / most + "%";
    return part;
  };
  const rows = range(pieces().length).map(place => el("button" + (place === chosen.piece ? ".here" : ""), {type: "button", onclick: () => choosePiece(place),
    "aria-label": label(place) + ": " + summands.map(one => `${summandName(one.name, place)} ${number(one.norm.at(place))}`).join(", ")},
    el("span.name", {}, written(label(place))), el("span.bars", {}, ...summands.map(one => bar(one, place)))));
  const key = el("ul.key", {}, ...summands.map(one => el("li", {}, el("i." + one.name, {"aria-hidden": "true"}), say("sum_" + one.name, {value: ""}).trim())));
  return el("figure", {}, el("figcaption", {}, say("norms_title", {most: number(most)})), key, el("div.norms", {}, ...rows));
}

function exchangeMap() {
  const {positions} = input().sum;
  if (!positions) return null;
  const far = Math.max(...positions.cosine.values.map(value => 1 - value)) || 1, names = range(pieces().length).map(label);
  return heatMap({matrix: positions.cosine, scale: value => (1 - value) / far, rows: names, columns: range(names.length).map(String), title: say("exchange_map"),
    plus: "--position", ends: ["1.000", number(1 - far, 3)], mark: [chosen.piece, chosen.piece], pick: (row, column) => { chosen.exchange = row === column ? "" : "position " + column; choosePiece(row); },
    tell: (row, column) => say("exchange_cell", {label: label(row), place: column, cosine: number(positions.cosine.at(row, column), 3)})});
}
