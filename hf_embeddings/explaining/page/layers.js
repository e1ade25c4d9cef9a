// The states of the pieces from layer to layer: a map that moves, and the words they are nearest to.

let playing = 0;

function drawLayers(section) {
  const {explained, lens, words, points} = input().hidden, last = points.shape[0] - 1;
  chosen.step = Math.min(chosen.step, last);
  const map = stateMap(), caption = el("output", {});
  const move = step => { chosen.step = step; slider.value = step; caption.textContent = stepName(step); map.move(step); };
  const slider = el("input", {type: "range", min: 0, max: last, step: 1, value: chosen.step, "aria-label": say("layer"), oninput: event => { stop(); move(+event.target.value); }});
  const button = el("button", {type: "button", onclick: () => playing ? stop() : play()}, say("layers_play"));
  const stop = () => { clearInterval(playing); playing = 0; button.textContent = say("layers_play"); };
  const play = () => {
    button.textContent = say("layers_pause");
    move(chosen.step === last ? 0 : chosen.step);
    playing = setInterval(() => { if (chosen.step === last) stop(); else move(chosen.step + 1); }, 1100);
  };
  stop();
  show(section, opening(section, "layers", {shares: explained.map(share => percent(share)).join(" + ")}),
    el("div.pair.wide", {}, el("figure", {}, el("figcaption", {}, say("layers_map", {share: percent(explained[0] + explained[1])})), map.drawing, el("div.player", {}, button, slider, caption)),
      el("figure", {}, el("figcaption", {}, say("lens_piece", {label: isolate(label(chosen.piece))})), nearest(words))),
    el("h3", {}, say("lens_title")), el("p", {}, say("lens_" + lens)), lensTable(words));
  move(chosen.step);
}

const stepName = step => step ? say("layer_one", {layer: step}) : say("layer_zero");

function stateMap() {
  const {points} = input().hidden, [steps, count] = points.shape, wide = 480, tall = 400, edge = 44;
  const axis = which => range(steps * count).map(place => points.values[2 * place + which]);
  const place = which => {
    const values = axis(which), low = Math.min(...values), span = Math.max(...values) - low || 1, length = (which ? tall : wide) - 2 * edge;
    return value => which ? tall - edge - (value - low) / span * length : edge + (value - low) / span * length;
  };
  const [across, up] = [place(0), place(1)], spot = (step, piece) => [across(points.at(step, piece, 0)), up(points.at(step, piece, 1))];
  const trail = svg("polyline.trail", {points: range(steps).map(step => spot(step, chosen.piece).join(",")).join(" ")});
  const dots = range(count).map(piece => {
    const name = svg("text", {}, isolate(short(label(piece)))), kind = piece === chosen.piece ? ".here" : pieces()[piece].text === 1 ? ".second" : "";
    return {name, group: svg("g.dot" + kind, {onclick: () => choosePiece(piece)}, svg("circle.touch", {r: 16}), svg("circle", {r: piece === chosen.piece ? 7 : 5}), name)};
  });
  const drawing = svg("svg.map", {viewBox: `0 0 ${wide} ${tall}`, role: "img", "aria-label": say("layers_title")}, trail, ...dots.map(dot => dot.group));
  const move = step => {
    const spots = range(count).map(piece => spot(step, piece));
    dots.forEach((dot, piece) => { dot.group.style.transform = `translate(${spots[piece][0]}px, ${spots[piece][1]}px)`; });
    placeNames(dots, spots, wide, tall);
  };
  return {drawing, move};
}

/** Write each name where it covers neither a dot nor a name; one without room is shown by its dot alone. */
function placeNames(dots, spots, wide, tall) {
  const taken = spots.map(([x, y]) => [x - 6, y - 6, x + 6, y + 6]), order = range(dots.length).sort((one, other) => (other === chosen.piece) - (one === chosen.piece));
  for (const piece of order) {
    const [x, y] = spots[piece], length = 8 + [...dots[piece].name.textContent].reduce((sum, letter) => sum + (letter > "\u2e80" ? 16 : letter > "\u2066" && letter < "\u206a" ? 0 : 8.5), 0);
    const corners = [["start", 9, 5], ["end", -9, 5], ["middle", 0, -11], ["middle", 0, 22]];
    const boxes = corners.map(([anchor, right, down]) => {
      const left = x + right - (anchor == "end" ? length : anchor == "middle" ? length / 2 : 0);
      return [left, y + down - 14, left + length, y + down + 4];
    });
    const free = boxes.findIndex(box => box[0] >= 0 && box[1] >= 0 && box[2] <= wide && box[3] <= tall &&
      !taken.some((other, index) => index !== piece && other[0] < box[2] && box[0] < other[2] && other[1] < box[3] && box[1] < other[3]));
    const use = free < 0 && piece === chosen.piece ? 0 : free;
    dots[piece].name.style.opacity = use < 0 ? 0 : 1;
    if (use < 0) continue;
    const [anchor, right, down] = corners[use];
    for (const [name, value] of Object.entries({"text-anchor": anchor, x: right, y: down})) dots[piece].name.setAttribute(name, value);
    taken.push(boxes[use]);
  }
}

/** The nearest words of the chosen piece in each layer. */
function nearest(words) {
  const {step} = input().hidden;
  const rows = words.map((layer, place) => el("tr", {}, el("th", {scope: "row"}, place ? String(place) : "0"),
    el("td", {}, ...layer[chosen.piece].slice(0, 4).flatMap(([word, score]) => [el("span.near", {}, written(DATA.words[word]), el("small", {}, lensScore(score))), " "])),
    el("td.figure", {}, place ? number(step.at(place - 1, chosen.piece)) : "\u2013")));
  return table(["layer", "lens_words", "lens_step"].map(key => say(key)), rows, say("lens_title"));
}

const lensScore = value => DATA.model.predicts ? percent(value) : number(value);

/** The first word of every piece in every layer, darker where it is surer. */
function lensTable(words) {
  const most = Math.max(...words.flat().map(near => near[0][1])) || 1;
  const cell = ([word, score], piece) => {
    const part = el("td.lens" + (piece === chosen.piece ? ".here" : ""), {title: lensScore(score), onclick: () => choosePiece(piece)}, el("i", {"aria-hidden": "true"}), written(DATA.words[word]));
    part.firstChild.style.opacity = 0.6 * Math.max(0, score) / most;
    return part;
  };
  const rows = words.map((layer, place) => el("tr", {}, el("th", {scope: "row"}, String(place)), ...layer.map((near, piece) => cell(near[0], piece))));
  return table([say("layer"), ...range(pieces().length).map(place => written(label(place)))], rows, say("lens_title"));
}
