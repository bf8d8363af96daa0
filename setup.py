"""One install, two packages: hpc_nuvlm, and nuvlm_kernels from the source folder kernels/.

The folder is no package itself: Hugging Face publishes one that imports as `kernels`, and transformers uses it.
"""

import re
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent

# What `nuvlm export-onnx` needs
EXPORT = ["onnx>=1.23", "onnxruntime>=1.31", "onnxscript>=0.7"]


class BuildWithDetectors(build_py):
    """Copies configs/detectors into the package: an installed toolkit has no checkout to read them from."""

    def run(self):
        super().run()
        if not self.editable_mode:
            target = Path(self.build_lib) / "hpc_nuvlm" / "detectors"
            target.mkdir(parents=True, exist_ok=True)
            for path in (HERE / "configs" / "detectors").glob("*.yaml"):
                self.copy_file(str(path), str(target / path.name))


setup(
    name="hpc-nuvlm",
    version=re.search(r'__version__ = "(.+)"', (HERE / "hpc_nuvlm" / "__init__.py").read_text())[1],
    description="Distributed training toolkit for liquid-argon neutrino experiments",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=[*find_packages(include=["hpc_nuvlm", "hpc_nuvlm.*"]), "nuvlm_kernels"],
    package_dir={"nuvlm_kernels": "kernels/nuvlm_kernels"},
    package_data={"hpc_nuvlm.models": ["nano/*", "nano/*/*"]},
    cmdclass={"build_py": BuildWithDetectors},
    entry_points={"console_scripts": ["nuvlm=hpc_nuvlm.cli:main"]},
    install_requires=[
        "accelerate>=1.15",
        "bitsandbytes>=0.50.2",
        "deepspeed>=0.19.8",
        "google-crc32c>=1.8",
        "h5py>=3.16",
        "mapie>=1.6",
        "matplotlib>=3.11",
        "mpi4py>=4.1.2",
        "numba>=0.68.1",
        "numcodecs>=0.16.6",
        "numpy>=2.4",
        "peft>=0.21.2",
        "pillow>=13.0",
        "pyarrow>=26.0",
        "pydantic>=2.14",
        "pyyaml>=6.0",
        "rich>=15.0",
        "safetensors>=0.8",
        "scikit-learn>=1.9",
        "scipy>=1.17",
        "tensorboard>=2.21",
        "tokenizers>=0.23",
        "torch>=2.13",
        "transformers>=5.23",
        "typer>=0.29",
        "uproot>=5.7.7",
        "webdataset>=1.0.2",
        "zarr>=3.1.6",
    ],
    extras_require={
        "export": EXPORT,
        "dev": [
            *EXPORT,
            "hypothesis>=6.170",
            "openmpi>=5.0",
            "pytest>=9.2",
            "pytest-timeout>=2.4",
            "pytest-xdist>=3.8",
            "ruff>=0.17",
            "torchmetrics>=1.9",
        ],
    },
)
