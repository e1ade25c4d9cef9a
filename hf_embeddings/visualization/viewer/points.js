// The points: on the graphics card where there is WebGL, else on a plain canvas.

const canvas = at("points"), colours = new Uint8Array(4 * COUNT), sizes = new Float32Array(COUNT), order = new Uint32Array(COUNT), layers = new Uint16Array(COUNT), marks = new Uint8Array(COUNT);
const BASE = COUNT <= 300 ? 9 : COUNT <= 3000 ? 6 : 4; // pixels across
const DEPTHS = 256; // steps of nearness by which points are sorted
const VERTEX = `
attribute vec3 place; attribute vec4 colour; attribute float size;
uniform vec2 area; uniform float ratio; uniform float fog;
varying vec4 ink; varying float across;
void main() {
  gl_Position = vec4(place.xy / area * 2.0 - 1.0, 0.0, 1.0);
  gl_Position.y = -gl_Position.y;
  across = size * ratio * (fog > 0.0 ? 0.75 + 0.5 * place.z : 1.0);
  gl_PointSize = colour.a == 0.0 ? 0.0 : across;
  ink = vec4(colour.rgb, colour.a * mix(1.0, 0.5 + 0.5 * place.z, fog));
}`;
const FRAGMENT = `
precision mediump float;
varying vec4 ink; varying float across;
void main() {
  float inside = (0.5 - length(gl_PointCoord - 0.5)) * across;
  if (inside <= 0.0 || ink.a == 0.0) discard;
  float alpha = ink.a * min(inside, 1.0);
  gl_FragColor = vec4(ink.rgb * alpha, alpha);
}`;
let card = null; // {gl, buffers, uniforms} of WebGL

function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
const rgb = text => [1, 3, 5].map(start => parseInt(text.slice(start, start + 2), 16));

/** Return the colour of a share from 0 to 1 of the scale. */
function scaleColour(share, stops) {
  const place = Math.max(0, Math.min(1, share)) * (stops.length - 1), start = Math.min(Math.floor(place), stops.length - 2);
  return stops[start].map((value, channel) => Math.round(value + (place - start) * (stops[start + 1][channel] - value)));
}

/** Compute the colour and the size of every point. */
function dress() {
  const own = colouring(), series = DATA.series.map((_, index) => rgb(css(`--series-${index}`))), none = rgb(css("--none"));
  const stops = DATA.scale.map((_, index) => rgb(css(`--scale-${index}`)));
  for (let row = 0; row < COUNT; row++) {
    const value = own.of[row], marked = isMarked(row);
    marks[row] = marked ? 1 : 0;
    const colour = value === null || value < 0 && own.kind === "groups" ? none
      : own.kind === "groups" ? series[value % series.length] : scaleColour(value, stops);
    const faint = chosen.hits && !marked;
    colours.set([...colour, isHidden(row) ? 0 : faint ? 40 : marked ? 255 : COUNT > 1000 ? 190 : 230], 4 * row);
    sizes[row] = BASE * Math.min(2, view.zoom ** 0.2) * (marked ? (COUNT > 1000 ? 2.2 : 1.5) : 1);
  }
}

function startCard() {
  const gl = canvas.getContext("webgl", {antialias: false, alpha: true});
  if (!gl?.getExtension("OES_element_index_uint")) return null;
  const program = gl.createProgram();
  for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, text);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) return null;
  gl.useProgram(program);
  gl.enable(gl.BLEND);
  gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
  const buffers = [["place", 3, gl.FLOAT, screen], ["colour", 4, gl.UNSIGNED_BYTE, colours], ["size", 1, gl.FLOAT, sizes]].map(([name, width, kind, data]) => {
    const buffer = gl.createBuffer(), attribute = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferData(gl.ARRAY_BUFFER, data.byteLength, gl.DYNAMIC_DRAW);
    gl.enableVertexAttribArray(attribute);
    gl.vertexAttribPointer(attribute, width, kind, kind === gl.UNSIGNED_BYTE, 0, 0);
    return {buffer, data};
  });
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer());
  gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, order.byteLength, gl.DYNAMIC_DRAW);
  const uniforms = Object.fromEntries(["area", "ratio", "fog"].map(name => [name, gl.getUniformLocation(program, name)]));
  return {gl, buffers, uniforms};
}

/** Sort into the order of drawing: from far to near, of equals the first given last, and the marked ones at the end. */
function sortPoints() {
  const starts = new Uint32Array(DEPTHS + 2);
  for (let row = 0; row < COUNT; row++) {
    layers[row] = marks[row] ? DEPTHS : screen[3 * row + 2] * (DEPTHS - 1);
    starts[layers[row] + 1]++;
  }
  for (let place = 1; place < starts.length; place++) starts[place] += starts[place - 1];
  for (let row = COUNT - 1; row >= 0; row--) order[starts[layers[row]]++] = row;
}

function drawPoints() {
  const ratio = Math.min(2, window.devicePixelRatio || 1), [wide, high] = [view.width, view.height].map(size => Math.max(1, Math.round(size * ratio)));
  if (canvas.width !== wide || canvas.height !== high) { canvas.width = wide; canvas.height = high; }
  sortPoints();
  if (!card) return drawPlainly(ratio);
  const {gl, buffers, uniforms} = card;
  gl.viewport(0, 0, wide, high);
  gl.clearColor(0, 0, 0, 0);
  gl.clear(gl.COLOR_BUFFER_BIT);
  gl.uniform2f(uniforms.area, view.width, view.height);
  gl.uniform1f(uniforms.ratio, ratio);
  gl.uniform1f(uniforms.fog, FLAT ? 0 : 1);
  for (const {buffer, data} of buffers) {
    gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
    gl.bufferSubData(gl.ARRAY_BUFFER, 0, data);
  }
  gl.bufferSubData(gl.ELEMENT_ARRAY_BUFFER, 0, order);
  gl.drawElements(gl.POINTS, COUNT, gl.UNSIGNED_INT, 0);
}

function drawPlainly(ratio) {
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, view.width, view.height);
  let last = -1;
  for (const row of order) {
    if (!colours[4 * row + 3] || !inView(row)) continue;
    const place = 4 * row, fog = FLAT ? 1 : 0.5 + 0.5 * screen[3 * row + 2];
    const ink = colours[place] << 16 | colours[place + 1] << 8 | colours[place + 2], x = screen[3 * row], y = screen[3 * row + 1], size = sizes[row];
    if (ink !== last) pen.fillStyle = "#" + (last = ink).toString(16).padStart(6, "0");
    pen.globalAlpha = colours[place + 3] / 255 * fog;
    if (size < 6) { pen.fillRect(x - 0.45 * size, y - 0.45 * size, 0.9 * size, 0.9 * size); continue; } // as fast as 10,000 need it
    pen.beginPath();
    pen.arc(x, y, size / 2, 0, 7);
    pen.fill();
  }
}

canvas.addEventListener("webglcontextlost", event => { event.preventDefault(); });
canvas.addEventListener("webglcontextrestored", () => { card = startCard(); moved(); });
card = startCard();
