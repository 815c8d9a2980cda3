"""Color black-and-white photos, from Python.

    from PIL import Image

    from colorpipe import Colorizer, compare

    colorizer = Colorizer.load()
    colored = colorizer(Image.open("gray.jpg"))
    colored.save("colored.png")
    print(compare(colored, Image.open("ground-truth.jpg")).ciede2000)

This is the library's public face: what it names is kept from version to version. It is made of
``pipeline``, whose modules may be used too, and may change. PyTorch is imported when weights are
loaded, not before.
"""

from pipeline import __version__
from pipeline.errors import ColorpipeError
from pipeline.evaluation.pair import Comparison, compare
from pipeline.inference.colorizer import Colorizer

__all__ = ["Colorizer", "ColorpipeError", "Comparison", "__version__", "compare"]
