"""Recipes of the peers: the Python that each needs, and what pip installs, step by step."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recipe:
    """The recipe of a peer. A row names the version of the package `distribution`; the statement `check` must run."""

    name: str
    title: str
    distribution: str
    pythons: tuple[str, ...]
    steps: tuple[tuple[str, ...], ...]
    check: str


TORCH = "torch==2.13.0"
ORION_PYTHONS = ("3.11", "3.12", "3.10")

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "seal",
            "SEAL",
            "seal-python",
            ("3.11", "3.12", "3.13", "3.14", "3.10"),
            (("seal-python==4.4.0", "numpy"),),
            "import seal",
        ),
        Recipe(
            "tenseal",
            "TenSEAL",
            "tenseal",
            ("3.11", "3.12", "3.13", "3.10"),
            (("tenseal==0.3.18", "numpy"),),
            "import tenseal",
        ),
        # The wheel for newer Pythons needs a newer libstdc++ than Debian 12 has.
        Recipe(
            "openfhe",
            "OpenFHE",
            "openfhe",
            ("3.10",),
            (("openfhe==1.6.1.0.22.4", "numpy"),),
            "import openfhe",
        ),
        # The Go library that Orion ships, without the rest of it: Lattigo's own operations.
        Recipe(
            "lattigo",
            "Lattigo (orion-fhe)",
            "orion-fhe",
            ORION_PYTHONS,
            (("--no-deps", "orion-fhe==1.0.2"), ("numpy",)),
            "import numpy, importlib.metadata as m; m.version('orion-fhe')",
        ),
        Recipe(
            "orion",
            "Orion",
            "orion-fhe",
            ORION_PYTHONS,
            (
                (TORCH,),
                ("--no-deps", "orion-fhe==1.0.2"),
                ("PyYAML", "h5py", "matplotlib", "scipy==1.14.1", "tqdm", "certifi", "numpy<2.3"),
            ),
            "import orion",
        ),
        Recipe(
            "orion2",
            "Orion v2",
            "orion-v2-compiler",
            ("3.11", "3.12"),
            (
                (TORCH,),
                (
                    "--no-deps",
                    "orion-v2-compiler==2.1.8",
                    "orion-v2-evaluator==2.1.8",
                    "orion-v2-lattigo==6.2.4",
                ),
                ("certifi", "matplotlib", "networkx", "numpy<2.3", "scipy==1.14.1", "tqdm"),
            ),
            "import orion_compiler, orion_evaluator, lattigo",
        ),
        # Its own pins name a torch that brings a GPU's libraries; the network is compiled by numpy and Concrete, so
        # a newer torch does as well.
        Recipe(
            "concrete",
            "Concrete ML",
            "concrete-ml",
            ("3.11", "3.10", "3.12"),
            (
                (TORCH,),
                (
                    "--no-deps",
                    "concrete-ml==1.9.0",
                    "concrete-python==2.10.0",
                    "brevitas==0.10.2",
                    "concrete-ml-extensions==0.1.9",
                    "hummingbird-ml==0.4.11",
                    "skorch==0.11.0",
                    "skops==0.5.0",
                    "onnxoptimizer==0.3.13",
                    "pandas==2.0.3",
                ),
                (
                    # Named again, and with the setuptools that it asks for, so that pip does not replace it.
                    *(TORCH, "setuptools<82"),
                    *("numpy==1.26.4", "onnx==1.17.0", "onnxruntime==1.18", "scikit-learn==1.5.0", "scipy"),
                    *("protobuf==5.28.3", "xgboost==1.6.2", "tabulate", "psutil"),
                    *("dependencies==2.0.1", "unfoldNd", "z3-solver==4.13.0", "networkx", "jsonpickle"),
                    *("tqdm", "dill", "onnxconverter-common", "huggingface-hub", "importlib-resources"),
                    *("python-dateutil", "pytz", "tzdata"),
                ),
            ),
            "import concrete.ml.torch.compile, brevitas.nn",
        ),
    )
}
