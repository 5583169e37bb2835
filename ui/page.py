"""The page's layout, and which step answers which event."""

import os
import sys
from typing import Any

import gradio as gr
from gradio.media import get_image

from gradcam_core.photos import MAX_BYTES

from . import about, api
from .calls import Page
from .camera import BEGIN, END, GO_ON, Camera
from .choices import LAYER_COLUMNS, PRESETS, Networks, named
from .controls import LIKE_THE_ARTICLE, SET_FUSION, SET_MODE, controls
from .layer_grid import ASSETS, LayerGrid
from .live import Live
from .look import CSS, THEME
from .more import ARTICLE
from .photo_input import PhotoInput
from .showing import Shown
from .visit import Steps

NAME = "Grad-CAM Explorer"
LEAD = "See which parts of a photo each stage of a network used to recognise what is in it."
EXAMPLES = {"lion": "lion.jpg", "running cheetah": "cheetah.jpg", "cheetah's face": "cheetah1.jpg"}  # Gradio's own
ACCEPTED = "JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF, up to 20 MB"

TESTS = """
A heat map always looks convincing. **Test these maps** hides what each map marks, the hottest first, and asks the
network again and again (*deletion*); then it brings the photo back out of a blur in the same order (*insertion*). A map
that means something does better than random maps and than a blob in the centre. The **sanity check** makes the
network's weights random: a map that stays as it was never came from what the network has learnt.
"""

# On a small screen the settings are a drawer, so that the answer comes right after the photo.
SETTINGS_HEAD = """<h2>Settings</h2><button type="button" popovertarget="settings"
  popovertargetaction="hide">Done</button>"""
OPEN_SETTINGS = '<button type="button" popovertarget="settings">Settings</button>'
FIT_SETTINGS = """() => {
  const settings = document.querySelector('#settings');
  const small = matchMedia('(max-width: 720px)');
  const fit = () => {
    settings.popover = small.matches ? 'auto' : null;
    small.matches ? settings.setAttribute('role', 'dialog') : settings.removeAttribute('role');
  };
  settings.setAttribute('aria-label', 'Settings');
  small.addEventListener('change', fit);
  fit();
}"""

# Gradio's gallery of examples is a row of buttons without names.
NAME_EXAMPLES = (
    "() => document.querySelectorAll('#examples button.gallery-item').forEach((button, i) =>"
    f" button.setAttribute('aria-label', 'Example photo: ' + {list(EXAMPLES)}[i]))"
)

# What the server said of one of several photos.
SAID = "(detail) => { dispatchEvent(new CustomEvent('gradcam-said', { detail })); }"

# A file that the server has made is saved as if its link had been clicked.
SAVE = """(file) => {
  const link = document.createElement('a');
  Object.assign(link, { href: file.url, download: file.orig_name });
  document.body.append(link);
  link.click();
  link.remove();
}"""

# Gradio's toasts are buttons around a button, its lists of options take the focus away when they close and open again
# when Tab leaves them, and its radio buttons have a name each, so that the arrow keys do not move among them.
MEND = """() => {
  const mend = () => {
    for (const header of document.querySelectorAll('.toast-header[role]')) {
      header.removeAttribute('role');
      header.removeAttribute('tabindex');
    }
    for (const list of document.querySelectorAll('ul.option-list:not([tabindex])')) list.tabIndex = -1;
    for (const group of document.querySelectorAll('#side fieldset[id]'))
      for (const radio of group.querySelectorAll('[type=radio]')) if (radio.name !== group.id) radio.name = group.id;
  };
  mend();
  const changes = { attributeFilter: ['name'], childList: true, subtree: true };
  new MutationObserver(mend).observe(document.querySelector('.gradio-container'), changes);
  addEventListener('keydown', (event) => {
    if (event.key === 'Tab' && event.target.closest('[role=combobox]')) event.stopPropagation();
  }, true);
}"""

TAKE_ANY_FILE = (ASSETS / "photo_input.js").read_text("utf-8")


