"""The body of POST /predict for a model of a table: rows as arrays or as objects by name."""

from typing import Annotated, Any, Self

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetPydanticSchema,
    StrictBool,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from apps.classifier.table import Place, RowsError, Table

# JSON that validators turn into float32 (n, n_features); None where the field is missing.
Row = Annotated[np.ndarray | None, GetPydanticSchema(lambda _, handler: handler(Any))]
Rows = Annotated[np.ndarray | None, GetPydanticSchema(lambda _, handler: handler(list[Any]))]


class TableRequest(BaseModel):
    """A row, or several."""

    # Validators need the context {"table": Table}.
    model_config = ConfigDict(extra="forbid")

    features: Row = Field(default_factory=lambda: None)
    instances: Rows = Field(default_factory=lambda: None)
    check_range: StrictBool = False

    @property
    def rows(self) -> np.ndarray:
        """The rows as float32 (n, n_features); NaN is a missing value."""
        rows = self.instances if self.features is None else self.features
        assert rows is not None  # by `_either`
        return rows

    @field_validator("features")
    @classmethod
    def _features(cls, row: Any, info: ValidationInfo) -> np.ndarray:
        return _encoded([((), row)], info)

    @field_validator("instances")
    @classmethod
    def _instances(cls, rows: list[Any], info: ValidationInfo) -> np.ndarray:
        if not rows:
            raise PydanticCustomError("instances", "must hold at least one row")
        return _encoded([((number,), row) for number, row in enumerate(rows)], info)

    @model_validator(mode="after")
    def _either(self) -> Self:
        if (self.features is None) == (self.instances is None):
            raise PydanticCustomError("either", "must have either features or instances")
        return self


def _encoded(items: list[tuple[Place, Any]], info: ValidationInfo) -> np.ndarray:
    assert info.context is not None
    table: Table = info.context["table"]
    try:
        return table.rows(items)
    except RowsError as error:
        raise PydanticCustomError("rows", "no rows", {"mistakes": error.mistakes}) from None
