"""The page's server: on this machine, for this machine, and gone without a trace."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path

from pipeline.app.workshop import Workshop
from pipeline.errors import ColorpipeError
from pipeline.models.pretrained import PRETRAINED, pretrained_weights
from pipeline.models.resolve import MODELS, find_model

PORT = 7860
LARGEST_UPLOAD = 300_000_000
"""Bytes of a file."""
MOST_WAITING = 20
"""Requests that wait for their turn; more are refused with a sentence."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def serve(
    model: Path | None,
    host: str,
    port: int | None,
    *,
    open_browser: bool = False,
    ready: threading.Event | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Serve the page until somebody presses Ctrl-C.

    Args:
        model: weights; None is what was trained in this folder, or else the pretrained weights.
        host: the address to listen at.
        port: None is :data:`PORT`, or the next one that is free.
        open_browser: whether to open the page in a browser.
        ready: set when the page can be opened.
        stop: ends the server once it is set; None waits for Ctrl-C.

    Raises:
        ColorpipeError: there is no such model, or the port is taken.
    """
    with Workshop(models_to_choose(model)) as workshop:
        # Gradio reads these when it is imported.
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ["GRADIO_TEMP_DIR"] = str(workshop.folder)
        os.environ["HF_HUB_OFFLINE"] = "1"
        import gradio as gr  # noqa: PLC0415

        from pipeline.app.own_page import own_page_only  # noqa: PLC0415
        from pipeline.app.page import HERE, build  # noqa: PLC0415

        # It reports every request.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        page = build(workshop)
        page.queue(max_size=MOST_WAITING, default_concurrency_limit=2)
        script = (HERE / "page.js").read_text(encoding="utf-8")
        try:
            _, address, _ = page.launch(
                server_name=host,
                server_port=port,
                inbrowser=open_browser,
                share=False,
                quiet=True,
                prevent_thread_lock=True,
                footer_links=[],
                run_history=False,
                enable_monitoring=False,
                ssr_mode=False,
                mcp_server=False,
                pwa=False,
                max_file_size=LARGEST_UPLOAD,
                allowed_paths=[],
                app_kwargs={"middleware": [own_page_only(LOOPBACK)] if host in LOOPBACK else []},
                show_error=False,
                theme=gr.themes.Default(
                    primary_hue="teal",
                    font=["system-ui", "sans-serif"],
                    font_mono=["ui-monospace", "monospace"],
                ).set(
                    # Its own are too pale to be read, or white on them is.
                    body_text_color_subdued="*neutral_500",
                    block_info_text_color="*neutral_500",
                    button_primary_background_fill="*primary_700",
                    button_primary_background_fill_dark="*primary_700",
                    button_primary_background_fill_hover="*primary_800",
                    button_primary_background_fill_hover_dark="*primary_600",
                ),
                css_paths=HERE / "page.css",
                head=f"<script>{script}</script>",
            )
        except OSError as error:
            raise ColorpipeError(
                f"The page could not be served at {host}, port {port or PORT} ({error}); name"
                " another --port."
            ) from error
        try:
            print(f"colorpipe is at {address}; Ctrl-C ends it.", flush=True)
            if host not in LOOPBACK:
                print(
                    "Everybody who reaches this machine can use it: there is no password.",
                    flush=True,
                )
            if ready is not None:
                ready.set()
            (stop or threading.Event()).wait()
        except KeyboardInterrupt:
            pass
        finally:
            page.close(verbose=False)


def models_to_choose(model: Path | None) -> dict[str, Path]:
    """Return the models that the page offers by name: the one asked for first.

    Raises:
        ColorpipeError: there is no such model.
    """
    asked = find_model(model)
    if not asked.is_file():
        raise ColorpipeError(f"There is no model at {asked}; name another file with --model.")
    pretrained = pretrained_weights()
    offered = [asked, pretrained, *sorted(MODELS.glob("*.safetensors"))]
    models: dict[str, Path] = {}
    for path in offered:
        is_pretrained = path.samefile(pretrained)
        if not any(path.samefile(other) for other in models.values()):
            models[PRETRAINED if is_pretrained else str(path)] = path
    return models
