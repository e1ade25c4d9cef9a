// Two sentences, with and without positions.

function drawOrder(section) {
  const {order} = DATA, cosine = [...order.cosine.values], without = [...order.without.values];
  const low = Math.min(...cosine, ...without), margin = Math.max(0.0005, (1 - low) * 0.08);
  const rows = order.pieces.map(piece => el("tr", {}, el("td", {}, written(piece.label)), el("td.figure", {}, piece.places.join(" \u2192 ")),
    ...[piece.cosine, piece.without].flatMap(values => [values.values[0], values.values.at(-1)]).map(value => el("td.figure", {}, number(value, 3)))));
  const last = DATA.model.layers;
  show(section, opening(section, "order"), el("p", {}, say(order.same_pieces ? "order_same" : "order_other")),
    curves({lines: [{name: say("order_with"), values: cosine, style: "position"}, {name: say("order_without"), values: without, style: "plain"}],
      low: low - margin, high: 1, x: say("layer_axis"), y: say("order_axis"), title: say("order_curves"), mark: last,
      tell: layer => say("order_cell", {layer, cosine: number(cosine[layer], 4), without: number(without[layer], 4)})}),
    order.pieces.length ? table(["piece", "places", "with_first", "with_last", "without_first", "without_last"].map(name => say("order_" + name, {last})), rows, say("order_title")) : null);
}
