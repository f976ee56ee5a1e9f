"use strict";
// Everything that comes from data reaches the document through textContent or attributes, never as markup.

const $ = (id) => document.getElementById(id);
const read = (id) => JSON.parse($(id).textContent);
const bytes = (base64) => Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
const clamp = (x, low, high) => Math.min(high, Math.max(low, x));
const percent = (x) => `${(100 * x).toFixed(4)}%`;
const short = (x) => (x === null || x === undefined ? "n/a" : x === 0 ? "0" : String(Number(x.toPrecision(2))));

/** An element; `attributes` starting with "on" are listeners, the rest attributes; children are nodes or text. */
function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(node.style, value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

const overview = read("overview");
const heat = bytes(overview.heat); // 256 RGB triples
const settings = { head: 0, perWord: false, gamma: 1 }; // views add their own
const examples = [];

/**
 * What draws a kind of source: a script in views/ puts a class here under the view's name.
 *
 * constructor(example); node: an element; buttons: one a word; ready: a promise; hint: said while no word is chosen;
 * draw(): paint all; select(index or null): paint the chosen word; compare(index): parts of a sentence about its truth;
 * press(index): a word was clicked; optional: toggle(), stop(), playing for what can be played; first(): the word that
 * is chosen at first.
 * static: Reader of self-attention: constructor(data, {shape, extra, factor}, pick(cell)), node, names(cell) and
 * paint(row, cell that reads or null); gamma and overGray of its maps; legend: what a color means; controls: see
 * `addControls`.
 */
const views = {};

/** What draws a chart under the maps: constructor(example, data), node and select(index or null). */
const charts = {};

// --------------------------------------------------------------------------------------------- colors

const pageLimit = () => overview.limits[settings.head ? 1 : 0];

/** Where a weight lies on the color scale, from 0 to 1. */
const scaled = (weight, limit) => clamp(weight / limit, 0, 1) ** settings.gamma;

/** Heat over a photo, or alone where there is none: the same sums as in colors.py. */
function paint(canvas, gray, values, width, height, limit) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const { floor, range } = overview.blend;
  for (let i = 0, p = 0; i < values.length; i++, p += 4) {
    const level = scaled(values[i], limit);
    const code = 3 * Math.round(255 * level);
    const alpha = gray ? floor + range * level ** 1.5 : 1;
    for (let c = 0; c < 3; c++) image.data[p + c] = alpha * heat[code + c] + (gray ? (1 - alpha) * gray[p + c] : 0);
    image.data[p + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

/** A weight's color behind a text, and an ink that can be read on it. */
function shade(node, weight, limit) {
  const rgb = heat.subarray(3 * Math.round(255 * scaled(weight, limit))).subarray(0, 3);
  const light = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2];
  Object.assign(node.style, { background: `rgb(${rgb.join()})`, color: light > 130 ? "#000" : "#fff" });
}

/** A grid's cells at width x height: bilinear between their centers, or as they are. */
function enlarge(values, rows, columns, width, height, smooth) {
  const result = new Float32Array(width * height);
  const places = (size, cells) =>
    Array.from({ length: size }, (_, i) => {
      const at = ((i + 0.5) * cells) / size - 0.5;
      if (!smooth) return [Math.round(at), Math.round(at), 0];
      const low = Math.floor(at);
      return [clamp(low, 0, cells - 1), clamp(low + 1, 0, cells - 1), at - low];
    });
  const across = places(width, columns);
  places(height, rows).forEach(([top, bottom, down], y) => {
    for (let x = 0; x < width; x++) {
      const [left, right, along] = across[x];
      const above = values[top * columns + left] * (1 - along) + values[top * columns + right] * along;
      const below = values[bottom * columns + left] * (1 - along) + values[bottom * columns + right] * along;
      result[y * width + x] = above * (1 - down) + below * down;
    }
  });
  return result;
}

/** The photo with most of its color taken out, as RGBA. */
function grayed(image, width, height) {
  const canvas = make("canvas", { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const keep = overview.blend.photo;
  for (let p = 0; p < data.length; p += 4) {
    const luma = 0.299 * data[p] + 0.587 * data[p + 1] + 0.114 * data[p + 2];
    for (let c = 0; c < 3; c++) data[p + c] = keep * data[p + c] + (1 - keep) * luma;
  }
  return data;
}

// --------------------------------------------------------------------------------------------- weights

async function inflate(data) {
  const stream = new Blob([bytes(data)]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function unpack(packed) {
  const codes = await inflate(packed.data);
  const size = packed.shape[2];
  const scale = packed.scale.flat();
  return Float32Array.from(codes, (code, i) => (code * scale[Math.floor(i / size)]) / 255);
}

/** The maps of one example: of a token or a word, of the chosen head or the mean of all. */
class Maps {
  constructor(packed, words, values) {
    [this.tokens, this.heads, this.size] = packed.shape;
    this.words = words;
    this.values = values;
  }

  mean(first, stop) {
    const head = settings.head - 1;
    const single = head >= 0 && head < this.heads;
    const [low, high] = single ? [head, head + 1] : [0, this.heads];
    const map = new Float32Array(this.size);
    const share = 1 / ((stop - first) * (high - low));
    for (let t = first; t < stop; t++)
      for (let n = low; n < high; n++) {
        const start = (t * this.heads + n) * this.size;
        for (let s = 0; s < this.size; s++) map[s] += share * this.values[start + s];
      }
    return map;
  }

  token(index) {
    return this.mean(index, index + 1);
  }
  word(index) {
    return this.mean(this.words[index][1], this.words[index][2]);
  }

  /** The word that a token belongs to; -1 for one between words. */
  wordOf(token) {
    return this.words.findIndex(([, first, stop]) => first <= token && token < stop);
  }
}

const largest = (map) => map.reduce((a, b) => Math.max(a, b), 0);

/** Where the color scale of a map ends. */
const limitOf = (map) => (settings.perWord ? largest(map) || 1 : pageLimit());

/** The tokens-by-positions matrix, a pixel a weight; where each word is stretched by itself, all its tokens alike. */
function paintMatrix(canvas, maps) {
  const tops = Array.from({ length: maps.tokens }, () => pageLimit());
  if (settings.perWord)
    for (const [, first, stop] of maps.words) {
      const top = Math.max(...Array.from({ length: stop - first }, (_, i) => largest(maps.token(first + i)))) || 1;
      tops.fill(top, first, stop);
    }
  const values = new Float32Array(maps.tokens * maps.size);
  for (let t = 0; t < maps.tokens; t++)
    maps.token(t).forEach((weight, s) => {
      values[t * maps.size + s] = weight / tops[t];
    });
  if (values.length) paint(canvas, null, values, maps.size, maps.tokens, 1);
}
