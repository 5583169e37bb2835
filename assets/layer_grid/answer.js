// A new answer of the server takes the place of the one before.

let latest = 0;

const loadPhoto = (url) => new Promise((resolve, reject) => {
  const photo = new Image();
  photo.onload = () => resolve(photo);
  photo.onerror = () => reject(new Error('The photo cannot be loaded.'));
  photo.src = url;
});

const show = (value, photo) => {
  const isFirst = !answer;
  const unpacked = (map, target) => ({ ...map, target, heat: heatOfText(map.heat) });
  const rows = value?.rows.map(({ target, maps }) => ({ target, maps: maps.map((map) => unpacked(map, target)) }));
  answer = value && { value, photo, rows };
  find('.gx-empty').hidden = Boolean(value);
  find('.gx-answer').hidden = !value;
  element.querySelector('dialog')?.close();
  painter.disconnect();
  if (!value) { rowList.replaceChildren(); status.textContent = ''; photosAnswered(); return; }
  fuse();
  const names = rows.map((row) => spoken(row.target.name));
  const title = find('.gx-title');
  title.replaceChildren(`Evidence ${value.against ? 'against' : 'for'} `, ...names.flatMap((name, i) => [...(i ? [', '] : []), make('strong', '', name)]));
  if (value.instead_of) title.append(' rather than ', make('strong', '', spoken(value.instead_of.name)));
  const focused = element.contains(document.activeElement) && document.activeElement.closest('.gx-guesses');
  const others = rows.map((row) => row.target).filter((target) => value.predictions.every((guess) => guess.index !== target.index));
  find('.gx-guesses').replaceChildren(...[...value.predictions, ...others].map(buildGuess));
  if (focused) find('.gx-guess[aria-pressed=true]')?.focus({ preventScroll: true });
  rowList.replaceChildren(...rows.map(buildRow));
  cards().forEach((card) => painter.observe(card));
  find('.gx-direction').classList.toggle('is-one', rows[0].maps.length < 2);
  showColorBars();
  showCode();
  photosAnswered();
  const count = answer.maps.length;
  status.textContent = `${count} heat ${count === 1 ? 'map' : 'maps'} ${value.against ? 'against' : 'for'} ${names.join(', ')}${value.instead_of ? ` rather than ${spoken(value.instead_of.name)}` : ''}. ` +
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
