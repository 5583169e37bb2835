// The code that makes the maps that are shown: Python, shell and HTTP API.

// own: the network that comes from a file: its name here (file), what the file is called (path), and how photos are prepared.
const codeSamples = ({ value, rows }, { opacity, colormap, scale, threshold, mode, fusion }, own, address) => {
  const { network, score, method, against, smoothing, instead_of: other } = value;
  const isOwn = network === own.file;
  const file = isOwn ? own.path : network;
  const prepared = isOwn && own.preprocess;
  const layers = rows[0].maps.map((map) => map.layer);
  const targets = rows.map((row) => row.target.index);
  const isMany = rows.length > 1;
  const text = JSON.stringify; // of a text or a list of texts: the same in Python
  const list = (names) => text(names).replaceAll('","', '", "').replaceAll(/(\d),/g, '$1, ');
  const quoted = (word) => (/^[\w./,-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
  const named = `# ${rows.map((row) => spoken(row.target.name)).join(', ')}`;
  const shared = scale === 'shared';
  const inside = isMany ? '    ' : '';
  const settings = [
    `score=${text(score)}`, ...(method === 'gradcam' ? [] : [`method=${text(method)}`]),
    ...(against ? ['against=True'] : []), ...(smoothing === 'none' ? [] : [`smoothing=${text(smoothing)}`]),
  ];
  const look = `opacity=${opacity}, colormap=${text(colormap)}${mode === 'alpha' ? '' : `, mode=${text(mode)}`}`;
  const options = [
    ...(method === 'gradcam' && !other ? [] : [`--method ${method}`]), ...(other ? [`--instead-of ${other.index}`] : []),
    ...(against ? ['--against'] : []), ...(smoothing === 'none' ? [] : [`--smoothing ${smoothing}`]),
  ];
  const contrast = other ? `instead_of=${other.index}` : '';
  const how = [...settings, ...(other ? [contrast] : [])].join(', ') + (other ? `)  # ${spoken(other.name)}` : ')');
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
    `${inside}    picture = gc.overlay(photo, heat, ${look})  # uint8 (H, W, 3)`,
    ...(threshold ? [`${inside}    boxes = heat_map.boxes(${threshold})  # in pixels of the photo, the largest region first`] : []),
    `${inside}result.save(${isMany ? 'f"out/{result.target.index}"' : '"out"'}, ${look}${shared ? ', highest=highest' : ''}${threshold ? `, boxes=${threshold}` : ''}${fusion === 'none' ? '' : `, fusion=${text(fusion)}`})`,
  ];
  const shell = [
    ...(isMany ? [`for class in ${targets.join(' ')}; do  ${named}`] : []),
    `${inside}gradcam explain photo.jpg --network ${quoted(file)}${prepared ? ` --preprocess=${prepared}` : ''} --class ${isMany ? '$class' : targets[0]} --score ${score} \\`,
    ...(options.length ? [`${inside}  ${options.join(' ')} \\`] : []),
    `${inside}  --layers ${quoted(layers.join(','))} \\`,
    `${inside}  --opacity ${opacity} --colormap ${colormap}${mode === 'add' ? ' --additive' : ''}${fusion === 'none' ? '' : ` --fuse ${fusion}`}${threshold ? ` --boxes ${threshold}` : ''} --out ${isMany ? 'out/$class' : `out  ${named}`}`,
    ...(isMany ? ['done'] : []),
  ];
  const api = [
    'from gradio_client import Client, handle_file',
    '',
    `client = Client(${text(address)})`,
    ...(isMany ? [`for target in ${list(targets.map(String))}:  ${named}`] : []),
    `${inside}summary, contact_sheet, raw_maps = client.predict(`,
    `${inside}    image=handle_file("photo.jpg"),`,
    `${inside}    network=${text(network)},`,
    isMany ? `${inside}    target=target,` : `    target="${targets[0]}",  ${named}`,
    `${inside}    layers=${list(layers)},`,
    ...settings.map((setting) => `${inside}    ${setting},`),
    ...(other ? [`${inside}    instead_of="${other.index}",  # ${spoken(other.name)}`] : []),
    ...(threshold ? [`${inside}    threshold=${threshold},  # with the boxes of each map`] : []),
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
  for (const [name, lines] of Object.entries(codeSamples(answer, view, props, location.origin + location.pathname))) {
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
