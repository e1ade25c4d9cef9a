// A reader of several pages at several widths, who uses what a hand and a keyboard can, and writes down what was seen.
// PAGES (name -> text) and WIDTHS stand before it.
const answers = {}, pause = time => new Promise(done => setTimeout(done, time));
async function read(name, width) {
  const frame = document.createElement("iframe"), seen = answers[`${name} ${width}`] = {errors: [], wide: []};
  frame.width = width; frame.height = 800; frame.srcdoc = PAGES[name];
  document.body.append(frame);
  await new Promise(done => { frame.onload = done; });
  const page = frame.contentDocument, view = frame.contentWindow, at = id => page.getElementById(id);
  const all = names => [...page.querySelectorAll(names)], texts = names => all(names).map(part => part.textContent);
  view.addEventListener("error", event => seen.errors.push(event.message));
  page.addEventListener("securitypolicyviolation", event => seen.errors.push(event.violatedDirective));
  const look = what => { if (page.documentElement.scrollWidth > view.innerWidth) seen.wide.push(what); };
  const map = at("map"), key = name => map.dispatchEvent(new view.KeyboardEvent("keydown", {key: name, bubbles: true}));
  const type = text => { at("search").value = text; at("search").dispatchEvent(new Event("input")); };
  const settled = () => pause(400);
  const overlaps = () => {
    const boxes = all("#labels bdi").map(part => part.getBoundingClientRect());
    return boxes.filter((one, place) => boxes.slice(place + 1).some(other =>
      one.left + 1 < other.right && other.left + 1 < one.right && one.top + 1 < other.bottom && other.top + 1 < one.bottom)).length;
  };
  const kept = [], keep = view.URL.createObjectURL;
  view.URL.createObjectURL = blob => { kept.push(blob); return keep(blob); };
  await settled();
  seen.title = page.title;
  seen.labels = texts("#labels bdi");
  seen.overlaps = overlaps();
  look("first");
  at("save").click();
  seen.picture = await kept[0].text();
  const box = all("#labels bdi")[0].getBoundingClientRect(), spot = {clientX: box.left + box.width / 2, bubbles: true, pointerId: 1};
  for (const clientY of [box.bottom + 5, box.top - 5]) { // the point is below its label, or above
    map.dispatchEvent(new view.PointerEvent("pointermove", {...spot, clientY}));
    if (!at("card").hidden) { seen.hover = at("card").textContent; break; }
  }
  key("Escape"); key("n");
  await settled();
  seen.card = {name: texts("#card .name")[0], facts: texts("#card .fact bdi"), near: texts("#card .entry bdi"), cosines: texts("#card .cosine")};
  look("card");
  key("Enter");
  await settled();
  seen.pinned = texts("#labels .pinned");
  key("0");
  await settled();
  const before = texts("#labels bdi");
  map.dispatchEvent(new view.WheelEvent("wheel", {clientX: width / 2, clientY: 400, bubbles: true, deltaY: -900, cancelable: true}));
  await settled();
  seen.zoomed = texts("#labels bdi").filter(text => !before.includes(text)).length;
  key("Escape"); key("0");
  type("word77");
  await settled();
  seen.found = at("found").textContent; seen.foundLabels = texts("#labels bdi");
  type("");
  if (!at("stages").hidden) {
    seen.stage = at("stage-name").textContent;
    at("play").click();
    await pause(4500);
    seen.played = at("stage-name").textContent;
  }
  const list = page.querySelector("#colour select");
  for (let option = list.options.length - 1; option >= 0; option--) {
    list.selectedIndex = option; list.dispatchEvent(new Event("change"));
    (seen.legends ??= []).push(at("legend").textContent);
    look("colour");
  }
  all("#legend button")[0]?.click();
  await settled();
  seen.hidden = texts("#labels bdi");
  at("language").click(); seen.language = page.documentElement.lang; look("language");
  const theme = page.documentElement.dataset.theme; at("theme").click();
  seen.themes = [theme, page.documentElement.dataset.theme];
  await settled();
  seen.nameless = all("button, select, input").filter(part => !(part.ariaLabel || part.innerText || part.labels?.length)).map(part => part.outerHTML);
  frame.remove();
}
Promise.all(WIDTHS.flatMap(width => Object.keys(PAGES).map(name => read(name, width))))
  .catch(error => { answers.error = String(error.stack); })
  .finally(() => { document.getElementById("answers").textContent = JSON.stringify(answers); });
