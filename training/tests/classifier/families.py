"""Converts a model of each family on rows of mixed types, and prints what it costs in exactness and gains in time.

It runs in the environment of the conversion: `python -m training.tests.classifier.families [NAME …]`, as
`test_families.py` does. A line for each model: name, precision, largest difference, milliseconds a row of ours and of
the original.
"""

import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import lightgbm
import numpy as np
import pandas as pd
import xgboost
from sklearn import ensemble, kernel_ridge, linear_model, naive_bayes, neighbors, neural_network, svm
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.impute import SimpleImputer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from apps.classifier.onnx.model import OnnxModel
from apps.classifier.table import Table
from models import features
from training.classifier.onnx import converting, sampling
from training.classifier.onnx.original import Original
from training.errors import TrainingError

ROWS, REPEATS = 400, 200
LOGISTIC, BAYES = ("logistic", linear_model.LogisticRegression()), ("bayes", naive_bayes.GaussianNB())
RIDGE, LINEAR = ("ridge", linear_model.Ridge()), ("linear", linear_model.LinearRegression())
CLASSIFIERS = {
    "LogisticRegression": linear_model.LogisticRegression(),
    "SGDClassifier": linear_model.SGDClassifier(loss="log_loss", random_state=0),
    "SVC": svm.SVC(probability=True),
    "SVC, three classes": svm.SVC(probability=True),
    "NuSVC": svm.NuSVC(probability=True, nu=0.3),
    "SVC, calibrated": CalibratedClassifierCV(svm.SVC(), ensemble=False),
    "LinearSVC, calibrated": CalibratedClassifierCV(svm.LinearSVC(random_state=0)),
    "KNeighborsClassifier": neighbors.KNeighborsClassifier(),
    "GaussianNB": naive_bayes.GaussianNB(),
    "MLPClassifier": neural_network.MLPClassifier((8,), max_iter=200, random_state=0),
    "RandomForestClassifier": ensemble.RandomForestClassifier(100, random_state=0),
    "GradientBoostingClassifier": ensemble.GradientBoostingClassifier(random_state=0),
    "HistGradientBoostingClassifier": ensemble.HistGradientBoostingClassifier(random_state=0),
    "AdaBoostClassifier": ensemble.AdaBoostClassifier(n_estimators=20, random_state=0),
    "VotingClassifier, soft": ensemble.VotingClassifier([LOGISTIC, BAYES], voting="soft"),
    "StackingClassifier": ensemble.StackingClassifier([LOGISTIC, BAYES]),
    "GridSearchCV": GridSearchCV(linear_model.LogisticRegression(), {"C": [0.1, 1]}),
    "XGBClassifier": xgboost.XGBClassifier(n_estimators=300),
    "XGBClassifier, three classes": xgboost.XGBClassifier(n_estimators=300),
    "XGBRFClassifier": xgboost.XGBRFClassifier(n_estimators=300),
    "LGBMClassifier": lightgbm.LGBMClassifier(verbose=-1),
}
REGRESSORS = {
    "LinearRegression": linear_model.LinearRegression(),
    "Ridge": linear_model.Ridge(),
    "SGDRegressor": linear_model.SGDRegressor(random_state=0),
    "SVR": svm.SVR(),
    "NuSVR": svm.NuSVR(),
    "KernelRidge": kernel_ridge.KernelRidge(kernel="rbf"),
    "TransformedTargetRegressor": TransformedTargetRegressor(
        linear_model.Ridge(), func=np.log1p, inverse_func=np.expm1
    ),
    "IsolationForest": ensemble.IsolationForest(random_state=0),
    "LocalOutlierFactor": neighbors.LocalOutlierFactor(novelty=True),
    "OneClassSVM": svm.OneClassSVM(nu=0.1),
    "KNeighborsRegressor": neighbors.KNeighborsRegressor(),
    "MLPRegressor": neural_network.MLPRegressor(hidden_layer_sizes=(8,), max_iter=200, random_state=0),
    "RandomForestRegressor": ensemble.RandomForestRegressor(100, random_state=0),
    "GradientBoostingRegressor": ensemble.GradientBoostingRegressor(random_state=0),
    "HistGradientBoostingRegressor": ensemble.HistGradientBoostingRegressor(random_state=0),
    "AdaBoostRegressor": ensemble.AdaBoostRegressor(n_estimators=20, random_state=0),
    "VotingRegressor": ensemble.VotingRegressor([RIDGE, LINEAR]),
    "StackingRegressor": ensemble.StackingRegressor([RIDGE, LINEAR]),
    "XGBRegressor": xgboost.XGBRegressor(n_estimators=300),
    "LGBMRegressor": lightgbm.LGBMRegressor(verbose=-1),
    "LGBMRegressor, poisson": lightgbm.LGBMRegressor(objective="poisson", verbose=-1),
    "LGBMRegressor, gamma": lightgbm.LGBMRegressor(objective="gamma", verbose=-1),
    "LGBMRegressor, tweedie": lightgbm.LGBMRegressor(objective="tweedie", verbose=-1),
    "XGBRegressor, poisson": xgboost.XGBRegressor(objective="count:poisson", n_estimators=300),
    "XGBRegressor, gamma": xgboost.XGBRegressor(objective="reg:gamma", n_estimators=300),
    "XGBRegressor, tweedie": xgboost.XGBRegressor(objective="reg:tweedie", n_estimators=300),
    "XGBRegressor, logistic": xgboost.XGBRegressor(objective="reg:logistic", n_estimators=300),
    "XGBRFRegressor": xgboost.XGBRFRegressor(n_estimators=300),
}


