// What lies above the threshold in an enlarged map, in words, and a slider for it: the toolbar's lies behind the dialog.

const percent = (share) => `${share < 0.0995 ? +(100 * share).toPrecision(2) : Math.round(100 * share)} %`;

const regionText = (map) => {
  const [height, width] = answer.value.photo_size;
  const regions = regionsOf(runsAbove(map.heat, map.cells, [height, width], view.threshold));
  if (!regions.length) return 'Nothing in this map is as hot.';
  const [{ x0, y0, x1, y1, pixels }] = regions;
  const all = regions.reduce((sum, region) => sum + region.pixels, 0) / (height * width);
  const box = `from x ${x0}, y ${y0} to x ${x1}, y ${y1}, of ${width}\u2009×\u2009${height} pixels`;
  return regions.length === 1 ? `One region is as hot: ${percent(all)} of the photo. Its box goes ${box}.`
    : `${regions.length} regions are as hot: ${percent(all)} of the photo. The largest covers ${percent(pixels / (height * width))}; its box goes ${box}.`;
};

const regionReader = (map) => {
  const box = make('div', 'gx-region');
  const label = make('label', '', 'Outline above ');
  const range = make('input');
  Object.assign(range, { type: 'range', min: 0, max: 1, step: 0.01 });
  const share = make('output');
  label.append(range, share);
  const text = make('p');
  const tell = () => {
    range.value = view.threshold;
    share.textContent = thresholdText();
    text.textContent = view.threshold ? regionText(map) : '';
  };
  range.addEventListener('input', () => setView({ threshold: +range.value }));
  box.append(label, text);
  tell();
  return { box, tell };
};
