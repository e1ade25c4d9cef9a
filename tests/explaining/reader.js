// A reader at several widths: presses everything, in both languages and both colours, and writes down what was seen.
// PAGE and WIDTHS stand before it.
const answers = {}, pause = time => new Promise(done => setTimeout(done, time));
async function read(width) {
  const frame = document.createElement("iframe"), seen = answers[width] = {wide: [], errors: []};
  frame.width = width; frame.height = 900; frame.srcdoc = PAGE;
  document.body.append(frame);
  await new Promise(done => { frame.onload = done; });
  const page = frame.contentDocument, view = frame.contentWindow, all = (names, from = page) => [...from.querySelectorAll(names)];
  view.addEventListener("error", event => seen.errors.push(event.message));
  page.addEventListener("securitypolicyviolation", event => seen.errors.push(event.violatedDirective));
  const look = what => { if (page.documentElement.scrollWidth > view.innerWidth) seen.wide.push(what); };
  const press = names => all(names).forEach((_, place) => { all(names)[place].click(); look(names + place); });
  const choose = names => all(names).forEach((_, place) => range(all(names)[place].options.length).forEach(option => {
    const list = all(names)[place];
    list.selectedIndex = option; list.dispatchEvent(new Event("change")); look(names + place + ":" + option);
  }));
  const range = count => [...Array(count).keys()], point = names => all(names).forEach(part => {
    const box = part.getBoundingClientRect();
    part.dispatchEvent(new view.PointerEvent("pointermove", {clientX: box.left + 3, clientY: box.top + 3, bubbles: true}));
  });
  seen.first = all("section").map(part => part.innerText);
  for (const language of ["zh", "en"]) {
    page.querySelector(`#languages [value=${language}]`).click();
    seen[language] = all("section h2").map(part => part.innerText);
    seen.lang = page.documentElement.lang;
    press("#inputs button"); press("#chips button"); press("#attention .choice button"); press("#attention .grid button"); press(".norms button");
    choose("section select"); point("canvas, svg"); press("#theme"); press(".player button");
    await pause(500);
  }
  page.querySelector("#inputs button").click();
  all("#chips button")[1].click();
  seen.figures = all("#sum .row .figures").map(part => part.innerText);
  seen.shares = all("#prediction .shares .figures").map(part => part.innerText);
  seen.names = all("#prediction .shares .name").map(part => part.innerText);
  seen.small = all("p, td, th, button, label, dt, dd, li").filter(part => part.innerText && parseFloat(view.getComputedStyle(part).fontSize) < 12).map(part => part.innerText);
  seen.nameless = all("button, select, input, canvas:not([aria-hidden]), svg").filter(part => !(part.ariaLabel || part.innerText || part.labels?.length)).map(part => part.outerHTML);
}
(async () => { for (const width of WIDTHS) await read(width); })().catch(error => { answers.error = String(error.stack); })
  .finally(() => { document.getElementById("answers").textContent = JSON.stringify(answers); });
