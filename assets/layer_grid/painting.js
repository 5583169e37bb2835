// The canvas of a map: painted when it comes near the screen, and again when colours or scale change.

// With the shared scale in it: a map whose peak is a third of the highest ends at a third. One of all layers has no peak.
const colorsOf = (map) => {
  const highest = highestPeak(map.peers);
  return palette(tables[view.colormap], view.scale === 'shared' && highest > 0 && !map.isFused ? map.peak / highest : 1);
};

const heatCanvas = (map, width) => {
  const canvas = make('canvas');
  const { naturalWidth, naturalHeight } = answer.photo;
  canvas.width = Math.max(1, Math.min(Math.round(width), naturalWidth));
  canvas.height = Math.max(1, Math.round(canvas.width * naturalHeight / naturalWidth));
  canvas.map = map;
  return canvas;
};

const paint = (canvas) => {
  canvas.levels ??= resizedLevels(canvas.map.heat, canvas.map.cells, [canvas.height, canvas.width]);
  paintLevels(canvas, canvas.levels, colorsOf(canvas.map));
};

// What lies above the threshold, on a canvas of its own over the heat: of the same place, but fine on small photos too.
const FINE = 420 * Math.min(devicePixelRatio, 2); // the width of a card
const FINER = 1024; // that of an enlarged map

const paintLines = (canvas) => {
  if (!view.threshold) {
    canvas.lines?.remove();
    canvas.lines = null;
    return;
  }
  if (!canvas.lines) {
    const lines = make('canvas', 'gx-lines');
    const scale = Math.max(1, (canvas.closest('dialog') ? FINER : FINE) / canvas.width);
    lines.width = Math.round(canvas.width * scale);
    lines.height = Math.max(1, Math.round(canvas.height * scale));
    lines.style.clipPath = canvas.style.clipPath;
    canvas.lines = lines;
    canvas.after(lines);
  }
  const { lines, map } = canvas;
  const runs = runsAbove(map.heat, map.cells, [lines.height, lines.width], view.threshold);
  const line = lines.width / map.cells[1] < 6 ? 1 : 2; // thin where cells are small
  paintOutline(lines, runs, regionsOf(runs)[0], line);
};

// A network can have hundreds of layers: a card is painted when it comes near the screen.
const painter = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    target.isNear = isIntersecting;
    if (isIntersecting && target.isStale) {
      target.isStale = false;
      paint(target.canvas);
      paintLines(target.canvas);
    }
  }
}, { rootMargin: '300px' });

const repaint = (brush) => {
  for (const card of cards()) {
    card.isStale ||= !card.isNear;
    if (card.isNear) brush(card.canvas);
  }
  for (const canvas of element.querySelectorAll(':is(dialog, .gx-side) canvas:not(.gx-lines)')) brush(canvas);
};

// A slider moves more often than the screen is drawn.
let frame = 0;
const repaintLines = () => {
  frame ||= requestAnimationFrame(() => {
    frame = 0;
    repaint(paintLines);
    element.querySelector('dialog')?.tellRegion();
  });
};
