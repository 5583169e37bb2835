// This file is long because Gradio takes one script for a component, without imports.
// Gradio hands in element, props, watch and trigger. Nothing that comes from the server is put into markup: every text
// goes through textContent, so a class or a file may be called what it likes.
const find = (selector) => element.querySelector(selector);
const form = find('.gx-toolbar');
const rowList = find('.gx-rows');
const cards = () => [...rowList.querySelectorAll('.gx-card')];
const status = find('.gx-status');
const isStill = () => matchMedia('(prefers-reduced-motion: reduce)').matches;

const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
const tables = Object.fromEntries(Object.entries(props.colors).map(([name, base64]) => [name, bytes(base64)]));
// A link can carry how the maps are shown; what it asks for and is not there is left as it is.
const asked = new URLSearchParams(location.search);
const among = (wanted, known, otherwise) => (known.includes(wanted) ? wanted : otherwise);
const view = {
  opacity: asked.get('opacity') >= 0 && asked.get('opacity') <= 1 ? +(asked.get('opacity') ?? props.opacity) : props.opacity,
  colormap: among(asked.get('colormap'), Object.keys(tables), props.colormap),
  scale: among(asked.get('scale'), ['each', 'shared'], 'each'),
};
let answer = null; // what is shown: the server's value, the photo as an image, and the maps of all rows
let latest = 0;

const make = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
};
const spoken = (name) => name.replaceAll(/[_\s]/g, ' '); // in one line: it ends comments in code too
const number = (x) => (x === 0 ? '0' : x >= 0.001 && x < 1e5 ? String(+x.toPrecision(3)) : x.toExponential(1));

// --- heat maps ---

// Bilinear with half-pixel centres, as cv2.INTER_LINEAR does: the scalar is resized, the colour comes after it.
const samples = (from, to) => Array.from({ length: to }, (_, i) => {
  const at = Math.min(Math.max((i + 0.5) * from / to - 0.5, 0), from - 1);
  const low = Math.floor(at);
  return [low, Math.min(low + 1, from - 1), at - low];
});

const resize = (heat, rows, columns, height, width) => {
  const levels = new Uint8Array(height * width);
  const across = samples(columns, width);
  samples(rows, height).forEach(([top, bottom, down], y) => {
    const upper = top * columns, lower = bottom * columns;
    for (let x = 0; x < width; x++) {
      const [left, right, aside] = across[x];
      const above = heat[upper + left] + (heat[upper + right] - heat[upper + left]) * aside;
      const below = heat[lower + left] + (heat[lower + right] - heat[lower + left]) * aside;
      levels[y * width + x] = above + (below - above) * down + 0.5;
    }
  });
  return levels;
};

// level -> colour, with the shared scale in it: a map whose peak is a third of the highest ends at a third.
const palette = (map) => {
  const highest = Math.max(...answer.maps.map((other) => other.peak));
  const share = view.scale === 'shared' && highest > 0 ? map.peak / highest : 1;
  const table = tables[view.colormap];
  const colors = new Uint8ClampedArray(4 * 256);
  for (let level = 0; level < 256; level++) {
    const at = 3 * Math.round(level * share);
    colors.set([table[at], table[at + 1], table[at + 2], 255], 4 * level);
  }
  return new Uint32Array(colors.buffer);
};

