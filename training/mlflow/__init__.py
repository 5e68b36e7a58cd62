"""Takes models from MLflow: downloading (of a tracking server) -> folder (what was logged beside the model)."""
