"""Environment variables with which `helmfile apply` in a shell does the same as ci/up."""

import os
import shlex

from ci import images, python
from ci.cache import CHECKOUT
from ci.cluster import layout
from ci.tools import build


def local() -> dict[str, str]:
    """The variables for this machine's own cluster and this checkout's models and images."""
    return {
        **python.path_with(build.folder("helm"), build.folder("kube"), python.folder() / "bin"),
        "KUBECONFIG": str(layout.KUBECONFIG),
        "HELM_PLUGINS": str(build.folder("helm") / "plugins"),
        "HELMFILE_ENVIRONMENT": "local",
        "MODELS_DIR": f"/host{CHECKOUT}/models",  # the node sees the machine's files under /host
        "IMAGE_REGISTRY": "",  # the images are in the node
        **image_tags(),
    }


def image_tags() -> dict[str, str]:
    return {
        f"{name.upper().replace('-', '_')}_IMAGE_TAG": images.tags(name)[0].partition(":")[2] for name in images.IMAGES
    }


def exports() -> str:
    """The same variables as lines for a shell. Evaluating them again does not extend PATH again."""
    variables = local()
    own = variables["PATH"].removesuffix(os.environ["PATH"]).rstrip(os.pathsep)
    if own in os.environ["PATH"]:
        del variables["PATH"]
    return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in variables.items())
