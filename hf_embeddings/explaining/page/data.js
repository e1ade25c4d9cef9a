"use strict";
// What the page shows and what the reader has chosen; arrays are unpacked where they are read.

const at = id => document.getElementById(id);
const DATA = JSON.parse(at("data").textContent), WORDS = JSON.parse(at("words").textContent);
const chosen = {language: "en", input: 0, piece: 0, layer: 0, head: -1, view: "heads", step: 0, exchange: "", positionHead: -1};

/** Unpack {shape, scale, data} into {shape, values, at(...)}. */
function unpack(packed) {
  const bytes = Uint8Array.from(atob(packed.data), letter => letter.charCodeAt(0));
  const numbers = new DataView(bytes.buffer), values = new Float64Array(bytes.length / 2);
  for (let place = 0; place < values.length; place++) values[place] = numbers.getInt16(2 * place, true) * packed.scale;
  return array(packed.shape, values);
}

function array(shape, values) {
  const find = indices => indices.reduce((place, index, axis) => place * shape[axis] + index, 0);
  return {
    shape, values,
    at: (...indices) => values[find(indices)],
    /** Return the part of the array behind the first indices. */
    part(...indices) {
      const rest = shape.slice(indices.length), size = rest.reduce((product, length) => product * length, 1);
      const start = find(indices) * size;
      return array(rest, values.subarray(start, start + size));
    },
  };
}

function unpackAll(value) {
  if (Array.isArray(value)) value.forEach((inner, place) => { value[place] = unpackAll(inner); });
  else if (value && typeof value == "object") {
    if ("scale" in value && "shape" in value) return unpack(value);
    for (const name of Object.keys(value)) value[name] = unpackAll(value[name]);
  }
  return value;
}
unpackAll(DATA);

/** Return the words of the page for a key, with {names} filled in. */
function say(key, fields = {}) {
  const text = WORDS[chosen.language][key];
  if (text === undefined) throw new Error("no words for " + key);
  return text.replace(/\{(\w+)\}/g, (_, name) => fields[name]);
}

const input = () => DATA.inputs[chosen.input], pieces = () => input().text.pieces;
const label = place => pieces()[place].label;
const number = (value, digits = 2) => value.toFixed(digits).replace(/^-(0\.?0*)$/, "$1").replace("-", "\u2212");
const percent = value => value >= 0.0995 ? (100 * value).toFixed(0) + " %" : value >= 0.001 ? (100 * value).toFixed(1) + " %" : "< 0.1 %";
const range = count => [...Array(count).keys()];
