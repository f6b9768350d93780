"""A folder of pictures of uneven sizes, for a search on images that nobody has prepared: letters of matplotlib's fonts.

``python benchmarks/glyphs.py DIR --each 4`` draws every letter in each of 22 fonts so many times, turned by up to
25 degrees, in another size and grey each time, on a background with noise: DIR/a/0.png and so on, a folder per class.
Then ``netwright data check images:DIR`` and ``netwright search images --data images:DIR``. The same seed gives the same
files.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from random import Random

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

LETTERS = "aegkmQRs"
TEXT_FONTS = ("DejaVu", "STIXGeneral", "cmb", "cmmi", "cmr", "cmss", "cmti", "cmtt")


def fonts() -> list[Path]:
    """The fonts that matplotlib brings, but for those of symbols."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return sorted(p for p in folder.glob("*.ttf") if p.stem.startswith(TEXT_FONTS) and "Display" not in p.stem)


def picture(letter: str, font: Path, random: Random) -> Image.Image:
    """A letter, in grey: rows and columns from about 30 to 110 pixels, hardly ever the same number."""
    size = random.randint(24, 72)
    width, height = (size + random.randint(6, 40) for _ in range(2))
    paper, ink = random.sample((random.randint(0, 90), random.randint(150, 255)), 2)
    page = Image.new("L", (width, height), paper)
    middle = (width // 2 + random.randint(-3, 3), height // 2 + random.randint(-3, 3))
    ImageDraw.Draw(page).text(middle, letter, fill=ink, font=ImageFont.truetype(font, size), anchor="mm")
    page = page.rotate(random.uniform(-25, 25), Image.Resampling.BILINEAR, fillcolor=paper)
    noise = np.random.default_rng(random.getrandbits(64)).normal(0, 25, (height, width))
    return Image.fromarray((np.asarray(page) + noise).clip(0, 255).astype(np.uint8))


def main() -> None:
    """Writes the folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--each", type=int, default=4, help="pictures of a letter in a font")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random = Random(arguments.seed)
    for letter in LETTERS:
        folder = arguments.folder / letter
        folder.mkdir(parents=True, exist_ok=True)
        for number, font in enumerate(fonts() * arguments.each):
            picture(letter, font, random).save(folder / f"{number}.png")
    print(f"{len(fonts())} fonts, {len(LETTERS) * len(fonts()) * arguments.each} pictures in {arguments.folder}")


if __name__ == "__main__":
    main()
