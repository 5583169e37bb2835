// What the camera sees, explained frame by frame. The newest frame is sent when the answer to the last has come: none
// waits, here or on the server. The maps are shown over the frame that they are of, and not over the camera's picture.
const find = (selector) => element.querySelector(selector);
const panel = find('.lv'), status = find('.lv-status');
const tables = Object.fromEntries(Object.entries(props.colors).map(([name, base64]) => [name, bytesOf(base64)]));
const CAMERA = { video: { width: { ideal: 640 }, height: { ideal: 480 }, facingMode: 'environment' } };
const WIDEST = 420; // of a card's picture
const RATED = 3000; // ms over which frames are counted
const REFUSED = {
  NotAllowedError: 'The browser does not let this page use the camera. Allow it beside the address, and start again.',
  NotFoundError: 'The browser finds no camera. Connect one, and start again.',
  NotReadableError: 'Another program uses the camera. Close it, and start again.',
};
let live = null; // the stream that is shown
let mode = 'alpha'; // as it is set under More

const make = (tag, className, text) => {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
};

const ask = async (path, body) => {
  const page = location.origin + location.pathname.replace(/\/?$/, '/');
  const answer = await fetch(`${page}gradio_api/live${path}`, { method: 'POST', body }).catch(() => null);
  if (!answer) throw new Error('The server does not answer. Start again when it does.');
  if (answer.status === 204) return null;
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(content.error ?? 'The server cannot explain a camera just now.');
  return content;
};

const openCamera = async () => {
  if (!navigator.mediaDevices) throw new Error('Browsers give a camera only to pages over https, or of this machine.');
  try {
    return await navigator.mediaDevices.getUserMedia(CAMERA);
  } catch (error) {
    throw new Error(REFUSED[error.name] ?? 'The camera cannot be opened.');
  }
};

// --- one stream ---

const begin = async (wish) => {
  if (live) return;
  const mine = live = { times: [] };
  panel.hidden = false;
  element.classList.add('is-live');
  find('.lv-cards').replaceChildren();
  for (const name of ['.lv-name', '.lv-text', '.lv-rate', '.lv-others', '.lv-about']) find(name).textContent = '';
  find('.lv-pause').disabled = true;
  status.textContent = 'Opening the camera.';
  find('.lv-stop').focus({ preventScroll: true });
  reveal();
  try {
    mine.media = await openCamera();
    if (live !== mine) return close(mine);
    mine.media.getVideoTracks()[0].addEventListener('ended', () => end(mine, 'The camera was switched off.'));
    mine.video = Object.assign(make('video'), { srcObject: mine.media, muted: true, playsInline: true });
    await mine.video.play();
    const stream = await ask('', JSON.stringify(wish));
    mine.name = stream.stream;
    if (live !== mine) return close(mine);
    mine.frames = [make('canvas'), make('canvas')]; // that is sent, that is shown
    mine.small = Object.assign(make('canvas'), { width: stream.size[1], height: stream.size[0] });
    mine.cards = stream.layers.map(buildCard);
    find('.lv-cards').style.setProperty('--lv-columns', Math.min(Math.max(mine.cards.length, 3), 6));
    find('.lv-cards').replaceChildren(...mine.cards.map((card) => card.item));
    fit(mine, mine.video.videoHeight / mine.video.videoWidth);
    find('.lv-about').textContent = stream.about;
    reveal();
    status.textContent = '';
    await run(mine);
  } catch (error) {
    end(mine, error.message);
  }
};

// The next frame goes off before the answer to the last is painted: the server need not wait for that.
const run = async (mine) => {
  let asked = send(mine);
  while (live === mine) {
    const answer = await asked;
    if (live !== mine) return;
    if (answer.maps.length) mine.frames.reverse();
    asked = send(mine);
    asked.catch(() => null); // it is awaited above, a moment later
    if (answer.maps.length) show(mine, answer); // else photos of other visitors went before
    await new Promise(requestAnimationFrame);
  }
};

const send = (mine) => {
  const [sent] = mine.frames, { videoWidth: width, videoHeight: height } = mine.video;
  if (sent.width !== width || sent.height !== height) Object.assign(sent, { width, height }); // a phone was turned
  sent.getContext('2d').drawImage(mine.video, 0, 0);
  mine.small.getContext('2d').drawImage(sent, 0, 0, mine.small.width, mine.small.height);
  return ask(`/${mine.name}`, mine.small.toDataURL('image/jpeg', 0.85));
};

// On a phone it lies below the settings.
const reveal = () => {
  if (panel.getBoundingClientRect().top > 0.4 * innerHeight) panel.scrollIntoView({ block: 'start' });
};

const close = (mine) => {
  mine.media?.getTracks().forEach((track) => track.stop());
  if (mine.name) ask(`/${mine.name}/end`).catch(() => null);
  mine.name = null;
};

