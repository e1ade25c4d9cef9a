"use strict";
// What the page shows, what the reader has chosen, and where the reader looks from.

const at = id => document.getElementById(id), DATA = JSON.parse(at("data").textContent);
const COUNT = DATA.labels.length, FLAT = DATA.dimensions === 2, FEW = 60, SEPARATE = 1000; // labels up to FEW have lines to points further away, up to SEPARATE they cover no point
const floats = text => new Float32Array(Uint8Array.from(atob(text), letter => letter.charCodeAt(0)).buffer);
const STAGES = DATA.stages.map(stage => floats(stage.points));
const chosen = {language: "en", colouring: 0, point: -1, pinned: new Set(), hits: null, hidden: new Set()};
const view = {zoom: 1, x: 0, y: 0, yaw: 0.6, pitch: 0.35, stage: STAGES.length - 1, width: 0, height: 0, top: 0}; // top: what a legend above takes;
const screen = new Float32Array(3 * COUNT); // x and y in CSS pixels, nearness from 0 (far) to 1
const colouring = () => DATA.colourings[chosen.colouring];

/** The middle of all stages, and how far the points reach from it along each axis. */
const [middle, reach] = (() => {
  const low = Array(DATA.dimensions).fill(Infinity), high = low.map(() => -Infinity);
  for (const points of STAGES) points.forEach((value, place) => {
    const axis = place % DATA.dimensions;
    low[axis] = Math.min(low[axis], value); high[axis] = Math.max(high[axis], value);
  });
  return [low.map((value, axis) => (value + high[axis]) / 2), low.map((value, axis) => (high[axis] - value) / 2 || 1)];
})();
/** How far the furthest point is from the middle. */
const RADIUS = STAGES.reduce((most, points) => {
  for (let place = 0; place < points.length; place += DATA.dimensions) {
    most = Math.max(most, Math.hypot(...middle.map((value, axis) => points[place + axis] - value)));
  }
  return most;
}, 0) || 1;

const centre = () => [view.width / 2, (view.height + view.top) / 2];

/** Pixels of one unit of the map, before perspective. */
function unit() {
  const margin = 0.86 * view.zoom / 2;
  if (!FLAT) return margin * Math.min(view.width, view.height - view.top) / RADIUS;
  return margin * Math.min(view.width / reach[0], (view.height - view.top) / reach[1]);
}

/** Return the coordinates of all points now; between two stages they lie between their places. */
function here() {
  const before = Math.floor(view.stage), share = view.stage - before, start = STAGES[before];
  return share ? start.map((value, place) => value + share * (STAGES[before + 1][place] - value)) : start;
}

/** Return a function that writes where (x, y, z) is on the screen, and how near, into three places of an array. */
function lens() {
  const scale = unit(), [middleX, middleY] = centre(), across = middleX + view.x, down = middleY + view.y;
  const [sinYaw, cosYaw, sinPitch, cosPitch] = [Math.sin(view.yaw), Math.cos(view.yaw), Math.sin(view.pitch), Math.cos(view.pitch)];
  return (target, place, x, y, z) => {
    let stretch = scale, near = 0;
    if (!FLAT) {
      const depth = cosYaw * z - sinYaw * x;
      x = cosYaw * x + sinYaw * z;
      near = (sinPitch * y + cosPitch * depth) / RADIUS;
      y = cosPitch * y - sinPitch * depth;
      stretch /= 1 - 0.3 * near;
    }
    target[place] = across + x * stretch;
    target[place + 1] = down - y * stretch;
    target[place + 2] = (near + 1) / 2;
  };
}

/** Compute where every point is on the screen. */
function project() {
  const write = lens(), points = here(), width = DATA.dimensions, [x, y, z = 0] = middle;
  for (let row = 0, place = 0; row < COUNT; row++, place += width) {
    write(screen, 3 * row, points[place] - x, points[place + 1] - y, FLAT ? 0 : points[place + 2] - z);
  }
}

/** Zoom by a factor, so that what is at (x, y) stays there. */
function zoom(factor, x = centre()[0], y = centre()[1]) {
  const next = Math.max(0.5, Math.min(400, view.zoom * factor)), ratio = next / view.zoom;
  const [middleX, middleY] = centre();
  view.x = x - middleX - ratio * (x - middleX - view.x);
  view.y = y - middleY - ratio * (y - middleY - view.y);
  view.zoom = next;
  moved();
}

function pan(x, y) {
  view.x += x; view.y += y;
  moved();
}

function turn(yaw, pitch) {
  view.yaw += yaw; view.pitch = Math.max(-1.55, Math.min(1.55, view.pitch + pitch));
  moved();
}

function reset() {
  Object.assign(view, {zoom: 1, x: 0, y: 0, yaw: 0.6, pitch: 0.35});
  moved();
}

/** Bring a point into view, to where its card does not lie over it: that is on the right, on a phone at the bottom. */
function seek(row) {
  project();
  const [x, y] = screen.subarray(3 * row), edge = 40, phone = view.width < 600;
  const [right, bottom] = phone ? [view.width - edge, 0.5 * view.height] : [view.width - 300, view.height - edge];
  if (x < edge || y < edge || x > right || y > bottom) pan((edge + right) / 2 - x, (edge + bottom) / 2 - y);
}

const groupOf = row => colouring().kind === "groups" ? colouring().of[row] : -1;
const isHidden = row => chosen.hidden.has(groupOf(row));
const isMarked = row => chosen.pinned.has(row) || row === chosen.point || chosen.hits?.has(row);
const inView = row => screen[3 * row] >= 0 && screen[3 * row] <= view.width && screen[3 * row + 1] >= 0 && screen[3 * row + 1] <= view.height;

/** Return the nearest point within some pixels of (x, y), or -1. */
function pointAt(x, y, most) {
  let best = -1, least = most * most;
  for (let row = 0; row < COUNT; row++) {
    const square = (screen[3 * row] - x) ** 2 + (screen[3 * row + 1] - y) ** 2;
    if (square < least && !isHidden(row)) { best = row; least = square; }
  }
  return best;
}

/** The nearest of a point in the full space, at this stage: {name, row (-1: it is not on the map), cosine}. */
function nearest(row) {
  const stage = DATA.near[Math.min(Math.round(view.stage), DATA.near.length - 1)];
  return (stage?.rows[row] ?? []).map((other, place) => ({
    name: DATA.names ? DATA.names[other] : DATA.labels[other], row: DATA.names ? DATA.labels.indexOf(DATA.names[other]) : other,
    cosine: (stage.cosines[row][place] / 100).toFixed(2),
  }));
}
