// A heat map as a picture, in the browser: what render.py does in Python. Pure: it knows no page.
// heat is an array in [0, 1], row by row, and [rows, columns] its shape; a level is heat as a byte, 0 to 255.

const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const heatOf = (levels) => Float32Array.from(levels, (level) => level / (2 ** (8 * levels.BYTES_PER_ELEMENT) - 1));
const heatOfText = (base64) => heatOf(new Uint16Array(bytesOf(base64).buffer)); // as the page is sent it

// For each of `to` pixels: the cells before and after its centre, and how far it lies from the first to the second.
// Bilinear with half-pixel centres, as cv2.INTER_LINEAR does.
const neighbours = (from, to) => Array.from({ length: to }, (_, i) => {
  const at = Math.min(Math.max((i + 0.5) * from / to - 0.5, 0), from - 1);
  const low = Math.floor(at);
  return [low, Math.min(low + 1, from - 1), at - low];
});

// A heat map at another size, times a scale, put into an array of numbers.
const resizedInto = (numbers, scale, heat, [rows, columns], [height, width]) => {
  const across = neighbours(columns, width);
  neighbours(rows, height).forEach(([top, bottom, down], y) => {
    const upper = top * columns, lower = bottom * columns;
    for (let x = 0; x < width; x++) {
      const [left, right, aside] = across[x];
      const above = heat[upper + left] + (heat[upper + right] - heat[upper + left]) * aside;
      const below = heat[lower + left] + (heat[lower + right] - heat[lower + left]) * aside;
      numbers[y * width + x] = scale * (above + (below - above) * down);
    }
  });
  return numbers;
};

// The levels of a heat map at a picture's size: the scalar is resized, the colour comes after it.
const resizedLevels = (heat, cells, [height, width]) =>
  resizedInto(new Uint8ClampedArray(height * width), 255, heat, cells, [height, width]);

// One map of all layers, each first brought to the size of the largest, as `Explanation.fused` makes it.
const fusedHeat = (maps, how) => {
  const cells = [0, 1].map((axis) => Math.max(...maps.map((map) => map.cells[axis])));
  const heats = maps.map((map) => resizedInto(new Float32Array(cells[0] * cells[1]), 1, map.heat, map.cells, cells));
  const join = how === 'product' ? (one, other) => one * other : Math.max;
  const heat = heats.reduce((fused, next) => fused.map((share, i) => join(share, next[i])));
  const peak = how === 'product' ? heat.reduce((high, share) => Math.max(high, share), 0) || 1 : 1;
  return { heat: heat.map((share) => share / peak), cells };
};

// level -> colour, from a table of 256 times red, green, blue. A map that is shown on another's scale ends at a share of it.
const palette = (table, share = 1) => {
  const colors = new Uint8ClampedArray(4 * 256);
  for (let level = 0; level < 256; level++) {
    const at = 3 * Math.round(level * share);
    colors.set([table[at], table[at + 1], table[at + 2], 255], 4 * level);
  }
  return new Uint32Array(colors.buffer);
};

// The whole table from left to right, as a colour for CSS; stops from 0 to 1.
const STOPS = Array.from({ length: 33 }, (_, i) => i / 32);
const colorAt = (table, share) => `rgb(${table.slice(3 * Math.round(255 * share), 3 * Math.round(255 * share) + 3).join(' ')})`;
const gradientOf = (table) => `linear-gradient(to right, ${STOPS.map((share) => colorAt(table, share)).join(', ')})`;

const paintLevels = (canvas, levels, colors) => {
  const picture = new ImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(picture.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = colors[levels[i]];
  canvas.getContext('2d').putImageData(picture, 0, 0);
};
