// Several photos: a strip of them, of which one is shown, and the same layer of all of them side by side. The list is
// here; the server is told the file of one photo at a time, when it is looked at or when nothing else is to do.

const strip = find('.gx-strip'), thumbs = find('.gx-thumbs'), side = find('.gx-side');
const said = (sentence) => { find('.gx-strip-said').textContent = sentence; };
let photos = []; // { file, image, path, error, seen }: its upload, what is wrong with it, and what the server last said of it
let wanted = -1; // the photo that is being turned to
let question = null; // { event, item }: the one thing that the server is asked; what is wanted meanwhile waits for its answer
let sameClass = null; // { network, index, name }: for all photos; otherwise each has its most probable one

const shownPhoto = () => photos.findIndex(({ shownAs }) => shownAs && shownAs === answer?.value.photo.path);
const layerOfAll = () => side.querySelector('[name=layer]').value;
const keyOfAll = () => {
  const { network, method, score, against, smoothing } = answer.value;
  return JSON.stringify([network, method, score, against, smoothing, layerOfAll(), sameClass?.index ?? null]);
};
// What was said of a photo, where it is of what is set now.
const seenOf = ({ seen }) => (answer && seen?.key === keyOfAll() ? seen : null);

const send = async (file) => {
  const form = new FormData();
  form.append('files', file);
  const page = location.origin + location.pathname.replace(/\/?$/, '/');
  const reply = await fetch(`${page}gradio_api/upload`, { method: 'POST', body: form }).catch(() => null);
  if (!reply) throw new Error('The server does not answer. Choose the photo again when it does.');
  const text = await reply.text();
  if (!reply.ok) throw new Error(text);
  return JSON.parse(text)[0];
};

const isSent = async (item) => {
  item.sending ??= send(item.file).then((path) => { item.path = path; }, (error) => { item.error = error.message; });
  await item.sending;
  return Boolean(item.path);
};

const ask = (event, item, more) => {
  question = { event, item };
  trigger(event, { path: item.path, layer: layerOfAll(), target: sameClass?.index ?? null, key: answer && keyOfAll(), ...more });
};

// --- the strip ---

const mark = () => {
  const shown = wanted >= 0 ? wanted : shownPhoto();
  const first = photos[shownPhoto()]?.seen;
  if (first) first.key ??= keyOfAll(); // it was asked for when nothing was shown yet
  [...thumbs.children].forEach((item, number) => {
    const button = item.firstChild, { file, error } = photos[number], seen = seenOf(photos[number]);
    const what = error ? 'cannot be used' : seen?.name ? `${spoken(seen.name)}, ${seen.text}` : '';
    button.classList.toggle('is-bad', Boolean(error));
    button.title = [file.name, error || what].filter(Boolean).join(': ');
    button.setAttribute('aria-label', `Photo ${number + 1} of ${photos.length}, ${[file.name, what].filter(Boolean).join(': ')}`);
    button.setAttribute('aria-current', String(number === shown));
    button.tabIndex = number === Math.max(shown, 0) ? 0 : -1;
  });
  find('.gx-earlier').disabled = shown <= 0;
  find('.gx-later').disabled = shown >= photos.length - 1;
};

const turnTo = (number) => {
  wanted = number;
  mark();
  said('');
  thumbs.children[number].scrollIntoView({ block: 'nearest', inline: 'nearest', behavior: 'instant' });
  askForWanted();
};

const askForWanted = async () => {
  const item = photos[wanted];
  const isThere = !item.error && await isSent(item);
  if (item !== photos[wanted] || (isThere && question)) return; // the answer to what is asked leads back to here
  if (isThere) ask('submit', item);
  else settle(item);
};

const settle = (item) => { // the wanted photo is shown, or cannot be
  const number = wanted;
  wanted = -1;
  if (item.error) {
    said(item.error);
    const next = photos.findIndex(({ error }, other) => other > number && !error);
    if (shownPhoto() < 0 && next > 0) return turnTo(next); // nothing of the strip is shown yet
  }
  mark();
  showSide();
  ahead();
};

const tell = (what) => { // what the server said of a photo; nothing where it failed
  const { event, item } = question ?? {};
  if (!item || (what.path ?? item.path) !== item.path) return; // this is not its answer
  question = null;
  if (what.gone) item.path = item.sending = null; // unused for so long that it was cleared away there; it is still here
  if (what.error) item.error = what.error;
  if (what.refused) item.seen = what;
  if (what.photo) {
    item.seen = { ...what, heat: heatOfText(what.heat) };
    item.shownAs = what.photo.path;
  }
  if (event === 'submit' && item === photos[wanted] && !what.gone) return settle(item);
  mark();
  showSide();
  if (wanted >= 0) askForWanted();
  else if (what.path) ahead(what.waits); // what failed would fail again
};

const takePhotos = (files) => {
  photos.forEach(({ image }) => URL.revokeObjectURL(image));
  photos = files.slice(0, props.most).map((file) => ({ file, image: URL.createObjectURL(file) }));
  thumbs.replaceChildren(...photos.map(({ file, image }, number) => {
    const item = make('li'), button = make('button', 'gx-thumb'), picture = make('img');
    button.type = 'button';
    picture.alt = '';
    picture.src = image;
    picture.addEventListener('error', () => picture.replaceWith(make('span', '', file.name))); // a kind that browsers do not know
    button.append(picture);
    button.addEventListener('click', () => turnTo(number));
    item.append(button);
    return item;
  }));
  strip.hidden = !photos.length;
  find('.gx-strip-title').textContent = `${photos.length} photos`;
  wanted = -1;
  sameClass = null;
  setSide(false);
  if (!photos.length) return;
  photosAnswered(); // by what is shown until then
  turnTo(0);
  const more = files.length - photos.length;
  if (more > 0) said(`A strip has up to ${props.most} photos. The first ${props.most} are here, and ${more} more were left out.`);
};

