// Labels beside points, lines to neighbours and trails: text is the browser's own, so that every script is written right.

const measure = document.createElement("canvas").getContext("2d"), widths = new Map(), CELL = 6, LINE = 19, TRIED = 1500;
const MOST_LABELS = () => view.width < 600 ? 60 : 140;
const written = []; // {row, element, x, y, line}: the labels that stand now, with their middle relative to the point
const clip = (text, most = 40) => [...text].length > most ? [...text].slice(0, most - 1).join("") + "\u2026" : text;

function widthOf(row) {
  if (!widths.has(row)) {
    measure.font = "600 13px " + css("--fonts");
    widths.set(row, measure.measureText(clip(DATA.labels[row])).width + 8);
  }
  return widths.get(row);
}

/** Places of the middle of a label of some width, the best first: beside the point, then further out with a line. */
function places(width, size) {
  const out = size / 2 + 3, half = width / 2, side = out + half, up = out + LINE / 2, far = 34;
  const near = [[0, -up], [0, up], [side, 0], [-side, 0], [side - 4, -up], [-side + 4, -up], [side - 4, up], [-side + 4, up]];
  const away = [[0, -far], [0, far], [side + 12, -far], [-side - 12, -far], [side + 12, far], [-side - 12, far], [0, -far - LINE], [0, far + LINE]];
  return [...near.map(place => [...place, false]), ...(COUNT <= FEW ? away.map(place => [...place, true]) : [])];
}

/** A grid of who has which part of the map: 0 nobody, row + 1 a point, -1 a label or several points. */
function makeGrid() {
  const columns = Math.ceil(view.width / CELL) + 1, rows = Math.ceil(view.height / CELL) + 1, cells = new Int32Array(columns * rows);
  const over = (x, y, width, height, visit) => {
    for (let row = Math.floor((y - height / 2) / CELL); row <= (y + height / 2) / CELL; row++) {
      for (let column = Math.floor((x - width / 2) / CELL); column <= (x + width / 2) / CELL; column++) {
        if (row < 0 || column < 0 || row >= rows || column >= columns) { if (!visit(-1)) return false; }
        else if (!visit(row * columns + column)) return false;
      }
    }
    return true;
  };
  return {
    isFree: (x, y, width, height, own) => over(x, y, width, height, cell => cell >= 0 && (!cells[cell] || cells[cell] === own)),
    take: (x, y, width, height, owner) => over(x, y, width, height, cell => {
      if (cell >= 0) cells[cell] = !cells[cell] || cells[cell] === owner ? owner : -1;
      return true;
    }),
  };
}

/** Choose which labels stand, and where: those chosen, pinned or found first, then as they were given. */
function placeLabels() {
  const grid = makeGrid(), taken = [], most = MOST_LABELS();
  if (COUNT <= SEPARATE) for (let row = 0; row < COUNT; row++) grid.take(screen[3 * row], screen[3 * row + 1], sizes[row], sizes[row], row + 1);
  for (const panel of [at("legend"), at("card")]) {
    const {offsetLeft: x, offsetTop: y, offsetWidth: width, offsetHeight: height} = panel; // none where it is hidden
    if (width) grid.take(x + width / 2, y + height / 2, width, height, -1);
  }
  const first = [chosen.point, ...chosen.pinned, ...(chosen.point < 0 ? [] : nearest(chosen.point).map(one => one.row)), ...(chosen.hits ?? [])];
  const seen = new Set(); // of many, only the first ones are tried
  const consider = row => {
    if (row < 0 || taken.length >= most || seen.size > TRIED || seen.has(row) || isHidden(row) || !inView(row)) return;
    seen.add(row);
    const [x, y] = screen.subarray(3 * row), width = widthOf(row);
    const inside = right => Math.max(width / 2 + 2, Math.min(view.width - width / 2 - 2, x + right)) - x;
    const place = places(width, sizes[row]).map(([right, down, line]) => [down ? inside(right) : right, down, line])
      .find(([right, down]) => grid.isFree(x + right, y + down, width, LINE, row + 1));
    const always = row === chosen.point || chosen.pinned.has(row);
    if (!place && !always) return;
    const [right, down, line] = place ?? [0, -LINE, false];
    grid.take(x + right, y + down, width, LINE, -1);
    taken.push({row, right, down, line});
  };
  first.forEach(consider);
  if (!chosen.hits) for (let row = 0; row < COUNT && taken.length < most; row++) consider(row);
  const box = at("labels");
  while (box.children.length < taken.length) box.append(document.createElement("bdi"));
  while (box.children.length > taken.length) box.lastChild.remove();
  written.length = 0;
  taken.forEach(({row, right, down, line}, place) => {
    const element = box.children[place];
    if (element.textContent !== clip(DATA.labels[row])) element.textContent = clip(DATA.labels[row]);
    element.className = chosen.pinned.has(row) ? "pinned" : row === chosen.point ? "here" : "";
    written.push({row, element, right, down, line});
  });
  moveLabels();
}

/** Let labels and lines follow their points. */
function moveLabels() {
  for (const {row, element, right, down} of written) {
    element.style.transform = `translate(${screen[3 * row] + right}px,${screen[3 * row + 1] + down}px) translate(-50%,-50%)`;
  }
  at("lines").replaceChildren(...lines().map(([kind, points]) => {
    const line = document.createElementNS("http://www.w3.org/2000/svg", "polyline");
    line.setAttribute("class", kind);
    line.setAttribute("points", points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" "));
    return line;
  }));
}

/** What is drawn as lines: [kind, points] of trails, of neighbours, and from points to labels that stand further out. */
function lines() {
  const place = row => [screen[3 * row], screen[3 * row + 1]], all = [];
  if (!FLAT) all.push(...axes().map(line => ["axis", line]));
  if (STAGES.length > 1 && COUNT <= FEW) for (let row = 0; row < COUNT; row++) if (!isHidden(row)) all.push(["trail", trail(row)]);
  if (chosen.point >= 0) for (const {row} of nearest(chosen.point)) if (row >= 0 && !isHidden(row)) all.push(["neighbour", [place(chosen.point), place(row)]]);
  for (const {row, right, down, line} of written) {
    if (line) all.push(["leader", [place(row), [screen[3 * row] + right, screen[3 * row + 1] + down - Math.sign(down) * LINE / 2.4]]]);
  }
  return all;
}

/** The way of a point from the first stage to where it is now. */
function trail(row) {
  const write = lens(), way = [], spot = new Float32Array(3);
  for (let stage = 0; stage < view.stage; stage++) {
    const [x, y, z = 0] = STAGES[stage].subarray(DATA.dimensions * row, DATA.dimensions * (row + 1));
    write(spot, 0, x - middle[0], y - middle[1], FLAT ? 0 : z - middle[2]);
    way.push([spot[0], spot[1]]);
  }
  return [...way, [screen[3 * row], screen[3 * row + 1]]];
}

/** The three directions of the space, through its middle: they show how it is turned. */
function axes() {
  const write = lens(), spot = new Float32Array(3);
  return [[1, 0, 0], [0, 1, 0], [0, 0, 1]].map(direction => [-1, 1].map(sign => {
    write(spot, 0, ...direction.map((share, axis) => sign * share * reach[axis]));
    return [spot[0], spot[1]];
  }));
}
