// The classes that the network sees, with their shares: a click explains one, + gives it a row of its own.

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