// The next photo that can be used, from the shown one or from an end of the strip.
const step = (by, from = wanted >= 0 ? wanted : shownPhoto()) => {
  let number = from + by;
  while (photos[number]?.error) number += by;
  if (photos[number]) turnTo(number);
  return photos[number] ? number : from;
};

thumbs.addEventListener('keydown', (event) => {
  const ways = { ArrowLeft: [-1], ArrowRight: [1], Home: [1, -1], End: [-1, photos.length] };
  if (!ways[event.key]) return;
  event.preventDefault();
  thumbs.children[step(...ways[event.key])]?.firstChild.focus();
});
find('.gx-earlier').addEventListener('click', () => step(-1));
find('.gx-later').addEventListener('click', () => step(1));
find('.gx-strip .gx-close').addEventListener('click', () => takePhotos([]));
addEventListener('gradcam-photos', (event) => takePhotos(event.detail));
addEventListener('gradcam-said', (event) => tell(event.detail ?? {}));

// --- ahead of time ---

let pause = 0;
const ahead = (isDone = false) => {
  clearTimeout(pause);
  if (!isDone && photos.length && answer) pause = setTimeout(lookAhead, 200);
};

const lookAhead = async () => {
  if (question || wanted >= 0) return; // the answer leads back to here
  if (element.closest('.pending')) return ahead(); // the server is at work for this visitor
  const shown = shownPhoto();
  const near = side.hidden ? [shown, shown + 1, shown + 2, shown - 1].flatMap((one) => photos[one] ?? []) : photos;
  const item = near.find((one) => !one.error && !seenOf(one));
  if (!item) return;
  const isThere = await isSent(item);
  if (question || wanted >= 0 || !photos.includes(item)) return;
  if (isThere) return ask('input', item, { ahead: side.hidden });
  mark();
  showSide();
  ahead();
};

// --- side by side ---

const sideCard = (item, number) => {
  const card = make('li', 'gx-card'), open = make('button', 'gx-open'), picture = make('span', 'gx-stack');
  const photo = make('img'), text = make('div', 'gx-text'), seen = seenOf(item);
  open.type = 'button';
  photo.alt = '';
  photo.src = item.seen?.photo?.url ?? item.image;
  picture.append(photo);
  open.append(picture);
  open.addEventListener('click', () => { setSide(false); turnTo(number); });
  const refused = item.error ? 'cannot be used' : seen?.refused ? 'cannot be explained so' : 'not yet seen';
  const name = seen?.name ? `${spoken(seen.name)} · ${seen.text}` : refused;
  open.setAttribute('aria-label', `Show photo ${number + 1}, ${item.file.name}: ${name}`);
  text.append(make('p', 'gx-side-name', name), make('p', 'gx-why', item.error ?? seen?.refused ?? item.file.name));
  if (seen?.peak === 0) text.append(make('p', 'gx-badge', 'no evidence'));
  card.append(open, text);
  if (!seen?.heat) return card;
  const [height, width] = seen.photo_size;
  picture.style.setProperty('--gx-ratio', width / height);
  const canvas = make('canvas');
  canvas.width = Math.min(width, FINE);
  canvas.height = Math.max(1, Math.round(canvas.width * height / width));
  canvas.map = seen;
  picture.append(canvas);
  paint(canvas);
  paintLines(canvas);
  return card;
};

const choices = (select, options, value) => {
  select.replaceChildren(...options.map(([text, name]) => new Option(text, name)));
  select.value = value;
};

const showSide = () => {
  if (side.hidden || !answer) return;
  const all = photos.map(seenOf).filter((seen) => seen?.heat);
  for (const seen of all) seen.peers = all;
  side.querySelector('.gx-cards').replaceChildren(...photos.map(sideCard));
};

const setSide = (isOn) => {
  side.hidden = !isOn;
  find('.gx-beside-all').setAttribute('aria-pressed', String(isOn));
  find('.gx-answer').classList.toggle('is-side', isOn);
  showSide();
  ahead();
};

find('.gx-beside-all').addEventListener('click', () => { if (answer) setSide(side.hidden); });
side.addEventListener('change', ({ target }) => {
  const { network } = answer.value;
  if (target.name === 'class') sameClass = target.value === '' ? null : { network, index: +target.value, name: target.selectedOptions[0].text };
  mark();
  showSide();
  ahead();
});

// Another answer is shown: its layers and its class are those that can be chosen for all.
const photosAnswered = () => {
  if (!photos.length) return;
  if (!answer) return mark();
  if (sameClass?.network !== answer.value.network) sameClass = null; // another network has other classes
  const { target, maps } = answer.rows[0];
  const names = maps.map((map) => map.layer), before = layerOfAll();
  choices(side.querySelector('[name=layer]'), names.map((name) => [name, name]), names.includes(before) ? before : names.at(-1));
  const own = sameClass ?? target;
  choices(side.querySelector('[name=class]'), [['each photo’s most probable', ''], [spoken(own.name), own.index]], sameClass?.index ?? '');
  mark();
  showSide();
  ahead();
};
