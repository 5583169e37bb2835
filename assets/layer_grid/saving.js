// Pictures that are composed and saved in the browser.

const composed = (map) => {
  const canvas = make('canvas');
  canvas.width = answer.photo.naturalWidth;
  canvas.height = answer.photo.naturalHeight;
  const heat = heatCanvas(map, canvas.width);
  paint(heat);
  const context = canvas.getContext('2d');
  context.drawImage(answer.photo, 0, 0);
  context.globalAlpha = view.opacity;
  context.globalCompositeOperation = view.mode === 'add' ? 'lighter' : 'source-over';
  context.drawImage(heat, 0, 0);
  context.globalAlpha = 1;
  context.globalCompositeOperation = 'source-over';
  paintLines(heat);
  if (heat.lines) context.drawImage(heat.lines, 0, 0, canvas.width, canvas.height);
  return canvas;
};

const contactSheet = () => {
  const { photo, value, rows } = answer;
  const scale = 360 / Math.max(photo.naturalWidth, photo.naturalHeight);
  const width = Math.round(photo.naturalWidth * scale), height = Math.round(photo.naturalHeight * scale);
  const count = rows[0].maps.length + rows[0].fused.length + 1;
  const columns = Math.min(count, Math.max(6, Math.ceil(Math.sqrt(count))));
  const lines = Math.ceil(count / columns);
  const gap = 16, label = 26, title = 44, legend = 50;
  const canvas = make('canvas');
  canvas.width = gap + columns * (width + gap);
  const tall = title + lines * (height + label + gap); // a row of cards
  canvas.height = rows.length * tall + legend;
  const context = canvas.getContext('2d');
  context.fillStyle = '#fff';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = '#18181b';
  rows.forEach(({ target, maps, fused }, row) => {
    const top = row * tall;
    context.font = '600 18px system-ui, sans-serif';
    context.fillText(`${value.network}: ${spoken(target.name)}, ${target.text}`, gap, top + 28, canvas.width - 2 * gap);
    context.font = '14px system-ui, sans-serif';
    [['photo', photo], ...[...maps, ...fused].map((map) => [map.isFused ? titleOf(map) : map.layer, composed(map)])].forEach(([name, picture], i) => {
      const x = gap + (i % columns) * (width + gap), y = top + title + Math.floor(i / columns) * (height + label + gap);
      context.drawImage(picture, x, y, width, height);
      context.fillText(name, x, y + height + 18, width);
    });
  });
  const [unit, numbers] = barNumbers();
  const top = rows.length * tall, wide = Math.min(360, canvas.width - 2 * gap);
  const colors = context.createLinearGradient(gap, 0, gap + wide, 0);
  for (const share of STOPS) colors.addColorStop(share, colorAt(tables[view.colormap], share));
  numbers.forEach((text, i) => {
    context.textAlign = i === 0 ? 'left' : i === numbers.length - 1 ? 'right' : 'center';
    context.fillText(text, gap + wide * i / 4, top + 30);
  });
  context.textAlign = 'left';
  context.fillText(unit, gap, top + 46);
  context.fillStyle = colors;
  context.fillRect(gap, top, wide, 12);
  return canvas;
};

const savePicture = (canvas, name) => canvas.toBlob((blob) => {
  const link = make('a');
  link.href = URL.createObjectURL(blob);
  link.download = `${name.replace(/[^\w.-]+/g, '_')}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}, 'image/png');
