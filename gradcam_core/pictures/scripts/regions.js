// From heat to region, in the browser: what regions.py does in Python. Pure, after heat.js.
// Along a row of pixels an enlarged map goes in straight lines from the centre of one cell to that of the next, so what
// lies above a threshold follows from the cells: no picture is made, and 12 megapixels take milliseconds.

// For each row of pixels, where the heat is at least the threshold: [start, end, start, end, ...], ends excluded.
const runsAbove = (heat, [rows, columns], [height, width], threshold) => {
  const step = width / columns;
  const centres = Array.from({ length: columns }, (_, i) => (i + 0.5) * step - 0.5); // in pixels, as resizedLevels has them
  const firsts = centres.map((centre) => Math.max(Math.ceil(centre), 0));
  return neighbours(rows, height).map(([top, bottom, down]) => {
    const runs = [];
    const add = (start, end) => {
      if (start >= end) return;
      if (runs.at(-1) === start) runs[runs.length - 1] = end;
      else runs.push(start, end);
    };
    const at = (column) => {
      const above = heat[top * columns + column];
      return above + (heat[bottom * columns + column] - above) * down;
    };
    let before = at(0);
    if (before >= threshold) add(0, firsts[0]);
    for (let i = 1; i <= columns; i++) {
      const first = firsts[i - 1], end = i < columns ? firsts[i] : width;
      const after = i < columns ? at(i) : before; // beyond the last centre nothing changes
      const isHot = before >= threshold;
      if (isHot && after >= threshold) add(first, end);
      else if (isHot || after >= threshold) {
        const crossing = centres[i - 1] + (threshold - before) / (after - before) * step;
        if (isHot) add(first, Math.min(Math.floor(crossing) + 1, end));
        else add(Math.max(Math.ceil(crossing), first), end);
      }
      before = after;
    }
    return runs;
  });
};

// The regions of runs that touch, be it at a corner: { x0, y0, x1, y1, pixels }, x1 and y1 excluded, the largest first.
// Two-pass labelling by rows: Rosenfeld and Pfaltz, "Sequential operations in digital picture processing", J. ACM 1966.
const regionsOf = (rowsOfRuns) => {
  const regions = [], parents = [];
  const root = (i) => {
    while (parents[i] !== i) i = parents[i] = parents[parents[i]];
    return i;
  };
  const join = (one, other) => {
    const [a, b] = [root(one), root(other)].sort((x, y) => x - y);
    if (a === b) return;
    parents[b] = a;
    const into = regions[a], from = regions[b];
    Object.assign(into, {
      x0: Math.min(into.x0, from.x0), y0: Math.min(into.y0, from.y0), x1: Math.max(into.x1, from.x1),
      y1: Math.max(into.y1, from.y1), pixels: into.pixels + from.pixels,
    });
  };
  let before = [], number = 0; // the row above, and the region of its first run
  rowsOfRuns.forEach((runs, y) => {
    const first = regions.length;
    for (let i = 0, j = 0; i < runs.length; i += 2) {
      const x0 = runs[i], x1 = runs[i + 1];
      parents.push(regions.length);
      regions.push({ x0, y0: y, x1, y1: y + 1, pixels: x1 - x0 });
      while (j < before.length && before[j + 1] < x0) j += 2;
      for (let k = j; k < before.length && before[k] <= x1; k += 2) join(number + k / 2, first + i / 2);
    }
    before = runs;
    number = first;
  });
  return regions.filter((_, i) => parents[i] === i).sort((a, b) => b.pixels - a.pixels || a.y0 - b.y0 || a.x0 - b.x0);
};

const merged = (some, others) => { // two ascending lists as one
  const all = [];
  for (let i = 0, j = 0; i < some.length || j < others.length;) all.push(j === others.length || some[i] <= others[j] ? some[i++] : others[j++]);
  return all;
};

// Lines along the edges of runs, and around a box if there is one: white between dark, to be seen on any colour.
// line is half as wide as the white, a whole number of pixels.
const paintOutline = (canvas, rowsOfRuns, box, line = 2) => {
  const { width, height } = canvas;
  const picture = new ImageData(width, height);
  const pixels = new Uint32Array(picture.data.buffer);
  // Between two rows there is an edge where one of them is hot and the other is not: between their ends in order.
  const between = rowsOfRuns.map((runs, y) => (y ? merged(rowsOfRuns[y - 1], runs) : []));
  for (const [color, half] of [[0xb3000000, line + 1], [0xffffffff, line]]) {
    const fill = (left, right, top, bottom) => {
      for (let y = Math.max(top, 0), end = Math.min(bottom, height); y < end; y++) {
        for (let i = y * width + Math.max(left, 0), last = y * width + Math.min(right, width); i < last; i++) pixels[i] = color;
      }
    };
    rowsOfRuns.forEach((runs, y) => {
      for (const x of runs) if (x > 0 && x < width) fill(x - half, x + half, y, y + 1); // the photo's own edge is none
      const ends = between[y];
      for (let i = 0; i < ends.length; i += 2) if (ends[i] < ends[i + 1]) fill(ends[i], ends[i + 1], y - half, y + half);
    });
  }
  const context = canvas.getContext('2d');
  context.putImageData(picture, 0, 0);
  if (!box) return;
  for (const [color, width, dashes] of [['rgb(0 0 0 / .7)', 2 * line, []], ['#fff', 2 * line - 1, [6 * line, 3 * line]]]) {
    context.strokeStyle = color;
    context.lineWidth = width;
    context.setLineDash(dashes);
    context.strokeRect(box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0);
  }
};
