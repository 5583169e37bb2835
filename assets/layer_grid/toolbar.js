// The toolbar and the buttons below the cards: all of it acts here, none of it asks the server to compute.

for (const name of Object.keys(tables)) {
  const label = make('label');
  const radio = make('input');
  Object.assign(radio, { type: 'radio', name: 'colormap', value: name, checked: name === view.colormap });
  const swatch = make('span', 'gx-swatch');
  swatch.style.backgroundImage = gradientOf(tables[name]);
  const face = make('span');
  face.append(swatch, make('span', 'gx-word', name));
  label.title = `${name}: from no evidence to the peak`;
  label.append(radio, face);
  find('.gx-colormaps').append(label);
}

const thresholdText = () => (view.threshold ? `${Math.round(100 * view.threshold)} %` : 'off');

const setView = (changes) => {
  const before = { ...view };
  Object.assign(view, changes);
  element.style.setProperty('--gx-opacity', view.opacity);
  element.style.setProperty('--gx-blend', view.mode === 'add' ? 'plus-lighter' : 'normal');
  for (const [name, value] of Object.entries(view)) if (form[name]) form[name].value = value;
  find('.gx-opacity output').textContent = `${Math.round(100 * view.opacity)} %`;
  find('.gx-threshold output').textContent = thresholdText();
  showCode();
  if (!answer) return;
  if (before.colormap !== view.colormap || before.scale !== view.scale) {
    repaint(paint);
    showColorBars();
  }
  if (before.threshold !== view.threshold) repaintLines();
  if (before.fusion !== view.fusion) showFused();
};

form.opacity.setAttribute('aria-label', 'Opacity of the heat maps');
setView({});
form.addEventListener('submit', (event) => event.preventDefault());
form.addEventListener('input', () => setView({
  opacity: +form.opacity.value, colormap: form.colormap.value, scale: form.scale.value, threshold: +form.threshold.value,
}));
addEventListener('gradcam-view', (event) => setView(event.detail)); // what the page has set elsewhere
find('.gx-sheet').addEventListener('click', () => savePicture(contactSheet(), `gradcam-${answer.value.network}-${answer.rows[0].target.name}`));
find('.gx-all').addEventListener('click', () => trigger('download', { what: 'everything', ...view }));
find('.gx-link').addEventListener('click', () => {
  const { network, method, score, against, smoothing, instead_of: other } = answer.value;
  const more = { ...(score !== 'logit' && { score }), ...(against && { evidence: 'against' }), ...(smoothing !== 'none' && { smoothing }) };
  const [first, ...others] = answer.rows.map((row) => row.target.index);
  const preset = document.querySelector('#layers input:checked')?.value ?? 'choose';
  const layers = preset === 'choose' ? answer.rows[0].maps.map((map) => map.layer).join(',') : preset;
  const link = new URL(location.href);
  link.search = new URLSearchParams({ network, class: first, ...(others.length && { beside: others.join(',') }), layers, method, ...(other && { instead_of: other.index }), ...more, ...view });
  copyText(link.href, find('.gx-link'), () => prompt('The link to these settings:', link.href));
});
