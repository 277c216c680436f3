"""Pictures with horizontal stripes, vertical ones, both or none, listed with their labels."""

from pathlib import Path

import numpy as np
from PIL import Image

LABELS = ("-", "0", "1", "0,1")


def striped_lists(root: Path, train: int = 96, val: int = 32) -> dict[str, object]:
    """Write `train.txt`, `val.txt` and their 8x8 pictures, and return the `data` section of a recipe for them."""
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        lines = []
        (root / split).mkdir(parents=True)
        for index in range(count):
            label = LABELS[index % 4]
            image = rng.integers(0, 60, (8, 8), np.uint8)
            image[index % 2 :: 2] += 90 * ("0" in label)
            image[:, index // 4 % 2 :: 2] += 90 * ("1" in label)
            Image.fromarray(image).save(root / split / f"{index:03}.png")
            lines.append(f"{split}/{index:03}.png {label}\n")
        (root / f"{split}.txt").write_text("".join(lines))
    (root / "classes.txt").write_text("horizontal\nvertical\n")
    return {"format": "list", "multi_label": True, "root": str(root), "train": "train.txt", "val": "val.txt"}
