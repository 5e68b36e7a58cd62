"""Makes the models that the services serve: data -> train -> evaluate -> publish."""
