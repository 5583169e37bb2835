// A photo with its heat map, small or large. Names of photos and classes are put in by textContent alone.
/* global REPORT, bytesOf, heatOf, resizedLevels, palette, paintLevels, spoken */

const find = (selector, inside = document) => inside.querySelector(selector);
const make = (tag, className = '', text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
};
const rows = REPORT.rows;
const count = rows.photo.length;
const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;
// What the network says of a class: of one that gives values, no share of anything.
const isValue = REPORT.measures === 'value';
const measured = (x, digits = 0) => (isValue ? String(+x.toPrecision(3)) : percent(x, digits));
const nameOf = (index) => spoken(REPORT.names[index] ?? `class ${index}`);
const isWrong = (i) => !isValue && rows.label_index[i] !== null && rows.predicted_index[i] !== null && rows.label_index[i] !== rows.predicted_index[i];
const isRight = (i) => !isValue && rows.label_index[i] !== null && rows.label_index[i] === rows.predicted_index[i];

const toolbar = find('.toolbar');
const tables = Object.fromEntries(Object.entries(REPORT.colors).map(([name, base64]) => [name, bytesOf(base64)]));
for (const name of Object.keys(tables)) toolbar.colormap.append(new Option(name, name));
toolbar.colormap.value = 'jet';

// --- maps: 500 photos a file, loaded when one of them is to be painted ---

const parts = []; // by number: a promise of the maps of its photos
const waiting = [];
const takeMaps = (number, predicted, labelled) => waiting[number]([bytesOf(predicted), bytesOf(labelled)]); // called by the files
const partOf = (number) => (parts[number] ??= new Promise((resolve) => {
  waiting[number] = ([predicted, labelled]) => {
    const maps = new Map();
    let at = 0, other = 0;
    const end = Math.min(count, (number + 1) * REPORT.part);
    for (let i = number * REPORT.part; i < end; i++) {
      const cells = (rows.map_height[i] ?? 0) * (rows.map_width[i] ?? 0);
      const map = { predicted: predicted.subarray(at, at += cells) };
      if (cells && isWrong(i)) map.label = labelled.subarray(other, other += cells);
      maps.set(i, map);
    }
    resolve(maps);
  };
  const script = make('script');
  script.src = `report/maps-${String(number).padStart(3, '0')}.js`;
  script.addEventListener('error', () => resolve(new Map()));
  document.head.append(script);
}));

const levelsOf = async (i, which) => (await partOf(Math.floor(i / REPORT.part))).get(i)?.[which];

// --- painting ---

const paint = (canvas) => {
  if (canvas.levels) paintLevels(canvas, canvas.levels, palette(tables[toolbar.colormap.value]));
};
const fill = (canvas, heat, cells) => {
  canvas.levels = resizedLevels(heat, cells, [canvas.height, canvas.width]);
  paint(canvas);
};
const painter = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    painter.unobserve(target);
    target.show();
  }
}, { rootMargin: '300px' });

// The photo is a place in a sheet of a hundred, shown at the width that its box has.
const sheet = (i, width) => {
  const [w, h] = REPORT.sizes[i];
  const place = i % REPORT.across ** 2, scale = width / w;
  const [x, y] = [place % REPORT.across, Math.floor(place / REPORT.across)].map((at) => at * REPORT.tile * scale);
  return {
    size: [width, h * scale],
    style: {
      backgroundImage: `url(report/photos-${String(Math.floor(i / REPORT.across ** 2)).padStart(3, '0')}.jpg)`,
      backgroundSize: `${REPORT.across * REPORT.tile * scale}px`,
      backgroundPosition: `${-x}px ${-y}px`,
    },
  };
};

const picture = (i, which = 'predicted', box = REPORT.tile) => {
  const node = make('span', 'picture');
  const has = REPORT.sizes[i][0] > 0;
  const [w, h] = has ? REPORT.sizes[i] : [rows.map_width[i] || 1, rows.map_height[i] || 1];
  const scale = Math.min(box / w, box / h);
  Object.assign(node.style, { width: `${w * scale}px`, height: `${h * scale}px` });
  const canvas = make('canvas');
  canvas.width = Math.max(1, Math.round(w * scale));
  canvas.height = Math.max(1, Math.round(h * scale));
  node.append(canvas);
  node.show = async () => {
    if (has) Object.assign(node.style, sheet(i, w * scale).style);
    const levels = await levelsOf(i, which);
    if (levels?.length) fill(canvas, heatOf(levels), [rows.map_height[i], rows.map_width[i]]);
  };
  painter.observe(node);
  return node;
};

const said = (i) => {
  if (rows.error[i] !== null) return 'failed';
  const answer = `${nameOf(rows.predicted_index[i])}, ${measured(rows.probability[i])}`;
  return isWrong(i) ? `${answer}, but is ${nameOf(rows.label_index[i])}` : answer;
};

// `list` are the photos among which the large view goes on.
const tile = (i, list) => {
  const item = make('li');
  const button = make('button', 'tile');
  button.type = 'button';
  button.dataset.photo = i;
  const box = make('span', 'box');
  box.append(picture(i));
  const words = make('span', `words${isWrong(i) || rows.error[i] !== null ? ' is-wrong' : ''}`, said(i));
  button.append(box, words);
  button.title = said(i);
  button.setAttribute('aria-label', `${rows.photo[i]}: ${said(i)}`);
  button.addEventListener('click', () => enlarge(i, list, button));
  item.append(button);
  return item;
};

const meanMap = (map) => {
  const box = make('span', 'box is-mean');
  const node = make('span', 'picture');
  const [h, w] = [map.length, map[0].length];
  const scale = 84 / Math.max(h, w);
  Object.assign(node.style, { width: `${w * scale}px`, height: `${h * scale}px` });
  const canvas = make('canvas');
  Object.assign(canvas, { width: Math.round(w * scale), height: Math.round(h * scale) });
  canvas.style.opacity = 1;
  node.append(canvas);
  node.show = () => {
    const heat = map.flat(), peak = Math.max(...heat);
    fill(canvas, heat.map((value) => (peak ? value / peak : 0)), [h, w]);
  };
  painter.observe(node);
  box.append(node);
  return box;
};

const applyOpacity = () => {
  document.documentElement.style.setProperty('--opacity', toolbar.opacity.value);
  find('output', toolbar).textContent = percent(toolbar.opacity.value);
};
applyOpacity();
toolbar.addEventListener('submit', (event) => event.preventDefault());
toolbar.addEventListener('input', (event) => {
  applyOpacity();
  if (event.target.name === 'colormap') document.querySelectorAll('.picture canvas').forEach(paint);
});
