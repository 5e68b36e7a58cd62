"""Loads a model as its user saved it: skops and XGBoost's own files without running them, all others as pickles."""

import json
import warnings
from pathlib import Path
from typing import Any

import joblib
import skops.io
import xgboost
from sklearn.exceptions import InconsistentVersionWarning

from training.errors import TrainingError

CLASSIFIES = ("binary:", "multi:")  # the objectives of XGBoost


def load(path: Path, trusted: bool) -> Any:
    """Return the model in a file; raise TrainingError. A pickle, which is run, has to be `trusted`."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", InconsistentVersionWarning)
        try:
            return _loaded(path, trusted)
        except TrainingError:
            raise
        except InconsistentVersionWarning as error:
            saved, ours = error.original_sklearn_version, error.current_sklearn_version
            raise TrainingError(
                f"'{path}' was saved by scikit-learn {saved}, and {ours} converts it. Train it again with {ours}."
            ) from None
        except ModuleNotFoundError as error:
            raise TrainingError(
                f"'{path}' needs the module {error.name!r}, which the conversion does not have. It has scikit-learn, "
                "XGBoost and LightGBM; save any other model as ONNX with its own tools, and register that."
            ) from None
        except Exception as error:  # a pickle may raise whatever it likes
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
            raise TrainingError(f"'{path}' cannot be loaded: {reason}.") from None


def _loaded(path: Path, trusted: bool) -> Any:
    if path.suffix == ".skops":
        return _from_skops(path, trusted)
    if path.suffix == ".ubj":
        return _from_xgboost(path)
    if not trusted:
        raise TrainingError(f"'{path}' is a pickle, which is a program. If you trust it, add --trust-pickle.")
    return joblib.load(path)


def _from_skops(path: Path, trusted: bool) -> Any:
    unknown = skops.io.get_untrusted_types(file=path)
    if unknown and not trusted:
        names = ", ".join(unknown[:5])[:300]
        raise TrainingError(
            f"'{path}' holds types that skops does not know: {names}. If you trust it, add --trust-pickle."
        )
    return skops.io.load(path, trusted=unknown)


def _from_xgboost(path: Path) -> Any:
    """Return a classifier or regressor with scikit-learn's methods, whichever the file's objective is of."""
    learner = json.loads(xgboost.Booster(model_file=path).save_config())["learner"]
    is_classifier = learner["objective"]["name"].startswith(CLASSIFIES)
    model = xgboost.XGBClassifier() if is_classifier else xgboost.XGBRegressor()
    model.load_model(path)
    return model
