"""Draws both loss curves of a replay into one picture: plot.py FOLDER OUT.png (needs pillow)."""
import csv
import pathlib
import sys

from PIL import Image, ImageDraw

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 720, 400, 60, 30, 20, 40
NAVIT, PYTORCH = (20, 90, 200), (235, 120, 20)


def losses(path):
    with open(path) as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def main():
    folder = pathlib.Path(sys.argv[1])
    navit, pytorch = losses(folder / "navit.csv"), losses(folder / "pytorch.csv")
    low, high = 0.0, max(navit + pytorch) * 1.05
    picture = Image.new("RGB", (WIDTH, HEIGHT), "white")
    draw = ImageDraw.Draw(picture)

    def place(step, loss):
        x = LEFT + (step - 1) / (len(navit) - 1) * (WIDTH - LEFT - RIGHT)
        return x, TOP + (high - loss) / (high - low) * (HEIGHT - TOP - BOTTOM)

    for loss in range(int(high) + 1):
        _, y = place(1, loss)
        draw.line([(LEFT, y), (WIDTH - RIGHT, y)], fill=(225, 225, 225))
        draw.text((LEFT - 20, y - 6), str(loss), fill="black")
    for step in range(0, len(navit) + 1, 50):
        x, y = place(max(step, 1), low)
        draw.text((x - 8, y + 6), str(step), fill="black")
    draw.text((WIDTH // 2 - 20, HEIGHT - 18), "step", fill="black")
    # Wide below, thin above: where only one colour shows the curves differ.
    draw.line([place(i, v) for i, v in enumerate(pytorch, 1)], fill=PYTORCH, width=6)
    draw.line([place(i, v) for i, v in enumerate(navit, 1)], fill=NAVIT, width=2)
    worst = max(abs(a - b) / b for a, b in zip(navit, pytorch))
    draw.text((LEFT, 8), "loss:", fill="black")
    draw.text((LEFT + 40, 8), "navit", fill=NAVIT)
    draw.text((LEFT + 85, 8), "PyTorch", fill=PYTORCH)
    draw.text((LEFT + 145, 8), f"largest difference {worst:.1e}", fill="black")
    picture.save(sys.argv[2], optimize=True)


if __name__ == "__main__":
    main()