const paint = (canvas, map) => {
  const { width, height } = canvas;
  canvas.levels ??= resize(map.heatBytes, map.cells[0], map.cells[1], height, width);
  const colors = palette(map);
  const picture = new ImageData(width, height);
  const pixels = new Uint32Array(picture.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = colors[canvas.levels[i]];
  canvas.getContext('2d').putImageData(picture, 0, 0);
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

// --- cards ---

const whyEmpty = (map) =>
  `Nothing in this layer speaks for “${spoken(map.target.name)}”${answer.value.instead_of
    ? ` rather than “${spoken(answer.value.instead_of.name)}”` : ''} in this photo, so its map is zero everywhere.`;

const facts = (map) => {
  const list = make('dl', 'gx-facts');
  const [height, width] = map.cell.map((side) => (side < 10 ? side.toFixed(1) : String(Math.round(side))));
  for (const [term, fact] of [
    ['size', map.shape.join('\u2009×\u2009')], ['cell', `${height}\u2009×\u2009${width} px`], ['peak', number(map.peak)],
  ]) list.append(make('dt', '', term), make('dd', '', fact));
  return list;
};

const stack = (map, width) => {
  const picture = make('span', 'gx-stack');
  const photo = make('img');
  photo.alt = '';
  photo.src = answer.photo.src;
  photo.width = answer.photo.naturalWidth;
  photo.height = answer.photo.naturalHeight;
  picture.style.setProperty('--gx-width', `${photo.width}px`);
  picture.style.setProperty('--gx-ratio', photo.width / photo.height);
  const canvas = heatCanvas(map, width);
  picture.append(photo, canvas);
  return { picture, canvas };
};

const isCompared = () => answer.rows.length > 1;
const titleOf = (map) => `${isCompared() ? `${spoken(map.target.name)}, ` : ''}stage ${map.stage}, layer ${map.layer}`;

const buildCard = (map) => {
  const card = make('li', 'gx-card');
  card.dataset.layer = map.layer;
  const open = make('button', 'gx-open');
  open.type = 'button';
  open.setAttribute('aria-label', `Enlarge ${titleOf(map)}`);
  const { picture, canvas } = stack(map, 420 * Math.min(devicePixelRatio, 2));
  open.append(picture);
  open.addEventListener('click', () => enlarge(map, open));
  const text = make('div', 'gx-text');
  const head = make('div', 'gx-card-head');
  head.append(make('span', 'gx-stage', `stage ${map.stage}`), saveButton(map));
  const name = make('code', 'gx-name');
  name.append(...map.layer.split(/(?<=[/_])/).flatMap((part) => [part, make('wbr')]));
  text.append(head, name, facts(map));
  if (map.is_empty) {
    text.append(make('p', 'gx-badge', 'no evidence'), make('p', 'gx-why', whyEmpty(map)));
    card.classList.add('is-empty');
  }
  card.append(open, text);
  Object.assign(card, { canvas, map, isStale: true, isNear: false });
  return card;
};

const saveButton = (map) => {
  const button = make('button', 'gx-save');
  button.type = 'button';
  button.title = 'Save this picture at the size of the photo';
  button.setAttribute('aria-label', `Save the picture of ${titleOf(map)}`);
  button.addEventListener('click', () => trigger('download', { what: 'card', target: map.target.index, layer: map.layer, ...view }));
  return button;
};

// --- enlarged ---

// A cell of the map: under the pointer, or moved by the arrow keys from the hottest one.
const cellReader = (map, picture, readout) => {
  const [rows, columns] = map.cells;
  const frame = make('span', 'gx-cell');
  frame.hidden = true;
  picture.append(frame);
  const inside = (at, count) => Math.min(Math.max(at, 0), count - 1);
  let cell = null;
  const read = (row, column) => {
    cell = [inside(row, rows), inside(column, columns)];
    const share = map.heatBytes[cell[0] * columns + cell[1]] / 255;
    Object.assign(frame.style, {
      top: `${100 * cell[0] / rows}%`, left: `${100 * cell[1] / columns}%`,
      height: `${100 / rows}%`, width: `${100 / columns}%`,
    });
    frame.hidden = false;
    readout.textContent = `Row ${cell[0] + 1} of ${rows}, column ${cell[1] + 1} of ${columns}: ` +
      `${Math.round(100 * share)} % of the peak, evidence ${number(share * map.peak)}`;
  };
  picture.addEventListener('pointermove', ({ clientX, clientY }) => {
    const { left, top, width, height } = picture.getBoundingClientRect();
    read(Math.floor((clientY - top) / height * rows), Math.floor((clientX - left) / width * columns));
  });
  return (down, right) => {
    if (cell) return read(cell[0] + down, cell[1] + right);
    const hottest = map.heatBytes.indexOf(map.heatBytes.reduce((high, level) => Math.max(high, level), 0));
    return read(Math.floor(hottest / columns), hottest % columns);
  };
};

// Another map beside the first, on the same photo: left of a line that can be moved the one, right of it the other.
const wipe = (map, picture, canvas) => {
  const box = make('div', 'gx-wipe');
  const label = make('label', '', 'Compare with ');
  const select = make('select');
  const others = answer.maps.filter((other) => other !== map);
  select.append(new Option('nothing', ''), new Option('the photo alone', 'photo'), ...others.map((other, i) => new Option(titleOf(other), i)));
  label.append(select);
  const range = make('input');
  Object.assign(range, { type: 'range', min: 0, max: 100, step: 0.5, value: 50 });
  range.setAttribute('aria-label', 'Where the line between the two pictures lies');
  const names = make('p', 'gx-sides');
  const line = make('span', 'gx-line');
  let other = null;
  const move = () => {
    const at = +range.value;
    canvas.style.clipPath = select.value === '' ? '' : `inset(0 ${100 - at}% 0 0)`;
    if (other) other.style.clipPath = `inset(0 0 0 ${at}%)`;
    line.style.left = `${at}%`;
  };
  const choose = () => {
    other?.remove();
    const second = others[select.value];
    other = second ? heatCanvas(second, canvas.width) : null;
    if (other) {
      other.map = second;
      paint(other, second);
      canvas.after(other);
    }
    const isOn = select.value !== '';
    range.hidden = names.hidden = line.hidden = !isOn;
    if (isOn) names.replaceChildren(make('span', '', `◂ ${titleOf(map)}`), make('span', '', `${second ? titleOf(second) : 'the photo alone'} ▸`));
    move();
  };
  picture.append(line);
  picture.addEventListener('pointermove', ({ buttons, clientX }) => {
    if (!buttons || select.value === '') return;
    const { left, width } = picture.getBoundingClientRect();
    range.value = 100 * (clientX - left) / width;
    move();
  });
  select.addEventListener('change', choose);
  range.addEventListener('input', move);
  choose();
  box.append(names, range, label);
  return box;
};

const ARROWS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
const PAGES = { PageUp: -1, PageDown: 1 };

const headButton = (className, text, label, act) => {
  const button = make('button', className, text);
  button.type = 'button';
  button.title = label;
  button.setAttribute('aria-label', label);
  button.addEventListener('click', act);
  return button;
};

const enlarge = (first, opener) => {
  const dialog = make('dialog', 'gx-dialog');
  let map, moveCell;
  const fill = (next) => {
    map = next;
    dialog.setAttribute('aria-label', titleOf(map));
    const { picture, canvas } = stack(map, answer.photo.naturalWidth);
    canvas.map = map;
    paint(canvas, map);
    const title = make('h2');
    title.append(make('span', 'gx-stage', `${isCompared() ? `${spoken(map.target.name)} · ` : ''}stage ${map.stage} `), make('code', 'gx-name', map.layer));
    const head = make('div', 'gx-card-head');
    const earlier = headButton('gx-step', '‹', 'Previous layer (Page Up)', () => turn(-1));
    const later = headButton('gx-step', '›', 'Next layer (Page Down)', () => turn(1));
    earlier.disabled = map === answer.maps[0];
    later.disabled = map === answer.maps.at(-1);
    head.append(title, earlier, later, saveButton(map), headButton('gx-close', '×', 'Close', () => dialog.close()));
    const readout = make('p', 'gx-readout', 'Point at the picture, or press the arrow keys, to read a cell.');
    readout.setAttribute('role', 'status');
    moveCell = cellReader(map, picture, readout);
    dialog.replaceChildren(head, picture, wipe(map, picture, canvas), readout, facts(map));
    if (map.is_empty) dialog.append(make('p', 'gx-why', whyEmpty(map)));
  };
  const turn = (by) => {
    const next = answer.maps[answer.maps.indexOf(map) + by];
    if (!next) return;
    fill(next);
    const buttons = [...dialog.querySelectorAll('.gx-step')];
    const wanted = buttons[by > 0 ? 1 : 0];
    (wanted.disabled ? dialog.querySelector('.gx-close') : wanted).focus({ preventScroll: true });
  };
  dialog.addEventListener('keydown', (event) => {
    if (event.target.closest('.gx-wipe')) return; // its own keys
    if (event.key in ARROWS) moveCell(...ARROWS[event.key]);
    else if (event.key in PAGES) turn(PAGES[event.key]);
    else return;
    event.preventDefault();
  });
  dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener('close', () => {
    dialog.remove();
    const card = cards().find((other) => other.map === map);
    (card?.querySelector('.gx-open') ?? opener).focus({ preventScroll: true });
  });
  fill(first);
  element.append(dialog);
  // On a hosted page the frame is as tall as the whole page and the middle of the "window" may be off screen. So the
  // dialog lies over its card, and inside the window where that is smaller than the page.
  const card = opener.getBoundingClientRect();
  const scrolled = scrollY;
  dialog.style.top = `${scrolled + card.top}px`;
  dialog.showModal();
  dialog.querySelector('.gx-close').focus({ preventScroll: true });
  const place = () => {
    const middle = card.top + card.height / 2 - dialog.offsetHeight / 2;
    dialog.style.top = `${scrolled + Math.max(8, Math.min(middle, innerHeight - dialog.offsetHeight - 8))}px`;
  };
  place();
  new ResizeObserver(place).observe(dialog);
  scrollTo({ top: scrolled, behavior: 'instant' });
};

// --- the code that makes the same maps ---

const samplesOfCode = () => {
  const { network, score, method, instead_of: other } = answer.value;
  const isOwn = network === props.file;
  const file = isOwn ? props.path : network;
  const prepared = isOwn && props.preprocess;
  const layers = answer.rows[0].maps.map((map) => map.layer);
  const targets = answer.rows.map((row) => row.target.index);
  const isMany = isCompared();
  const { opacity, colormap, scale } = view;
  const text = JSON.stringify; // of a text or a list of texts: the same in Python
  const list = (names) => text(names).replaceAll('","', '", "').replaceAll(/(\d),/g, '$1, ');
  const quoted = (word) => (/^[\w./,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
  const named = `# ${answer.rows.map((row) => spoken(row.target.name)).join(', ')}`;
  const shared = scale === 'shared';
  const inside = isMany ? '    ' : '';
  const settings = [`score=${text(score)}`, ...(method === 'gradcam' ? [] : [`method=${text(method)}`])];
  const against = other ? `instead_of=${other.index}` : '';
  const how = [...settings, ...(other ? [against] : [])].join(', ') + (other ? `)  # ${spoken(other.name)}` : ')');
  const python = [
    'import gradcam_core as gc',
    '',
    'photo = gc.read_image("photo.jpg")',
    `network = gc.load(${text(file)}${prepared ? `, preprocess=${text(prepared)}` : ''})`,
    isMany ? `targets = ${list(targets)}  ${named}` : `target = ${targets[0]}  ${named}`,
    `layers = ${list(layers)}`,
    ...(isMany ? [`results = gc.explain_classes(network, photo, targets, layers, ${how}`]
      : [`result = gc.explain(network, photo, target, layers, ${how}`]),
    ...(shared ? [`highest = max(heat_map.peak ${isMany ? 'for result in results ' : ''}for heat_map in result.maps.values())  # the shared scale`] : []),
    ...(isMany ? ['for result in results:'] : []),
    `${inside}for name, heat_map in result.maps.items():`,
    `${inside}    heat = heat_map.${shared ? 'scaled(highest)' : 'heat'}`,
    `${inside}    picture = gc.overlay(photo, heat, opacity=${opacity}, colormap=${text(colormap)})  # uint8 (H, W, 3)`,
    `${inside}result.save(${isMany ? 'f"out/{result.target.index}"' : '"out"'}, opacity=${opacity}, colormap=${text(colormap)}${shared ? ', highest=highest' : ''})`,
  ];
  const shell = [
    ...(isMany ? [`for class in ${targets.join(' ')}; do  ${named}`] : []),
    `${inside}gradcam explain photo.jpg --network ${quoted(file)}${prepared ? ` --preprocess=${prepared}` : ''} --class ${isMany ? '$class' : targets[0]} --score ${score} \\`,
    ...(method === 'gradcam' && !other ? [] : [`${inside}  --method ${method}${other ? ` --instead-of ${other.index}` : ''} \\`]),
    `${inside}  --layers ${quoted(layers.join(','))} \\`,
    `${inside}  --opacity ${opacity} --colormap ${colormap} --out ${isMany ? 'out/$class' : `out  ${named}`}`,
    ...(isMany ? ['done'] : []),
  ];
  const api = [
    'from gradio_client import Client, handle_file',
    '',
    `client = Client(${text(location.origin + location.pathname)})`,
    ...(isMany ? [`for target in ${list(targets.map(String))}:  ${named}`] : []),
    `${inside}summary, contact_sheet, raw_maps = client.predict(`,
    `${inside}    image=handle_file("photo.jpg"),`,
    `${inside}    network=${text(network)},`,
    isMany ? `${inside}    target=target,` : `    target="${targets[0]}",  ${named}`,
    `${inside}    layers=${list(layers)},`,
    ...settings.map((setting) => `${inside}    ${setting},`),
    ...(other ? [`${inside}    instead_of="${other.index}",  # ${spoken(other.name)}`] : []),
    `${inside}    api_name="/explain",`,
    `${inside})`,
  ];
  return { Python: python, Shell: shell, 'HTTP API': api };
};

const copyText = async (text, button, otherwise) => {
  try {
    await navigator.clipboard.writeText(text);
    status.textContent = 'Copied.';
    button.dataset.label ??= button.textContent; // a second click finds "Copied" there
    button.textContent = 'Copied';
    setTimeout(() => { button.textContent = button.dataset.label; }, 2000);
  } catch { // a browser that keeps its clipboard: show the text, so that it can be copied by hand
    otherwise();
  }
};

const showCode = () => {
  if (!answer || !find('.gx-code').open) return;
  for (const [name, lines] of Object.entries(samplesOfCode())) {
    let code = find(`.gx-code pre[aria-label="${name}"]`);
    if (!code) {
      const head = make('div', 'gx-card-head');
      const copy = make('button', 'gx-button gx-copy', 'Copy');
      copy.type = 'button';
      copy.setAttribute('aria-label', `Copy: ${name}`);
      code = make('pre');
      code.setAttribute('aria-label', name);
      code.setAttribute('role', 'region');
      code.tabIndex = 0;
      copy.addEventListener('click', () => copyText(code.textContent, copy, () => getSelection().selectAllChildren(code)));
      head.append(make('h3', '', name), copy);
      find('.gx-code').append(head, code);
    }
    code.textContent = lines.join('\n') + '\n';
  }
};

find('.gx-code').addEventListener('toggle', showCode);

// --- saving ---

const composed = (map) => {
  const canvas = make('canvas');
  canvas.width = answer.photo.naturalWidth;
  canvas.height = answer.photo.naturalHeight;
  const heat = heatCanvas(map, canvas.width);
  paint(heat, map);
  const context = canvas.getContext('2d');
  context.drawImage(answer.photo, 0, 0);
  context.globalAlpha = view.opacity;
  context.drawImage(heat, 0, 0);
  return canvas;
};

const contactSheet = () => {
  const { photo, value, rows } = answer;
  const scale = 360 / Math.max(photo.naturalWidth, photo.naturalHeight);
  const width = Math.round(photo.naturalWidth * scale), height = Math.round(photo.naturalHeight * scale);
  const count = rows[0].maps.length + 1;
  const columns = Math.min(count, Math.max(6, Math.ceil(Math.sqrt(count))));
  const lines = Math.ceil(count / columns);
  const gap = 16, label = 26, title = 44;
  const canvas = make('canvas');
  canvas.width = gap + columns * (width + gap);
  canvas.height = rows.length * (title + lines * (height + label + gap));
  const context = canvas.getContext('2d');
  context.fillStyle = '#fff';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = '#18181b';
  rows.forEach(({ target, maps }, row) => {
    const top = row * canvas.height / rows.length;
    context.font = '600 18px system-ui, sans-serif';
    context.fillText(`${value.network}: ${spoken(target.name)}, ${target.text}`, gap, top + 28, canvas.width - 2 * gap);
    context.font = '14px system-ui, sans-serif';
    [['photo', photo], ...maps.map((map) => [map.layer, composed(map)])].forEach(([name, picture], i) => {
      const x = gap + (i % columns) * (width + gap), y = top + title + Math.floor(i / columns) * (height + label + gap);
      context.drawImage(picture, x, y, width, height);
      context.fillText(name, x, y + height + 18, width);
    });
  });
  return canvas;
};

const savePicture = (canvas, name) => canvas.toBlob((blob) => {
  const link = make('a');
  link.href = URL.createObjectURL(blob);
  link.download = `${name.replace(/[^\w.-]+/g, '_')}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}, 'image/png');

// --- what the network sees ---

const buildGuess = (guess) => {
  const place = answer.rows.findIndex((row) => row.target.index === guess.index);
  const name = spoken(guess.name);
  const item = make('li');
  const button = make('button', 'gx-guess');
  button.type = 'button';
  button.setAttribute('aria-pressed', String(place === 0));
  button.title = place === 0 ? 'The maps below show the evidence for this class' : 'Show the evidence for this class';
  const bar = make('span', 'gx-bar');
  bar.style.setProperty('--gx-share', guess.probability ?? guess.share ?? 0);
  if ((guess.probability ?? guess.share) == null) bar.style.visibility = 'hidden'; // a value is no share of anything
  button.append(make('span', 'gx-guess-name', name), bar, make('span', 'gx-percent', guess.share == null ? guess.text : guess.text.split(' of ')[0]));
  button.addEventListener('click', () => { if (place !== 0) trigger('select', { index: guess.index }); });
  const beside = make('button', 'gx-beside', place > 0 ? '−' : '+');
  beside.type = 'button';
  beside.disabled = place === 0;
  beside.title = place > 0 ? 'Take away the row of this class' : 'Compare: a row for this class too';
  beside.setAttribute('aria-label', place > 0 ? `No longer compare with ${name}` : `Compare with ${name}`);
  beside.addEventListener('click', () => trigger('select', { index: guess.index, beside: true }));
  item.append(button, beside);
  return item;
};

// --- the toolbar: all of it acts here, none of it asks the server ---

for (const name of Object.keys(tables)) {
  const label = make('label');
  const radio = make('input');
  Object.assign(radio, { type: 'radio', name: 'colormap', value: name, checked: name === view.colormap });
  const swatch = make('span', 'gx-swatch');
  const stops = [0, 36, 73, 109, 146, 182, 219, 255].map((level) => `rgb(${tables[name].slice(3 * level, 3 * level + 3).join(' ')})`);
  swatch.style.backgroundImage = `linear-gradient(to right, ${stops.join(', ')})`;
  const face = make('span');
  face.append(swatch, make('span', 'gx-word', name));
  label.title = `${name}: from no evidence to the peak`;
  label.append(radio, face);
  find('.gx-colormaps').append(label);
}

const applyOpacity = () => {
  element.style.setProperty('--gx-opacity', view.opacity);
  form.querySelector('output').textContent = `${Math.round(100 * view.opacity)} %`;
};

form.opacity.value = view.opacity;
form.querySelector(`[name=scale][value=${view.scale}]`).checked = true;
form.opacity.setAttribute('aria-label', 'Opacity of the heat maps');
applyOpacity();
form.addEventListener('submit', (event) => event.preventDefault());
form.addEventListener('input', () => {
  const { colormap, scale } = view;
  Object.assign(view, { opacity: +form.opacity.value, colormap: form.colormap.value, scale: form.scale.value });
  applyOpacity();
  showCode();
  if (answer && (colormap !== view.colormap || scale !== view.scale)) repaint();
});
find('.gx-sheet').addEventListener('click', () => savePicture(contactSheet(), `gradcam-${answer.value.network}-${answer.rows[0].target.name}`));
find('.gx-all').addEventListener('click', () => trigger('download', { what: 'everything', ...view }));
find('.gx-link').addEventListener('click', () => {
  const { network, method, instead_of: other } = answer.value;
  const [first, ...others] = answer.rows.map((row) => row.target.index);
  const preset = document.querySelector('#layers input:checked')?.value ?? 'choose';
  const layers = preset === 'choose' ? answer.rows[0].maps.map((map) => map.layer).join(',') : preset;
  const link = new URL(location.href);
  link.search = new URLSearchParams({ network, class: first, ...(others.length && { beside: others.join(',') }), layers, method, ...(other && { instead_of: other.index }), ...view });
  copyText(link.href, find('.gx-link'), () => prompt('The link to these settings:', link.href));
});

// --- a new answer ---

const loadPhoto = (url) => new Promise((resolve, reject) => {
  const photo = new Image();
  photo.onload = () => resolve(photo);
  photo.onerror = () => reject(new Error('The photo cannot be loaded.'));
  photo.src = url;
});

const buildRow = ({ target, maps }) => {
  const row = make('section', 'gx-row');
  const list = make('ul', 'gx-cards');
  list.setAttribute('role', 'list');
  list.setAttribute('aria-label', `Heat maps for ${spoken(target.name)}, from shallow to deep`);
  list.style.setProperty('--gx-columns', Math.min(Math.max(maps.length, 3), 6));
  list.append(...maps.map(buildCard));
  if (isCompared()) {
    const head = make('h3', 'gx-class');
    head.append(spoken(target.name), make('span', 'gx-percent', target.text));
    row.append(head);
  }
  row.append(list);
  return row;
};

const show = (value, photo) => {
  const isFirst = !answer;
  const rows = value?.rows.map(({ target, maps }) => ({ target, maps: maps.map((map) => ({ ...map, target, heatBytes: bytes(map.heat) })) }));
  answer = value && { value, photo, rows, maps: rows.flatMap((row) => row.maps) };
  find('.gx-empty').hidden = Boolean(value);
  find('.gx-answer').hidden = !value;
  element.querySelector('dialog')?.close();
  painter.disconnect();
  if (!value) { rowList.replaceChildren(); status.textContent = ''; return; }
  const names = rows.map((row) => spoken(row.target.name));
  const title = find('.gx-title');
  title.replaceChildren('Evidence for ', ...names.flatMap((name, i) => [...(i ? [', '] : []), make('strong', '', name)]));
  if (value.instead_of) title.append(' rather than ', make('strong', '', spoken(value.instead_of.name)));
  const focused = element.contains(document.activeElement) && document.activeElement.closest('.gx-guesses');
  const others = rows.map((row) => row.target).filter((target) => value.predictions.every((guess) => guess.index !== target.index));
  find('.gx-guesses').replaceChildren(...[...value.predictions, ...others].map(buildGuess));
  if (focused) find('.gx-guess[aria-pressed=true]')?.focus({ preventScroll: true });
  rowList.replaceChildren(...rows.map(buildRow));
  cards().forEach((card) => painter.observe(card));
  find('.gx-direction').hidden = rows[0].maps.length < 2;
  showCode();
  const count = answer.maps.length;
  status.textContent = `${count} heat ${count === 1 ? 'map' : 'maps'} for ${names.join(', ')}${value.instead_of ? ` rather than ${spoken(value.instead_of.name)}` : ''}. ` +
    `${value.network} ${value.predictions[0].probability === null ? 'gives' : 'takes the photo for'} ${spoken(value.predictions[0].name)}, ${value.predictions[0].text}.`;
  if (isFirst && element.getBoundingClientRect().top > 0.8 * innerHeight) // on a phone the answer lies below the fold
    element.scrollIntoView({ block: 'start', behavior: isStill() ? 'instant' : 'smooth' });
};

const render = async () => {
  const run = ++latest;
  const value = props.value?.rows ? props.value : null;
  if (!value) { // a photo that replaces another takes that away first: wait for it, and the page need not flicker
    setTimeout(() => { if (run === latest) show(null); }, answer ? 700 : 0);
    return;
  }
  try {
    const photo = await loadPhoto(value.photo.url);
    if (run === latest) show(value, photo); // else a newer answer has come meanwhile
  } catch (error) {
    if (run === latest) status.textContent = 'The photo could not be loaded. Choose it again.';
  }
};

watch('value', render);
render();
