"""Packaging of recbole_micro; every dependency says why it is here."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")  # those of noxfile.py

CORE = [
    "recbole==1.2.0",  # the framework; 1.2.1 works too, but pins a Ray that NumPy 2 and Python 3.12 break
    "torch>=2.6",  # models; Adam fused on the CPU; loads weights only unless told otherwise
    "numpy>=1.23",  # matrices
    "pandas>=2.1",  # atomic files; DataFrame.map
    "scipy>=1.11",  # sparse interaction matrices; sparray
    "pyyaml>=6.0",  # the options' YAML files
    "pyarrow>=16",  # modality feature files (Parquet); views of texts
    "hyperopt>=0.3",  # RecBole's tuner; older ones need pkg_resources
    "tqdm>=4.60",  # progress bars
    "matplotlib>=3.7",  # plots
    "scikit-learn>=1.2",  # TF-IDF and truncated SVD in dataset_tools
    "requests>=2.30",  # downloads in dataset_tools; with urllib3 2
    "kmeans-pytorch>=0.3",  # RecBole 1.2.0 imports it with every general model, undeclared
    "psutil>=5.9",  # RecBole 1.2.0 reads the machine's state after training, undeclared
    "packaging>=24.2",  # the doctor compares versions; of this one on setuptools (distutils) works with it
    'setuptools; python_version >= "3.12"',  # thop, which RecBole needs, imports distutils
]

EXTRAS = {
    "ray": ["ray[tune]>=2.50"],  # parallel tuning
    "faiss": ["faiss-cpu>=1.8"],  # RecBole's NCL, kNN graphs of very many items
    "encoders": [  # texts and images to vectors
        'wordllama>=0.3; python_version < "3.14"',  # it has no wheel for a newer one
        "sentence-transformers>=3.0",
        "transformers>=4.40",
        "pillow>=10",
        "av>=12",  # frames of videos, samples of sounds
        "safetensors>=0.4",  # feature files in that format
    ],
    "hdf5": ["h5py>=3.8"],  # feature files in that format
    "serve": ["fastapi>=0.110", "uvicorn>=0.27"],  # the HTTP service on an exported folder
    "mlflow": ["mlflow>=3.0"],  # trainings followed in MLflow
    "energy": ["codecarbon>=3.0"],  # the energy of each run in a report, estimated offline
    "mcp": ["mcp>=2.0", "uvicorn>=0.27"],  # an exported model as tools for an assistant
    "onnx": ["onnx>=1.15", "onnxruntime>=1.17"],  # the scorer as an ONNX graph, and its check
    "test": [  # the test suite
        "pytest>=8",
        "hypothesis>=6.100",
        "pytest-xdist>=3.5",  # a process per core
        "setuptools>=77",  # it builds a wheel
        "fastapi>=0.110",  # the service
        "uvicorn>=0.27",
        'onnxruntime>=1.17; python_version < "3.15"',  # it runs the exported scorer
        'onnx>=1.15; python_version < "3.15"',
        "safetensors>=0.4",
        "mlflow-skinny>=3.0",  # MLflow's client, which keeps runs in files
        "mcp>=2.0",  # its client asks the server
        "nbclient>=0.10",  # it runs the tutorial
        "nbconvert>=7.16",  # the tutorial as a page
        "ipykernel>=6.29",
        "h5py>=3.8",
        'ray[tune]>=2.50; python_version < "3.15"',  # 80 MB, or no test would ever run that engine
    ],
    "dev": [  # lint, types, packages, security, the matrix of versions
        "ruff>=0.6",
        "mypy>=1.10",
        "build>=1.2",
        "bandit[toml]>=1.8",
        "nox[uv]>=2024.10",
    ],
    "docs": ["mkdocs-material>=9.5"],  # the pages of docs/ as a site; it brings MkDocs
}


def version() -> str:
    """The version, written once, in recbole_micro/__init__.py."""
    text = (ROOT / "recbole_micro" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "([^"]+)"', text, re.MULTILINE).group(1)


setup(
    name="recbole_micro",
    version=version(),
    description="MICRO and other multimodal recommenders for RecBole",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="recbole_micro contributors",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=f">={PYTHONS[0]}",
    classifiers=[f"Programming Language :: Python :: {version}" for version in PYTHONS],
    packages=[*find_packages(include=["recbole_micro*", "dataset_tools*"]), "recbole_micro.properties"],
    package_dir={"recbole_micro.properties": "properties"},
    package_data={
        "recbole_micro.properties": ["*.yaml", "*/*.yaml"],
        **dict.fromkeys(("recbole_micro", "dataset_tools"), ["py.typed"]),
        "recbole_micro_server": ["py.typed", "static/*"],
    },
    install_requires=CORE,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["recbole-micro = recbole_micro.cli:main"]},
)
