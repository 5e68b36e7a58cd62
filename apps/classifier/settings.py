"""The classifier's settings, read from the environment."""

from typing import ClassVar

from pydantic import Field

from apps.serving.settings import ServingSettings


class ClassifierSettings(ServingSettings):
    """MODEL_PATH and the bounds of pictures are the classifier's own."""

    foreign_variables: ClassVar[frozenset[str]] = frozenset(  # the language model's
        {"MODEL_NAME", "MODEL_REVISION", "MAX_TOTAL_TOKENS", "MAX_BATCH_TOTAL_TOKENS"}
    )

    max_image_bytes: int = Field(10_485_760, ge=1, description="largest picture for /predict/image, bytes")
    max_image_pixels: int = Field(
        50_000_000, ge=1, description="largest picture for /predict/image, pixels; the memory limit may allow fewer"
    )
    model_path: str = Field(description="the .joblib or .onnx artifact: absolute, relative, or a name under /models")

    @property
    def largest_body(self) -> int:
        """Bytes of the largest body, whether JSON or a picture."""
        return max(self.max_body_bytes, self.max_image_bytes)