def houses() -> tuple[pd.DataFrame, pd.Series]:
    """Return rows with numbers, whole numbers, booleans, texts and missing values, and what they cost."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": random.normal(40, 12, ROWS),
            "income": random.lognormal(10, 1, ROWS),
            "rooms": random.integers(1, 9, ROWS),
            "new": random.random(ROWS) < 0.5,
            "colour": random.choice(["red", "green", "blue"], ROWS).astype(object),
            "grade": random.integers(1, 4, ROWS),
        }
    )
    for name in ("age", "colour"):
        frame.loc[random.random(ROWS) < 0.1, name] = np.nan
    noise = random.normal(0, 1, ROWS)
    return frame, frame.age.fillna(40) / 10 + frame.rooms + 3 * (frame.colour == "red") + noise


def prepared() -> ColumnTransformer:
    """Return the preparation of the rows that a team would write."""
    numbers = Pipeline([("imputer", SimpleImputer(strategy="median")), ("scaler", StandardScaler())])
    encoder = OneHotEncoder(handle_unknown="ignore")
    texts = Pipeline([("imputer", SimpleImputer(strategy="most_frequent")), ("encoder", encoder)])
    parts = [("numbers", numbers, ["age", "income", "rooms"]), ("texts", texts, ["colour"])]
    parts += [("grade", OneHotEncoder(handle_unknown="ignore"), ["grade"]), ("new", "passthrough", ["new"])]
    return ColumnTransformer(parts, sparse_threshold=0)


def measured(model: Any, name: str, folder: Path) -> dict[str, Any]:
    """Fit, convert and time a model; return its line as JSON, or the reason why it is refused."""
    frame, cost = houses()
    target: Any = cost if name in REGRESSORS else np.where(cost > 9, "dear", "cheap")
    if name == "XGBRegressor, logistic":
        target = cost / cost.max()
    if name in CLASSIFIERS and (name.startswith("XGB") or "three" in name):  # XGBoost takes numbers only
        target = np.digitize(cost, [8, 11] if "three" in name else [9])
    if name == "TransformedTargetRegressor":  # takes logarithms
        target = cost.abs()
    fitted, path, sample = make_pipeline(prepared(), model).fit(frame, target), folder / "m.joblib", folder / "rows.csv"
    joblib.dump(fitted, path)
    frame.to_csv(sample, index=False)
    try:
        described = converting.describe(path, folder / "m.onnx", sample, None)
    except TrainingError as error:
        return {"model": name, "refused": str(error)}
    learnt = features.parse(described["input"]["features"])
    served = OnnxModel((folder / "m.onnx").read_bytes(), learnt, described["classes"])
    requests = sampling.requests(learnt, sample)[:1]
    row, original = Table(learnt, np.float64).rows([((), requests[0])]), Original(path)
    original_row = original.frame(learnt, requests)
    return {
        "model": name,
        "precision": described["hyperparameters"]["precision"],
        "difference": described["metrics"]["agreement"]["largest_difference"],
        "ms": seconds(lambda: served.evaluate(row)) * 1000,
        "original_ms": seconds(lambda: original.answers(original_row), 20) * 1000,
    }


def seconds(call: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Return the median seconds of a call."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def main() -> None:
    """Print a line of JSON for each family that the arguments name, by default for all."""
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        for name, model in {**CLASSIFIERS, **REGRESSORS}.items():
            if name in (sys.argv[1:] or [name]):
                print(json.dumps(measured(model, name, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