def build(networks: Networks, live: Live | None = None) -> gr.Blocks:
    """The page over these networks, ready for ``launch``; with ``live``, whose routes go with it, also for cameras."""
    # After each event Gradio would make a table of all events before it, which nobody is shown (enable_monitoring).
    os.environ.setdefault("GRADIO_ANALYTICS_CACHE_FREQUENCY", str(sys.maxsize))
    with Page(title=NAME, analytics_enabled=False) as page:
        shown = gr.State(Shown(networks.start))
        gr.HTML(f"<div><h1>{NAME}</h1><p>{LEAD}</p></div>", elem_id="head", apply_default_css=False)
        with gr.Row(equal_height=False):
            with gr.Column(elem_id="side", min_width=280):
                photo = PhotoInput(
                    label="Photo",
                    sources=["upload", "clipboard", "webcam"],
                    height=230,
                    buttons=[],
                    placeholder="Drop a photo here, or several,\nor click to choose",
                    elem_id="photo",
                )
                gr.Examples(
                    [[get_image(name)] for name in EXAMPLES.values()],
                    inputs=[photo],
                    label="Or an example",
                    cache_examples=False,
                    api_visibility="private",
                    elem_id="examples",
                )
                go = gr.Button("Live from the camera", visible=bool(live), elem_id="go-live", size="sm")
                with gr.Column(elem_id="settings"):
                    gr.HTML(SETTINGS_HEAD, elem_id="settings-head", apply_default_css=False)
                    network = gr.Dropdown(
                        networks.choices(), value=networks.start, label="Network", elem_id="network", info=" "
                    )
                    stop = gr.Button("Stop the download", visible=False, elem_id="stop", size="sm")
                    target = gr.Dropdown(
                        [], label="Class", elem_id="class", interactive=True, info="What the maps show evidence for"
                    )
                    preset = gr.Radio(
                        named(PRESETS),
                        value="stages",
                        label="Layers",
                        elem_id="layers",
                        info="Where to look: early stages see edges, the last whole objects",
                    )
                    chosen = gr.Dropdown(
                        [], label="Chosen layers", multiselect=True, visible=False, elem_id="chosen", interactive=True
                    )
                    with gr.Accordion("More", open=False, elem_id="more"):
                        more = controls()
            with gr.Column(scale=1, min_width=300):
                gr.HTML(OPEN_SETTINGS, elem_id="open-settings", apply_default_css=False)
                Camera(elem_id="live", visible=bool(live))
                grid = LayerGrid(
                    elem_id="grid",
                    label="Explanation",
                    file=networks.file,
                    path=networks.path,
                    preprocess=networks.preprocess,
                )
                said = gr.JSON(visible="hidden", label="Said")
                taken = gr.File(visible="hidden", label="Download")
                with gr.Accordion("Can this be believed?", open=False, elem_id="believe"):
                    gr.Markdown(TESTS)
                    with gr.Row():
                        test = gr.Button("Test these maps", variant="primary", elem_id="test", min_width=160)
                        sanity = gr.Button("Sanity check", elem_id="sanity", min_width=160)
                        end = gr.Button("Stop the test", visible=False, elem_id="end", min_width=160)
                    map_css = (ASSETS / "map_tests.css").read_text("utf-8")
                    findings = gr.HTML(css_template=map_css, apply_default_css=False, padding=False, elem_id="findings")
                    sane = gr.HTML(css_template=map_css, apply_default_css=False, padding=False, elem_id="sane")
                    gr.Markdown("**Hide the hottest part yourself**, and see what the network says then.")
                    with gr.Row():
                        hidden_layer = gr.Dropdown([], label="Map", elem_id="hidden-layer", interactive=True)
                        share = gr.Slider(0, 100, 0, step=1, label="Hottest share hidden, %", elem_id="share")
                    hidden = gr.HTML(css_template=map_css, apply_default_css=False, padding=False, elem_id="hidden")
        with gr.Accordion("The layers of this network", open=False, elem_id="table"):
            table = gr.Dataframe(
                headers=list(LAYER_COLUMNS),
                interactive=False,
                label="Layers that can be explained",
                max_height=420,
            )
        with gr.Accordion("What the methods do", open=False, elem_id="method"):
            gr.Markdown(about.MAPS)
            gr.HTML(about.methods_html(), css_template=about.STYLE, apply_default_css=False, padding=False)

        turns = live.turns if live else None
        # First: its names are public, and those of the steps below make way for them.
        api.add(networks, turns)

        private: dict[str, Any] = {"api_visibility": "private", "trigger_mode": "always_last"}
        computes = private | {"concurrency_limit": 1, "concurrency_id": "network", "show_progress_on": [grid]}
        # With "always_last" Gradio asks once more with the first event's data, not the last one's.
        wished = computes | {"trigger_mode": "multiple"}
        aside = private | {"queue": False, "show_progress": "hidden"}
        loads = private | {"concurrency_limit": 2, "concurrency_id": "load", "show_progress_on": [grid]}
        tests = private | {"concurrency_limit": 1, "concurrency_id": "tests"}  # nobody else waits for them

        def disappear(step: gr.events.Dependency, button: gr.Button) -> None:
            for ended in (step.success, step.failure):
                ended(lambda: gr.Button(visible=False), None, [button], **aside)

        steps = Steps(networks, grid.GRADIO_CACHE, turns)
        page.forget = steps.forget
        opens = {**loads, "concurrency_limit": None, "concurrency_id": "open"}  # whatever is being fetched
        answer = [shown, target, more.beside, more.other, grid]
        set_by_link = [preset, chosen, table, *more.settings[1:], more.mode, more.fusion]
        page.load(steps.open, [shown], [shown, network, target, more.beside, more.other, *set_by_link], **opens)
        page.load(None, js=NAME_EXAMPLES)
        page.load(None, js=MEND)
        page.load(None, js=FIT_SETTINGS)
        page.load(None, js=f"() => ({TAKE_ANY_FILE})({MAX_BYTES})")
        photo.change(steps.photo, [photo, shown], answer, **computes).failure(
            steps.put_back, [shown], [photo, *answer], **computes
        )
        photo.clear(steps.clear, [shown], answer, **computes)
        network.input(steps.offer_stop, [network], [stop], **aside)
        stop.click(steps.stop, **aside)
        fetched = network.input(steps.fetch, [network], **loads)
        changed = fetched.success(
            steps.network,
            [network, shown],
            [network, chosen, table, preset, *answer],
            **computes,
        )
        disappear(fetched, stop)
        for step in (fetched, changed):
            step.failure(lambda now: now.network, [shown], [network], **private, show_progress="hidden")
        in_live = [network, more.method, more.score, more.evidence]
        go.click(None, in_live, js=BEGIN)
        for setting in (more.method, more.score, more.evidence):
            setting.input(None, in_live, js=GO_ON)
        photo.change(None, js=END)
        settled = changed.success(steps.settings, [shown], [*more.settings, more.halt], **aside)
        settled.success(None, in_live, js=GO_ON)  # not before: another network may not allow all that was set
        more.article.click(lambda: steps.offer_stop(ARTICLE), None, [stop], **aside)
        fetched = more.article.click(steps.fetch_article, **loads)
        disappear(fetched, stop)
        for ended in (fetched.success, fetched.failure):
            made = ended(steps.article, [shown], [network, chosen, table, preset, *answer], **computes)
            made.success(lambda: "add", None, [more.mode], **aside).success(None, js=LIKE_THE_ARTICLE, **private)
            settled = made.success(steps.settings, [shown], [*more.settings, more.halt], **aside)
            settled.success(None, in_live, js=GO_ON)
        target.input(steps.target, [target, shown], answer, **computes)
        more.beside.input(steps.beside, [more.beside, shown], answer, **computes)
        more.method.input(steps.offer_halt, [more.method], [more.halt], **aside)
        for setting, step in zip(
            more.settings, (steps.instead_of, steps.method, steps.score, steps.evidence, steps.smoothing), strict=True
        ):
            made = setting.input(step, [setting, shown], answer, **computes)
            made.failure(steps.settings, [shown], [*more.settings, more.halt], **aside)
        more.mode.change(None, [more.mode], js=SET_MODE, **private)
        more.fusion.change(None, [more.fusion], js=SET_FUSION, **private)
        more.halt.click(steps.stop, **aside)
        grid.select(steps.guess, [shown], answer, **wished)
        for step in (
            preset.input(steps.preset, [preset, shown], [shown, chosen, grid], **computes),
            chosen.change(steps.chosen, [chosen, shown], [shown, grid], **computes),
        ):
            step.failure(steps.back_to_layers, [shown], [preset, chosen], **aside)
        turned = grid.submit(steps.turn, [shown], [photo, *answer, said], **wished)
        looked = grid.input(steps.look, [shown], [said], **{**wished, "show_progress": "hidden"})
        for step in (turned, looked):
            step.success(None, [said], js=SAID, **private)
            step.failure(None, js="() => (" + SAID + ")({})", **private)
        grid.download(steps.take, [shown], [taken], **wished).success(None, [taken], js=SAVE, **private)
        grid.change(steps.renew, [shown], [findings, sane, hidden_layer, hidden], **aside)
        for button, step, found in ((test, steps.test, findings), (sanity, steps.sanity, sane)):
            button.click(lambda: gr.Button(visible=True), None, [end], **aside)
            disappear(button.click(step, [shown], [found], **tests), end)
        end.click(steps.stop, **aside)
        for chooser in (hidden_layer, share):
            chooser.input(steps.hide, [hidden_layer, share, shown], [hidden], **{**computes, "show_progress": "hidden"})
    return page.queue(max_size=256)


LAUNCH: dict[str, Any] = {
    "theme": THEME,
    "css": CSS,
    "max_file_size": MAX_BYTES + 1,  # one more than read_image takes, so that its sentence is the one that is read
    "footer_links": ["api", "gradio"],
    "run_history": False,
    "enable_monitoring": False,
    "quiet": True,
}
