"""How the page looks: its theme, and what the theme cannot say."""

import gradio as gr

THEME = gr.themes.Default(
    primary_hue=gr.themes.colors.indigo,
    secondary_hue=gr.themes.colors.indigo,
    neutral_hue=gr.themes.colors.slate,
    radius_size=gr.themes.sizes.radius_md,
    font=("system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"),
    font_mono=("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"),
).set(
    body_background_fill="*neutral_50",
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_300",
    block_info_text_color="*neutral_600",
    block_info_text_color_dark="*neutral_300",
    block_label_text_color="*neutral_700",
    block_label_text_color_dark="*neutral_200",
    block_title_text_color="*neutral_700",
    block_title_text_color_dark="*neutral_200",
    block_shadow="none",
    input_placeholder_color="*neutral_500",
    input_placeholder_color_dark="*neutral_400",
    link_text_color_dark="*primary_300",
    link_text_color_hover_dark="*primary_200",
    link_text_color_visited_dark="*primary_300",
    link_text_color_active_dark="*primary_200",
    color_accent="*primary_600",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
)

CSS = """
.gradio-container { overflow: clip !important; } /* "hidden" would keep the toolbar from sticking */
.gradio-container .main.fillable { max-width: 1560px !important; padding-top: 20px !important; }
#head .html-container, #grid .html-container, #live .html-container { padding: 0; }
#head .html-container > div > div { display: flex; flex-wrap: wrap; align-items: baseline; gap: 2px 14px; }
#head h1 { margin: 0; font-size: 22px; font-weight: 650; line-height: 1.25; }
#head p { margin: 0; color: var(--body-text-color-subdued); }
#side { flex: 0 0 300px; max-width: 300px; }
.gradio-container:has(.lv:not([hidden])) #grid { display: none; } /* what the camera sees takes its place */
#live:has(.lv[hidden]):has(.lv-status:is(:empty, .is-quiet)) { position: absolute; } /* nothing to be seen: no gap */
#side, #settings { flex-wrap: nowrap; }
#side > *, #settings > * { flex: none; }
@media (min-width: 721px) { /* the answer stays in sight, however long the settings are */
  #side { position: sticky; top: 0; max-height: 100vh; padding: 3px 6px 12px 3px; margin: -3px 0 0 -3px;
    overflow-y: auto; scrollbar-width: thin; }
  #settings-head, #open-settings { display: none; }
}
#examples .gallery { display: grid; grid-template-columns: repeat(3, 1fr); }
#examples .gallery-item, #examples .gallery-item :is(span, .container, img) { display: block; width: 100% !important;
  max-width: none; height: 62px; max-height: none; object-fit: cover; }
#grid .wrap:not(.hide) { animation: gx-late .25s .35s both; } /* most answers come sooner */
#grid .wrap .error { display: none; } /* the toast has said it, and what is shown is still right */
@keyframes gx-late { from { opacity: 0 } }
:root { --ring: var(--primary-600); } .dark { --ring: var(--primary-400); }
.gradio-container :is(a, button, input, summary):focus-visible { outline: 3px solid var(--ring) !important;
  outline-offset: 2px; }
#examples .gallery { padding-bottom: 5px; } /* room for the ring */
footer .divider:not(:has(+ :is(a, button):not(.hidden))) { display: none; } /* nothing comes after it */
#grid .html-container { transition: opacity .15s; }
#grid .html-container.pending { transition: opacity .25s .35s; }
footer { margin-bottom: clamp(0px, (721px - 100vw) * 99, 56px) !important; } /* room for the button on a small screen */
@media (max-width: 720px) {
  #side { flex: 1 1 100%; max-width: none; }
  :has(.gx-answer:not([hidden])) #examples { display: none; }
  #settings[popover]:not(:popover-open) { display: none; }
  #settings { position: fixed; inset: auto 0 0; width: 100%; max-height: 75dvh; margin: 0; padding: 0 14px 20px;
    overflow-y: auto; border: 0; border-top: 1px solid var(--border-color-primary); border-radius: 16px 16px 0 0;
    background: var(--body-background-fill); color: var(--body-text-color); }
  #settings::backdrop { background: rgb(0 0 0 / .35); }
  #settings-head { position: sticky; top: 0; z-index: 100; padding: 8px 0; background: inherit; }
  #settings-head .html-container > div { display: flex; align-items: center; justify-content: space-between; }
  #settings-head h2 { margin: 0; font-size: 17px; font-weight: 600; }
  button[popovertarget] { min-height: 44px; padding: 0 18px; border-radius: 999px; color: #fff; font-weight: 600;
    background: var(--button-primary-background-fill); }
  #open-settings { position: fixed; right: 14px; bottom: 14px; z-index: 10; width: auto; }
}
@media (prefers-reduced-motion: reduce) {
  #grid :is(.wrap, .html-container) { animation-duration: 1ms !important; transition-duration: 1ms !important; }
}
"""
