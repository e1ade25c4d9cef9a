// From text to pieces.

function drawPieces(section) {
  const {texts, normalized} = input().text, unknown = pieces().filter(piece => piece.kind == "unknown");
  const changed = texts.map((text, place) => normalized[place] === text
    ? el("p.text", {}, written(text), el("small", {}, say("pieces_kept")))
    : el("p.text", {}, written(text), el("span.arrow", {"aria-hidden": "true"}, " \u2192 "), written(normalized[place]), el("small", {}, say("pieces_normalized"))));
  const rows = pieces().map((piece, place) => el("tr" + (place === chosen.piece ? ".here" : ""), {onclick: () => choosePiece(place)},
    el("td.figure", {}, String(place)), el("td", {}, written(piece.label)), el("td.figure", {}, String(piece.id)),
    el("td", {}, piece.characters ? written(piece.characters) : "\u2013"),
    DATA.model.segments ? el("td.figure", {}, String(piece.segment)) : null, el("td", {}, note(piece))));
  const head = ["place", "piece", "id", "stands", "segment", "note"].filter(name => name != "segment" || DATA.model.segments);
  show(section, ...opening(section, "pieces", {vocabulary: DATA.model.vocabulary.toLocaleString("en")}), ...changed,
    unknown.length ? el("p.warning", {}, say(unknown.length == 1 ? "pieces_unknown_one" : "pieces_unknown", {count: unknown.length})) : null,
    table(head.map(name => say("pieces_" + name)), rows, say("pieces_title")));
}

function note(piece) {
  if (piece.kind == "unknown") return say("note_unknown");
  if (piece.kind == "added") return say("note_added");
  return piece.token === piece.label ? "" : el("span", {}, say("note_token") + " ", written(piece.token));
}
