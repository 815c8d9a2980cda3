"""Color black-and-white photos and films, from Python.

    from PIL import Image

    from colorpipe import Colorizer, Hint, color_video, compare

    colorizer = Colorizer.load()
    colored = colorizer(Image.open("gray.jpg"))
    colored.save("colored.png")
    print(compare(colored, Image.open("ground-truth.jpg")).ciede2000)

Colors that you know, a photo that has others, and films::

    coat = Hint(120, 340, "#3a6b35")
    colorizer(Image.open("gray.jpg"), hints=[coat], reference=Image.open("similar.jpg"))
    color_video("gray.mp4", "colored.mp4", colorizer)

This is the library's public face: what it names is kept from version to version. It is made of
``pipeline``, whose modules may be used too, and may change. PyTorch is imported when weights are
loaded, and PyAV, of the extra ``video``, when a film is opened.
"""

from pipeline import __version__
from pipeline.errors import ColorpipeError
from pipeline.evaluation.pair import Comparison, compare
from pipeline.inference.colorizer import Colorizer
from pipeline.inference.hints import Hint
from pipeline.video.color_video import color_video, colored_frames

__all__ = [
    "Colorizer",
    "ColorpipeError",
    "Comparison",
    "Hint",
    "__version__",
    "color_video",
    "colored_frames",
    "compare",
]
