"""Small forests on natural values, trained by scikit-learn in a moment and published in a registry."""

from pathlib import Path
from typing import Any

import joblib
import numpy as np
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from apps.classifier.table import Table
from models import publishing
from models.features import Feature

IRIS = load_iris()
COLUMNS = ("sepal length", "sepal width", "petal length", "petal width")
FLOWERS = tuple(
    Feature(name=name, unit="cm", range=(float(values.min()), float(values.max())))
    for name, values in zip(COLUMNS, IRIS.data.T, strict=True)
)
MIXED = (
    Feature(name="size", unit="cm", range=(0.0, 10.0), missing="null"),
    Feature(name="rooms", kind="int", range=(1, 9)),
    Feature(name="new", kind="bool"),
    Feature(name="colour", kind="category", values=("red", "green", "blue")),
    Feature(name="class", kind="category", values=(1, 2, 3), missing="optional"),
)
HOUSE: dict[str, Any] = {"size": 4.5, "rooms": 3, "new": True, "colour": "blue", "class": 2}


def iris_forest() -> RandomForestClassifier:
    """Return a fitted forest of three species, which takes centimetres."""
    species = IRIS.target_names.astype(object)[IRIS.target]
    return RandomForestClassifier(11, max_depth=4, random_state=0).fit(IRIS.data, species)


def diabetes_forest(outputs: int = 1) -> RandomForestRegressor:
    """Return a fitted regressor of ten features without names."""
    x, y = load_diabetes(return_X_y=True)
    target = np.column_stack([y * (number + 1) for number in range(outputs)]) if outputs > 1 else y
    return RandomForestRegressor(7, max_depth=4, random_state=0).fit(x, target)


def mixed_forest() -> RandomForestClassifier:
    """Return a fitted forest for rows of MIXED, trained with missing values."""
    random = np.random.default_rng(0)
    columns = [
        random.random(300) * 10,
        random.integers(1, 10, 300),
        random.integers(0, 2, 300),
        random.integers(0, 3, 300),
        random.integers(1, 4, 300),
    ]
    rows = np.column_stack(columns).astype(np.float32)
    labels = np.where(rows[:, 0] + rows[:, 1] * rows[:, 3] > 12, "dear", "cheap")
    for column in (0, 4):
        rows[random.random(300) < 0.2, column] = np.nan
    return RandomForestClassifier(15, max_depth=6, random_state=0).fit(rows, labels)


def publish(forest: Any, artifact: Path, features: tuple[Feature, ...], rows: list[Any], **keys: Any) -> Path:
    """Write artifact and manifest with a probe for each of `rows`; `keys` replace those of the manifest."""
    encoded = Table(features).rows([((), row) for row in rows])
    if hasattr(forest, "classes_"):
        answers = [
            {"label": str(forest.classes_[answer.argmax()]), "probabilities": answer.tolist()}
            for answer in forest.predict_proba(encoded)
        ]
    else:
        answers = [{"value": value} for value in forest.predict(encoded).tolist()]
    table = {"kind": "table", "shape": [len(features)], "features": [feature.to_json() for feature in features]}
    known = {
        "engine": "sklearn-forest",
        "input": table,
        "classes": [str(label) for label in getattr(forest, "classes_", [])],
        "probes": [{"features": row, **answer} for row, answer in zip(rows, answers, strict=True)],
    }
    with publishing.staging(artifact.parent) as folder:
        joblib.dump(forest, folder / artifact.name)
        publishing.publish(folder / artifact.name, artifact, **{**known, **keys})
    return artifact


def publish_iris(folder: Path) -> Path:
    """Publish the forest of three species."""
    return publish(iris_forest(), folder / "iris_v1.joblib", FLOWERS, IRIS.data[::50].tolist())


def publish_diabetes(folder: Path, outputs: int = 1) -> Path:
    """Publish the regressor, with positions for names."""
    features = tuple(Feature(name=f"x{number}", missing="null") for number in range(10))
    rows = load_diabetes().data[:2].tolist()
    return publish(diabetes_forest(outputs), folder / "diabetes_v1.joblib", features, rows)


def publish_mixed(folder: Path) -> Path:
    """Publish the forest for rows of mixed kinds."""
    return publish(
        mixed_forest(), folder / "house_v1.joblib", MIXED, [list(HOUSE.values()), [None, 1, False, "red", 1]]
    )


def publish_wide(folder: Path) -> Path:
    """Publish a classifier of 200 numbers."""
    rows = np.random.default_rng(0).normal(size=(200, 200))
    forest = RandomForestClassifier(7, max_depth=4, random_state=0).fit(rows, np.where(rows[:, 0] > 0, "yes", "no"))
    features = tuple(Feature(name=f"sensor {number}, mean of the last hour", unit="°C") for number in range(200))
    return publish(forest, folder / "wide_v1.joblib", features, rows[:2].tolist())
