// What the model expects in the place of a piece, and whether the second text follows the first.

function drawPrediction(section) {
  const {predictions, follows} = input();
  show(section, opening(section, "prediction"), predictions ? masked(predictions[chosen.piece]) : el("p.note", {}, say("prediction_no_head")),
    follows === null ? null : [el("h3", {}, say("follows_title")), el("p", {}, say("follows_text")), bars([[say("follows_yes"), follows, false], [say("follows_no"), 1 - follows, false]])]);
}

function masked(prediction) {
  if (!prediction) return el("p.note", {}, say("prediction_added"));
  const own = label(chosen.piece), [best] = prediction.words, sentence = el("p.text", {}, ...range(pieces().length).filter(place => pieces()[place].kind != "added")
    .flatMap(place => [place === chosen.piece ? el("mark", {}, "[MASK]") : written(label(place)), " "]));
  const rows = prediction.words.map(([word, share]) => [written(DATA.words[word]), share, DATA.words[word] === own]);
  if (!rows.some(row => row[2])) rows.push([written(own), prediction.probability, true]);
  return [sentence, el("p", {}, say(prediction.rank === 1 ? "prediction_first" : "prediction_own", {label: isolate(own), share: percent(prediction.probability),
    rank: prediction.rank.toLocaleString("en"), best: isolate(DATA.words[best[0]])})), bars(rows)].map(part => part).reduce((box, part) => { box.append(part); return box; }, el("div"));
}

/** Rows of [name, share, whether it stands there]. */
function bars(rows) {
  const most = Math.max(...rows.map(row => row[1])) || 1;
  return el("div.shares", {role: "list"}, ...rows.map(([name, share, here]) => {
    const bar = el("i", {"aria-hidden": "true"});
    bar.style.inlineSize = 100 * share / most + "%";
    return el("div" + (here ? ".here" : ""), {role: "listitem"}, el("span.name", {}, name), el("span.bar", {}, bar), el("span.figures", {}, percent(share)));
  }));
}