const end = (mine, sentence, isQuiet) => {
  close(mine);
  if (live !== mine) return;
  live = null;
  const isHere = panel.contains(document.activeElement);
  panel.hidden = true;
  element.classList.remove('is-live');
  status.textContent = sentence;
  status.classList.toggle('is-quiet', Boolean(isQuiet)); // said to those who do not see it
  if (isHere) document.querySelector('#go-live')?.focus({ preventScroll: true });
};

// The frame that is shown becomes the photo, as if it had been dropped on the page.
const pause = () => {
  const mine = live, [, shown] = mine.frames;
  end(mine, 'Paused. The frame is the photo now.', true);
  shown.toBlob((blob) => {
    const dropped = new DataTransfer();
    dropped.items.add(new File([blob], 'camera.jpg', { type: 'image/jpeg' }));
    const photo = document.querySelector('#photo .image-frame') ?? document.querySelector('#photo [aria-label*="upload" i]');
    for (const event of ['dragenter', 'dragover', 'drop'])
      photo.dispatchEvent(new DragEvent(event, { bubbles: true, cancelable: true, dataTransfer: dropped }));
  }, 'image/jpeg', 0.92);
};

// --- what is shown ---

const buildCard = ({ layer, stage }) => {
  const item = make('li', 'lv-card'), picture = make('span', 'lv-stack'), text = make('p', '', `stage ${stage}`);
  const photo = make('canvas'), heat = make('canvas', 'lv-heat');
  picture.append(photo, heat);
  const name = make('code');
  name.append(...layer.split(/(?<=[/_])/).flatMap((part) => [part, make('wbr')]));
  text.append(name);
  item.append(picture, text);
  return { item, photo, heat };
};

// No more pixels than the screen shows: they are painted again for each frame.
const fit = (mine, ratio) => {
  const { cards } = mine;
  mine.ratio = ratio;
  const width = Math.round(Math.min(WIDEST, Math.max(1, cards[0].item.clientWidth) * Math.min(devicePixelRatio, 2)));
  const height = Math.max(1, Math.round(width * ratio));
  for (const { photo, heat } of cards) for (const canvas of [photo, heat]) Object.assign(canvas, { width, height });
};

// Opacity, colours and scale are those of the toolbar, which lies in another component.
const viewOf = () => {
  const form = document.querySelector('.gx-toolbar');
  return { opacity: form?.opacity?.value ?? 0.4, colormap: form?.colormap?.value || 'jet', scale: form?.scale?.value ?? 'each' };
};

const show = (mine, { guesses, maps }) => {
  const [, shown] = mine.frames, view = viewOf();
  const highest = Math.max(...maps.map((map) => map.peak));
  if (shown.height / shown.width !== mine.ratio) fit(mine, shown.height / shown.width);
  mine.cards.forEach(({ photo, heat }, i) => {
    const { cells, peak, heat: levels } = maps[i];
    photo.getContext('2d').drawImage(shown, 0, 0, photo.width, photo.height);
    const share = view.scale === 'shared' && highest > 0 ? peak / highest : 1;
    const enlarged = resizedLevels(heatOfText(levels), cells, [heat.height, heat.width]);
    paintLevels(heat, enlarged, palette(tables[view.colormap], share));
    Object.assign(heat.style, { opacity: view.opacity, mixBlendMode: mode === 'add' ? 'plus-lighter' : 'normal' });
  });
  const now = performance.now(), [first, ...others] = guesses;
  mine.times = [...mine.times.filter((time) => now - time < RATED), now];
  const rate = 1000 * (mine.times.length - 1) / (now - mine.times[0]);
  find('.lv-name').textContent = spoken(first.name);
  find('.lv-text').textContent = first.text;
  find('.lv-others').textContent = others.map((guess) => `${spoken(guess.name)} ${guess.text}`).join(' · ');
  find('.lv-rate').textContent = Number.isFinite(rate) ? `${rate.toFixed(1)} frames a second` : '';
  find('.lv-pause').disabled = false;
};

addEventListener('gradcam-view', ({ detail }) => { mode = detail.mode ?? mode; });
panel.addEventListener('begin', ({ detail }) => begin(detail));
panel.addEventListener('finish', () => { if (live) end(live, 'Live ended: a photo was chosen.', true); });
panel.addEventListener('go-on', ({ detail }) => { // with what is set now
  if (!live) return;
  end(live, '', true);
  begin(detail);
});
find('.lv-stop').addEventListener('click', () => end(live, 'Stopped.', true));
find('.lv-pause').addEventListener('click', pause);
document.addEventListener('visibilitychange', () => {
  if (live && document.hidden) end(live, 'Live ended when the page was out of sight.');
});
addEventListener('pagehide', () => {
  if (live?.name) navigator.sendBeacon(`${location.origin}${location.pathname.replace(/\/?$/, '/')}gradio_api/live/${live.name}/end`);
});
