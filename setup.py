"""Name the packages, the one thing pyproject.toml cannot say: two folders are installed under other names."""

from setuptools import find_packages, setup

setup(
    packages=["nlpk", "nlptasks.samples", *find_packages(include=["nlptasks*"])],
    package_dir={"nlpk": "cli", "nlptasks.samples": "data"},
)
