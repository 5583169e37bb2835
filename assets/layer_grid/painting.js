// The canvas of a map: painted when it comes near the screen, and again when colours or scale change.

// With the shared scale in it: a map whose peak is a third of the highest ends at a third.
const colorsOf = (map) => {
  const highest = Math.max(...answer.maps.map((other) => other.peak));
  return palette(tables[view.colormap], view.scale === 'shared' && highest > 0 ? map.peak / highest : 1);
};

const paint = (canvas, map) => {
  canvas.levels ??= resizedLevels(map.heat, map.cells, [canvas.height, canvas.width]);
  paintLevels(canvas, canvas.levels, colorsOf(map));
};

const heatCanvas = (map, width) => {
  const canvas = make('canvas');
  const { naturalWidth, naturalHeight } = answer.photo;
  canvas.width = Math.max(1, Math.min(Math.round(width), naturalWidth));
  canvas.height = Math.max(1, Math.round(canvas.width * naturalHeight / naturalWidth));
  return canvas;
};

// A network can have hundreds of layers: a card is painted when it comes near the screen.
const painter = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    target.isNear = isIntersecting;
    if (isIntersecting && target.isStale) { target.isStale = false; paint(target.canvas, target.map); }
  }
}, { rootMargin: '300px' });

const repaint = () => {
  for (const card of cards()) {
    card.isStale = !card.isNear;
    if (card.isNear) paint(card.canvas, card.map);
  }
  for (const canvas of element.querySelectorAll('dialog canvas')) paint(canvas, canvas.map);
};
