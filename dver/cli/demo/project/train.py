"""Learn to tell penguin species apart from four measurements. Plain Python, no libraries.

Softmax regression by gradient descent on every table in data/, written to model.json.
"""

import csv
import json
import math
from pathlib import Path

FEATURES = ["bill_length_mm", "bill_depth_mm", "flipper_length_mm", "body_mass_g"]
SPECIES = ["Adelie", "Chinstrap", "Gentoo"]
STEPS, RATE = 300, 0.5


def load(directory):
    rows = []
    for path in sorted(Path(directory).glob("*.csv")):
        with open(path, newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if "NA" not in [row[name] for name in FEATURES]:
                    rows.append(([float(row[name]) for name in FEATURES], row["species"]))
    return rows


def scale(rows):
    columns = list(zip(*[features for features, _ in rows], strict=True))
    means = [sum(column) / len(column) for column in columns]
    spreads = [
        math.sqrt(sum((x - mean) ** 2 for x in column) / len(column))
        for column, mean in zip(columns, means, strict=True)
    ]
    return means, spreads


def probabilities(weights, features):
    scores = [sum(w * x for w, x in zip(row, features, strict=True)) for row in weights]
    powers = [math.exp(score - max(scores)) for score in scores]
    return [power / sum(powers) for power in powers]


def main():
    rows = load("data")
    means, spreads = scale(rows)
    inputs = [
        [1.0] + [(x - m) / s for x, m, s in zip(features, means, spreads, strict=True)]
        for features, _ in rows
    ]
    labels = [SPECIES.index(species) for _, species in rows]
    weights = [[0.0] * (len(FEATURES) + 1) for _ in SPECIES]
    for _ in range(STEPS):
        slope = [[0.0] * len(row) for row in weights]
        for features, label in zip(inputs, labels, strict=True):
            for k, probability in enumerate(probabilities(weights, features)):
                error = probability - (k == label)
                for j, x in enumerate(features):
                    slope[k][j] += error * x / len(inputs)
        weights = [
            [w - RATE * g for w, g in zip(row, steps, strict=True)]
            for row, steps in zip(weights, slope, strict=True)
        ]
    right = sum(
        max(range(len(SPECIES)), key=probabilities(weights, features).__getitem__) == label
        for features, label in zip(inputs, labels, strict=True)
    )
    model = {"features": FEATURES, "species": SPECIES, "mean": means, "spread": spreads}
    model["weights"] = weights
    Path("model.json").write_text(json.dumps(model, indent=1) + "\n", encoding="utf-8")
    print(f"{len(rows)} penguins, accuracy {right / len(rows):.3f}")


if __name__ == "__main__":
    main()
