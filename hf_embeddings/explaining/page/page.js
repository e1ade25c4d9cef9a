// The frame: language, colours, which input and which piece; every section is drawn again when one of them changes.

const SECTIONS = {pieces: drawPieces, sum: drawSum, order: drawOrder, positions: drawPositions, attention: drawAttention, layers: drawLayers, prediction: drawPrediction};

const MANY = 20; // pieces from which on they are laid out closer

function redraw(...names) {
  for (const name of names.length ? names : Object.keys(SECTIONS)) if (!at(name).hidden) SECTIONS[name](at(name));
}

function choosePiece(place) {
  chosen.piece = place;
  const box = at("chips"), chip = box.children[place];
  [...box.children].forEach((one, index) => one.setAttribute("aria-pressed", String(index === place)));
  box.scrollTo({left: chip.offsetLeft + (chip.offsetWidth - box.clientWidth) / 2});
  redraw(...Object.keys(SECTIONS).filter(name => name != "order"));
}

function chooseInput(index) {
  chosen.input = index;
  chosen.piece = Math.max(0, pieces().findIndex(piece => piece.kind != "added"));
  chosen.exchange = "";
  drawFrame();
  redraw();
}

function chooseLanguage(language) {
  chosen.language = language;
  drawFrame();
  redraw();
}

function chooseTheme(theme) {
  document.documentElement.dataset.theme = theme;
  drawFrame();
  redraw();
}

function drawFrame() {
  document.documentElement.lang = chosen.language == "zh" ? "zh-CN" : "en";
  const {name, layers, width, heads, vocabulary, position_type: type, segments, predicts, family} = DATA.model, dark = document.documentElement.dataset.theme == "dark";
  at("title").replaceChildren(say("title", {name: isolate(name), text: isolate(clip(input().title, 48))}));
  at("lead").textContent = say("lead");
  const facts = [["facts_layers", `${layers} \u00d7 ${width}`], ["facts_heads", heads], ["facts_vocabulary", vocabulary.toLocaleString("en")], ["facts_positions", type],
    ["facts_segments", segments || say("none")], ["facts_head", say(predicts ? "yes" : "no")], ...(family == "triembed" ? [] : [["facts_family", family]])];
  at("facts").replaceChildren(...facts.map(([key, value]) => el("div", {}, el("dt", {}, say(key)), el("dd", {}, String(value)))));
  at("theme").textContent = say(dark ? "light" : "dark");
  at("theme").onclick = () => chooseTheme(dark ? "light" : "dark");
  for (const button of at("languages").children) {
    button.setAttribute("aria-pressed", String(button.value == chosen.language));
    button.onclick = () => chooseLanguage(button.value);
  }
  drawBar();
  document.body.classList.toggle("many", pieces().length > MANY);
  at("order").hidden = !DATA.order;
  at("foot").replaceChildren(el("p", {}, say("foot")), ...DATA.left_out.map(one => el("p", {}, say("left_" + one.what, {kept: one.kept, of: one.of}))));
}

function drawBar() {
  const single = DATA.inputs.length === 1, {right_to_left: reversed} = input().text;
  at("inputs").setAttribute("aria-label", say("inputs"));
  at("inputs").hidden = single;
  at("inputs").replaceChildren(...DATA.inputs.map((one, index) => el("button", {type: "button", "aria-pressed": String(index === chosen.input), onclick: () => chooseInput(index),
    title: one.title}, one.text.texts.length > 1 ? say("both") : written(clip(one.title)))));
  at("chips").setAttribute("aria-label", say("choose_piece"));
  at("chips").dir = reversed ? "rtl" : "ltr";
  at("chips").replaceChildren(...pieces().map((piece, place) => el("button." + piece.kind, {type: "button", "aria-pressed": String(place === chosen.piece),
    onclick: () => choosePiece(place)}, written(piece.label))));
}

const clip = (text, most = 18) => [...text].length > most ? [...text].slice(0, most - 1).join("") + "\u2026" : text;
const asked = new URLSearchParams(location.search);
chosen.language = asked.get("lang") ?? (navigator.language.startsWith("zh") ? "zh" : "en");
if (!WORDS[chosen.language]) chosen.language = "en";
document.documentElement.dataset.theme = asked.get("theme") ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
chooseInput(0);
