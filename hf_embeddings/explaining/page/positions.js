// What positions do by themselves.

function drawPositions(section) {
  const {adds_vectors: adds, cosines, scores} = DATA.positions, [heads, count] = scores.shape, own = Math.min(chosen.piece, count - 1);
  const type = DATA.model.position_type, flat = range(heads).every(head => { const own = scores.part(head).values; return Math.max(...own) - Math.min(...own) < 1e-3; });
  const matrix = chosen.positionHead < 0 ? meanOf(range(heads).map(head => scores.part(head))) : scores.part(chosen.positionHead);
  const middle = matrix.values.reduce((sum, value) => sum + value, 0) / matrix.values.length;
  const reach = Math.max(...matrix.values.map(value => Math.abs(value - middle))) || 1, row = [...matrix.part(own).values];
  const headName = chosen.positionHead < 0 ? say("mean_heads") : say("head_one", {head: chosen.positionHead});
  const similarity = adds ? heatMap({matrix: cosines, scale: value => value, title: say("positions_cosines"), plus: "--plus", minus: "--minus", ends: [number(-1, 0), "1"], mark: [own, own],
    tell: (first, second) => say("positions_cosine", {first, second, cosine: number(cosines.at(first, second), 3)})}) : null;
  const added = heatMap({matrix, scale: value => (value - middle) / reach, title: say("positions_scores", {head: headName}), plus: "--plus", minus: "--minus", ends: [number(middle - reach), number(middle + reach)], mark: [own, own],
    tell: (query, key) => say("positions_score", {query, key, score: number(matrix.at(query, key), 3)})});
  const lows = [Math.min(...row), Math.max(...row)];
  show(section, opening(section, "positions", {type}), el("p", {}, say(flat ? "positions_flat" : adds ? "positions_vectors" : "positions_inside", {type})),
    el("p.controls", {}, select(say("head"), [[-1, say("mean_heads")], ...range(heads).map(head => [head, String(head)])], chosen.positionHead, value => { chosen.positionHead = +value; redraw("positions"); })),
    el("div.pair.square", {}, similarity, added),
    flat ? null : curves({lines: [{name: headName, values: row, style: "position"}], low: lows[0], high: lows[1], x: say("positions_key"), y: say("positions_axis"), mark: own,
      title: say("positions_curve", {place: own, head: headName}), tell: key => say("positions_score", {query: own, key, score: number(row[key], 3)})}));
}

function meanOf(matrices) {
  const values = new Float64Array(matrices[0].values.length);
  for (const one of matrices) one.values.forEach((value, place) => { values[place] += value / matrices.length; });
  return array(matrices[0].shape, values);
}
